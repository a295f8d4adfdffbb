import type { Pod, VolumeAttachment } from "./cluster/types.ts";
import type { Inventory } from "./inventory.ts";
import { podName } from "./pods.ts";

/** The persistent volumes behind a pod's claims. */
function volumesOf(inventory: Inventory, pod: Pod): { name: string; claim: string }[] {
  return (pod.spec?.volumes ?? []).flatMap((volume) => {
    const claim =
      volume.persistentVolumeClaim?.claimName ??
      (volume.ephemeral ? `${pod.metadata.name}-${volume.name}` : undefined);
    if (claim === undefined) return [];
    const name = inventory.get("PersistentVolumeClaim", claim, pod.metadata.namespace)?.spec?.volumeName;
    return name ? [{ name, claim: `${pod.metadata.namespace ?? "default"}/${claim}` }] : [];
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
  for (const { name, claim } of volumesOf(inventory, pod)) {
    if (!attaches(inventory, name)) continue;
    const attachments = attachmentsOf(inventory, name);
    const old = attachments.find(({ spec }) => spec.nodeName === oldNode && spec.nodeName !== node);
    const what = `volume ${name} of pod ${podName(pod)}`;
    if (old) return `${what} is still attached to node ${oldNode} (claim ${claim}; ${stateOf(old)})`;
    const own = attachments.find(({ spec }) => spec.nodeName === node);
    if (own?.status?.attached === true) continue;
    const state = own === undefined ? "no VolumeAttachment for it yet" : stateOf(own);
    return `${what} is not attached to node ${node ?? "(none yet)"} yet (claim ${claim}; ${state})`;
  }
  return undefined;
}

/** `VolumeAttachment csi-5f2c, made 2026-11-20T10:04:05Z, detaching since 2026-11-23T13:27:19Z, held by finalizer …: <the driver's words>` */
function stateOf({ metadata, status }: VolumeAttachment): string {
  const { name, creationTimestamp, deletionTimestamp, finalizers = [] } = metadata;
  const facts = [`VolumeAttachment ${name}`];
  if (creationTimestamp !== undefined) facts.push(`made ${creationTimestamp}`);
  if (deletionTimestamp !== undefined) {
    facts.push(`detaching since ${deletionTimestamp}`);
    if (finalizers.length > 0) facts.push(`held by finalizer ${finalizers.join(", ")}`);
  }
  const error = status?.detachError?.message ?? status?.attachError?.message;
  return `${facts.join(", ")}${error ? `: ${error}` : ""}`;
}
