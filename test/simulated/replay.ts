import type { Kind, Kinds, Pod, PodDisruptionBudget } from "../../rollout/cluster/types.ts";
import { selectorMatches } from "./select.ts";
import { type Change, keyOf } from "./store.ts";
import { isServing, ownerOf } from "./workloads.ts";

/** The cluster as it was at a point of the record: the record applied change by change. */
export class Replay {
  private readonly objects = new Map<Kind, Map<string, Kinds[Kind]>>();

  apply({ kind, type, object }: Change): void {
    const key = keyOf(object.metadata.name, object.metadata.namespace);
    let map = this.objects.get(kind);
    if (map === undefined) this.objects.set(kind, (map = new Map<string, Kinds[Kind]>()));
    if (type === "DELETED") map.delete(key);
    else map.set(key, object);
  }

  all<K extends Kind>(kind: K): Kinds[K][] {
    return [...(this.objects.get(kind)?.values() ?? [])] as Kinds[K][];
  }

  get<K extends Kind>(kind: K, name: string, namespace?: string): Kinds[K] | undefined {
    return this.objects.get(kind)?.get(keyOf(name, namespace)) as Kinds[K] | undefined;
  }

  budgetsOf(pod: Pod): PodDisruptionBudget[] {
    return this.all("PodDisruptionBudget").filter(
      ({ metadata, spec }) =>
        metadata.namespace === pod.metadata.namespace && selectorMatches(spec?.selector, pod.metadata.labels),
    );
  }

  healthyOf({ metadata, spec }: PodDisruptionBudget): number {
    return this.all("Pod").filter(
      (pod) =>
        pod.metadata.namespace === metadata.namespace &&
        selectorMatches(spec?.selector, pod.metadata.labels) &&
        isServing(pod),
    ).length;
  }

  podOf(ownerUid: string, name: string): Pod | undefined {
    return this.all("Pod").find((pod) => ownerOf(pod)?.uid === ownerUid && pod.metadata.name === name);
  }

  /** Names of the pod's volumes that need attaching. */
  volumesOf(pod: Pod): string[] {
    return (pod.spec?.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) => {
      const name =
        claim && this.get("PersistentVolumeClaim", claim.claimName, pod.metadata.namespace)?.spec?.volumeName;
      const driver = name === undefined ? undefined : this.get("PersistentVolume", name)?.spec?.csi?.driver;
      if (name === undefined || driver === undefined) return [];
      return (this.get("CSIDriver", driver)?.spec?.attachRequired ?? true) ? [name] : [];
    });
  }

  attachments(volume: string): Kinds["VolumeAttachment"][] {
    return this.all("VolumeAttachment").filter(({ spec }) => spec.source.persistentVolumeName === volume);
  }
}
