import type { Pod, VolumeAttachment } from "./cluster/types.ts";
import type { Inventory } from "./inventory.ts";
import { podName } from "./pods.ts";

/** The persistent volumes behind a pod's claims. */
export function volumesOf(inventory: Inventory, pod: Pod): string[] {
  return (pod.spec?.volumes ?? []).flatMap((volume) => {
    const claim =
      volume.persistentVolumeClaim?.claimName ??
      (volume.ephemeral ? `${pod.metadata.name}-${volume.name}` : undefined);
    if (claim === undefined) return [];
    const name = inventory.get("PersistentVolumeClaim", claim, pod.metadata.namespace)?.spec?.volumeName;
    return name ? [name] : [];
  });
}

/** Does the driver of this volume attach at all? (CSIDriver spec.attachRequired; default true.) Volumes that are not CSI have no attachment to wait for. */
function attaches(inventory: Inventory, volume: string): boolean {
  const driver = inventory.get("PersistentVolume", volume)?.spec?.csi?.driver;
  if (driver === undefined) return false;
  return inventory.get("CSIDriver", driver)?.spec?.attachRequired ?? true;
}

const attachmentsOf = (inventory: Inventory, volume: string): VolumeAttachment[] =>
  inventory.all("VolumeAttachment").filter(({ spec }) => spec.source.persistentVolumeName === volume);

/**
 * What is still missing before a moved pod's volumes count as handed over: the old node's VolumeAttachment object gone
 * (`attached: false` alone does not mean detached, external-attacher#215) and the new node's attached.
 * @returns undefined when nothing is.
 */
export function notHandedOver(inventory: Inventory, pod: Pod, oldNode: string): string | undefined {
  const node = pod.spec?.nodeName;
  for (const volume of volumesOf(inventory, pod)) {
    if (!attaches(inventory, volume)) continue;
    const attachments = attachmentsOf(inventory, volume);
    const old = attachments.find(({ spec }) => spec.nodeName === oldNode && spec.nodeName !== node);
    if (old)
      return `volume ${volume} of pod ${podName(pod)} is still attached to node ${oldNode} (VolumeAttachment ${old.metadata.name})`;
    if (!attachments.some(({ spec, status }) => spec.nodeName === node && status?.attached === true)) {
      return `volume ${volume} of pod ${podName(pod)} is not attached to node ${node ?? "(none yet)"} yet`;
    }
  }
  return undefined;
}
