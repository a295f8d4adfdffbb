import type { Pod } from "../cluster/types.ts";
import type { Picture, PictureKind } from "../picture.ts";
import { isEmpty } from "./pod-query.ts";
import { classOf, claimOfVolume } from "./volumes.ts";

/** Something that decides where a pod may go and that is not simulated. */
export interface NotJudged {
  /** A clause about the pod. */
  text: string;
  /** Nothing that is judged counts then, either. */
  whole: boolean;
}

/** What the simulation leaves out of a pod. */
export function notJudged(pod: Pod, picture: Picture): NotJudged[] {
  const found: NotJudged[] = [];
  const say = (text: string, whole = false): void => void found.push({ text, whole });
  const { schedulerName = "default-scheduler", resourceClaims = [], volumes = [], affinity } = pod.spec ?? {};
  if (schedulerName !== "default-scheduler" && schedulerName !== "")
    say(`scheduler ${schedulerName} decides where it goes`, true);
  if (resourceClaims.length > 0)
    say(`it claims devices (resourceClaims ${resourceClaims.map(({ name }) => name).join(", ")})`);
  const lacks = (kind: PictureKind): boolean => picture.unread.some((it) => it.kind === kind);
  const terms = [
    ...(affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
  ];
  const selectsNamespaces = terms.some(
    ({ namespaceSelector }) => namespaceSelector !== undefined && !isEmpty(namespaceSelector),
  );
  if (selectsNamespaces && lacks("Namespace"))
    say("its affinity selects namespaces, and namespaces could not be read");
  for (const volume of volumes) {
    if (IN_TREE.some((kind) => volume[kind] !== undefined))
      say(`volume ${volume.name} names a disk without a claim; where the disk is cannot be read`);
    const claimName = claimOfVolume(pod, volume);
    const claim = claimName && picture.get("PersistentVolumeClaim", claimName, pod.metadata.namespace);
    if (!claim) continue;
    if ((claim.spec?.volumeName ?? "") === "") {
      if (lacks("StorageClass"))
        say(`claim ${claimName} is not bound, and storage classes could not be read`);
      const driver = picture.get("StorageClass", classOf(claim))?.provisioner;
      if (driver !== undefined && picture.get("CSIDriver", driver)?.spec?.storageCapacity === true)
        say(`claim ${claimName} needs a new volume, and what ${driver} has left where is not read`);
    }
    if (lacks("CSINode")) say(`attach limits for claim ${claimName} could not be read (CSINode)`);
  }
  return found;
}

const IN_TREE = ["awsElasticBlockStore", "azureDisk", "gcePersistentDisk"] as const;
