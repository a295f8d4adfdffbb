import type { VolumeAttachment } from "../../rollout/cluster/types.ts";
import { attachedVolumesOf } from "./kubelet.ts";
import type { Store } from "./store.ts";
import { isFinished } from "./workloads.ts";

const CONTROLLER = "attach-detach-controller";
const ATTACHER = "external-attacher";
const FINALIZER = "external-attacher/csi-sandbox-patchguard-dev";

export interface VolumeTimes {
  attachSeconds: number;
  detachSeconds: number;
  /** Milliseconds of the controllers' own delay. */
  lag: () => number;
}

/**
 * Attach-detach controller and CSI attacher. A volume (ReadWriteOnce) is attached to one node at a time: the new attachment is
 * made when the old object is gone, and that goes only when no pod on the old node uses the volume any more.
 */
export function startVolumeControllers(store: Store, times: VolumeTimes): void {
  const busy = new Set<string>();
  let due = false;
  const wake = (): void => {
    if (due) return;
    due = true;
    store.clock.after(times.lag(), CONTROLLER, () => {
      due = false;
      reconcile(store);
    });
  };
  const attend = (attachment: VolumeAttachment): void => {
    const { uid, name, deletionTimestamp } = attachment.metadata;
    const detach = deletionTimestamp !== undefined;
    const key = `${uid}/${detach}`;
    if (busy.has(key) || (!detach && attachment.status?.attached)) return;
    busy.add(key);
    const seconds = detach ? times.detachSeconds : times.attachSeconds;
    store.clock.after(
      seconds * 1000 + times.lag(),
      `${ATTACHER}: ${detach ? "detach" : "attach"} ${name}`,
      () => {
        const current = store.get("VolumeAttachment", name);
        if (current?.metadata.uid !== uid) return;
        if (!detach) {
          store.update(
            "VolumeAttachment",
            current,
            (draft) => (draft.status = { attached: draft.metadata.deletionTimestamp === undefined }),
            ATTACHER,
          );
          return;
        }
        // first the status, a moment later the object: `attached: false` is not yet "detached"
        const marked = store.update(
          "VolumeAttachment",
          current,
          (draft) => (draft.status = { attached: false }),
          ATTACHER,
        );
        store.clock.after(
          times.lag() + 500,
          `${ATTACHER}: drop ${name}`,
          () => marked && store.finalize("VolumeAttachment", marked, ATTACHER, true),
        );
      },
    );
  };
  store.onChange(({ kind, object, type }) => {
    if (kind === "VolumeAttachment" && type !== "DELETED") attend(object as VolumeAttachment);
    if (kind === "Pod" || kind === "VolumeAttachment" || kind === "Node") wake();
  });
}

function reconcile(store: Store): void {
  const users = new Map<string, Set<string>>(); // volume to nodes with a pod that uses it
  const nodes = new Set(store.all("Node").map(({ metadata }) => metadata.name));
  for (const pod of store.all("Pod")) {
    const node = pod.spec?.nodeName;
    if (node === undefined || isFinished(pod)) continue;
    for (const volume of attachedVolumesOf(store, pod))
      users.set(volume, (users.get(volume) ?? new Set()).add(node));
  }
  for (const attachment of store.all("VolumeAttachment")) {
    const used = users.get(attachment.spec.source.persistentVolumeName ?? "")?.has(attachment.spec.nodeName);
    if (!used && attachment.metadata.deletionTimestamp === undefined)
      store.remove("VolumeAttachment", attachment, CONTROLLER);
  }
  for (const [volume, wanting] of users) {
    if (store.all("VolumeAttachment").some(({ spec }) => spec.source.persistentVolumeName === volume))
      continue;
    const node = [...wanting].toSorted().find((name) => nodes.has(name));
    if (node !== undefined) attach(store, volume, node);
  }
}

function attach(store: Store, volume: string, nodeName: string): void {
  const attacher = store.get("PersistentVolume", volume)?.spec?.csi?.driver ?? "";
  const metadata = { name: `csi-${volume}-${nodeName}`, finalizers: [FINALIZER] };
  store.create(
    "VolumeAttachment",
    {
      metadata,
      spec: { attacher, nodeName, source: { persistentVolumeName: volume } },
      status: { attached: false },
    },
    CONTROLLER,
  );
}
