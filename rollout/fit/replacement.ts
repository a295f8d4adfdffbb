import type { PersistentVolumeClaim, Pod, PodVolume } from "../cluster/types.ts";
import type { Picture } from "../picture.ts";
import { objectKey } from "./overlay.ts";
import { claimOfVolume } from "./volumes.ts";

/** The pod that a controller makes when another is evicted. */
export interface Replacement {
  pod: Pod;
  /** Claims that are made with it, by `objectKey`. */
  claims: Map<string, PersistentVolumeClaim>;
  /** What nobody can know of it. */
  notes: string[];
}

/**
 * Like the old pod, on no node yet. Claims of generic ephemeral volumes go with the old pod and are made anew: bound to nothing yet, or,
 * where the class does not wait for the pod, to a volume in a place that nobody knows.
 */
export function replacementOf(pod: Pod, picture: Picture): Replacement {
  const claims = new Map<string, PersistentVolumeClaim>();
  const notes: string[] = [];
  const { namespace } = pod.metadata;
  const volumes: PodVolume[] = [];
  for (const volume of pod.spec?.volumes ?? []) {
    const template = volume.ephemeral?.volumeClaimTemplate?.spec;
    const name = claimOfVolume(pod, volume);
    if (volume.ephemeral === undefined || name === undefined) {
      volumes.push(volume);
      continue;
    }
    const storageClassName = template?.storageClassName ?? defaultClass(picture);
    const storageClass = picture.get("StorageClass", storageClassName ?? "");
    if (storageClass?.volumeBindingMode !== "WaitForFirstConsumer") {
      notes.push(
        `its volume ${volume.name} is made anew before it is scheduled, in a place that nobody knows`,
      );
      continue;
    }
    volumes.push(volume);
    const { volumeName: _, ...spec } = template ?? {};
    claims.set(objectKey(name, namespace), {
      metadata: {
        name,
        ...(namespace === undefined ? {} : { namespace }),
        uid: `${pod.metadata.uid}-${name}`,
      },
      spec: { ...spec, ...(storageClassName === undefined ? {} : { storageClassName }) },
      status: { phase: "Pending" },
    });
  }
  const { nodeName: _, ...spec } = pod.spec ?? {};
  return { pod: { metadata: pod.metadata, spec: { ...spec, volumes } }, claims, notes };
}

const defaultClass = (picture: Picture): string | undefined =>
  picture
    .all("StorageClass")
    .find(({ metadata }) => metadata.annotations?.["storageclass.kubernetes.io/is-default-class"] === "true")
    ?.metadata.name;
