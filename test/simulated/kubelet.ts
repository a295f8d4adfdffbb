import type { Node, Pod } from "../../rollout/cluster/types.ts";
import { iso, type Store } from "./store.ts";
import { isFinished, isGoing, ownerOf, type Behaviour } from "./workloads.ts";

const NAME = "kubelet";
const GC = "pod-garbage-collector";
/** How long a pod outlives its Node object in the API (measured; PodGC's quarantine of 40 s and its period). */
const ORPHAN_MS = 46_000;
const UNSCHEDULABLE = "node.kubernetes.io/unschedulable";

/**
 * All kubelets: start bound pods (after their volumes are attached), end deleted ones; with PodGC for pods whose node is gone
 * and the node controller's taint for cordoned nodes.
 */
export function startKubelets(
  store: Store,
  behaviourOf: (ownerUid: string | undefined) => Behaviour,
  lag: () => number,
): void {
  const starting = new Set<string>();
  const stopping = new Set<string>();

  const start = (pod: Pod): void => {
    const { uid } = pod.metadata;
    if (starting.has(uid) || pod.spec?.nodeName === undefined || isGoing(pod) || isFinished(pod)) return;
    if (!volumesAttached(store, pod)) return; // comes again with the attachment's change
    starting.add(uid);
    const { startSeconds = 2, readyOn } = behaviourOf(ownerOf(pod)?.uid);
    store.clock.after(startSeconds * 1000 + lag(), `${NAME}: start ${pod.metadata.name}`, () => {
      const node = store.get("Node", pod.spec?.nodeName as string);
      if (node === undefined) return;
      run(store, pod, readyOn === undefined || readyOn(node.metadata.labels ?? {}));
    });
  };

  const stop = (pod: Pod): void => {
    const { uid, deletionGracePeriodSeconds = 30 } = pod.metadata;
    if (stopping.has(uid) || !isGoing(pod)) return;
    stopping.add(uid);
    const { stopSeconds = 5 } = behaviourOf(ownerOf(pod)?.uid);
    const running = pod.status?.phase === "Running";
    const milliseconds = running ? Math.min(stopSeconds, deletionGracePeriodSeconds) * 1000 : 0;
    store.clock.after(milliseconds + lag(), `${NAME}: stop ${pod.metadata.name}`, () => {
      if (store.get("Node", pod.spec?.nodeName ?? "") === undefined) return; // nobody is there any more: PodGC's business
      store.finalize("Pod", pod, NAME);
    });
  };

  const orphans = (node: Node): void =>
    void store.clock.after(ORPHAN_MS, `${GC}: node ${node.metadata.name}`, () => {
      if (store.get("Node", node.metadata.name)) return;
      for (const pod of store.all("Pod"))
        if (pod.spec?.nodeName === node.metadata.name) store.finalize("Pod", pod, GC);
    });

  store.onChange(({ kind, type, object }) => {
    if (kind === "Pod" && type !== "DELETED") {
      start(object as Pod);
      stop(object as Pod);
    }
    if (kind === "VolumeAttachment") for (const pod of store.all("Pod")) start(pod);
    if (kind === "Node" && type === "DELETED") orphans(object as Node);
    if (kind === "Node" && type !== "DELETED") {
      const node = object as Node;
      if (hasTaint(node) !== (node.spec?.unschedulable === true))
        store.clock.after(lag(), `node controller: ${node.metadata.name}`, () => taint(store, node));
    }
  });
}

function run(store: Store, pod: Pod, ready: boolean): void {
  const current = store.get("Pod", pod.metadata.name, pod.metadata.namespace);
  if (current?.metadata.uid !== pod.metadata.uid || isGoing(current)) return;
  store.update(
    "Pod",
    current,
    (draft) => {
      const others = (draft.status?.conditions ?? []).filter(({ type }) => type !== "Ready");
      const at = iso(store.clock.now());
      draft.status = {
        ...draft.status,
        phase: "Running",
        startTime: at,
        conditions: [...others, { type: "Ready", status: ready ? "True" : "False", lastTransitionTime: at }],
        containerStatuses: [
          {
            name: "main",
            ready,
            restartCount: ready ? 0 : 3,
            state: ready ? {} : { waiting: { reason: "CrashLoopBackOff" } },
          },
        ],
      };
    },
    NAME,
  );
}

const hasTaint = (node: Node): boolean => (node.spec?.taints ?? []).some(({ key }) => key === UNSCHEDULABLE);

/** The node controller writes the whole list of taints: a writer with an old version meets a conflict. */
function taint(store: Store, node: Node): void {
  store.update(
    "Node",
    node,
    (draft) => {
      const others = (draft.spec?.taints ?? []).filter(({ key }) => key !== UNSCHEDULABLE);
      const taints = draft.spec?.unschedulable
        ? [...others, { key: UNSCHEDULABLE, effect: "NoSchedule", timeAdded: iso(store.clock.now()) }]
        : others;
      draft.spec = { ...draft.spec, taints };
      if (taints.length === 0) delete draft.spec.taints;
    },
    "node-controller",
  );
}

/** Are all volumes of the pod that need attaching attached to its node? */
function volumesAttached(store: Store, pod: Pod): boolean {
  return attachedVolumesOf(store, pod).every((volume) =>
    store
      .all("VolumeAttachment")
      .some(
        ({ spec, status, metadata }) =>
          spec.source.persistentVolumeName === volume &&
          spec.nodeName === pod.spec?.nodeName &&
          status?.attached === true &&
          metadata.deletionTimestamp === undefined,
      ),
  );
}

/** Names of the pod's persistent volumes whose driver attaches. */
export function attachedVolumesOf(store: Store, pod: Pod): string[] {
  return (pod.spec?.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) => {
    if (claim === undefined) return [];
    const name = store.get("PersistentVolumeClaim", claim.claimName, pod.metadata.namespace)?.spec
      ?.volumeName;
    const driver = name === undefined ? undefined : store.get("PersistentVolume", name)?.spec?.csi?.driver;
    if (name === undefined || driver === undefined) return [];
    return (store.get("CSIDriver", driver)?.spec?.attachRequired ?? true) ? [name] : [];
  });
}
