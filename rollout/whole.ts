import type { Node, Pod, ReplicaOwner } from "./cluster/types.ts";
import { controllerOf } from "./picture.ts";
import { isFinished, isPodReady, isTerminating, podName } from "./pods.ts";

/** A live run's inventory, or a picture: what a workload is judged by. */
export interface Seen {
  all(kind: "ReplicaSet" | "StatefulSet"): readonly ReplicaOwner[];
  get(kind: "ReplicaSet" | "StatefulSet", name: string, namespace?: string): ReplicaOwner | undefined;
  get(kind: "Node", name: string): Node | undefined;
  podsOf(controllerUid: string): readonly Pod[];
}

/** A controller whose pods we move. */
export interface Workload {
  kind: string;
  namespace: string;
  name: string;
  uid: string;
}

export function workloadOf(pod: Pod): Workload | undefined {
  const owner = controllerOf(pod);
  if (owner === undefined) return undefined;
  const { kind, name, uid, apiVersion } = owner;
  // a StatefulSet of another API group (OpenKruise has one) is not the one that apps/v1 would show
  const foreign = (kind === "ReplicaSet" || kind === "StatefulSet") && !apiVersion.startsWith("apps/");
  const known = foreign ? `${kind}.${apiVersion.split("/")[0]}` : kind;
  return { kind: known, namespace: pod.metadata.namespace ?? "default", name, uid };
}

/**
 * The workloads with these UIDs: what a run state has recorded, as it stands now. Of ReplicaSets and StatefulSets the objects
 * themselves are known; what an operator owns is known by its pods.
 */
export function workloadsOf(inventory: Seen, uids: ReadonlySet<string>): Workload[] {
  const known = (["ReplicaSet", "StatefulSet"] as const).flatMap((kind) =>
    inventory
      .all(kind)
      .filter(({ metadata }) => uids.has(metadata.uid))
      .map(({ metadata: { name, namespace = "default", uid } }) => ({ kind, name, namespace, uid })),
  );
  const others = [...uids]
    .filter((uid) => !known.some((it) => it.uid === uid))
    .flatMap((uid) => inventory.podsOf(uid).slice(0, 1))
    .flatMap((pod) => workloadOf(pod) ?? []);
  return [...known, ...others];
}

function ownerObject(
  inventory: Seen,
  { kind, name, namespace, uid }: Workload,
): ReplicaOwner | undefined | "unknown-kind" {
  if (kind !== "ReplicaSet" && kind !== "StatefulSet") return "unknown-kind";
  const object = inventory.get(kind, name, namespace);
  return object?.metadata.uid === uid ? object : undefined;
}

/**
 * A pod counts once it has been Ready for its owner's minReadySeconds.
 * @param now what time the API server has (Cluster.serverTime), here and below: ours may be ahead of it, and would cut the time short
 */
export function counts(pod: Pod, minReadySeconds: number, now: number): boolean {
  if (!isPodReady(pod)) return false;
  if (minReadySeconds === 0) return true;
  const since = pod.status?.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime;
  return since !== undefined && now - Date.parse(since) >= minReadySeconds * 1000;
}

/** Its node is gone, and the API calls it Ready all the same until PodGC finds it: some 46 s later. */
const isOnLostNode = (inventory: Seen, { spec }: Pod): boolean =>
  spec?.nodeName !== undefined && inventory.get("Node", spec.nodeName) === undefined;

/** How many replicas a workload should have, and how many are Ready. `evicted`: UIDs that the cache may not yet show as terminating. */
export function replicas(
  inventory: Seen,
  workload: Workload,
  evicted: ReadonlySet<string>,
  now: number,
): { wanted: number | undefined; ready: number } {
  const owner = ownerObject(inventory, workload);
  const pods = inventory
    .podsOf(workload.uid)
    .filter((pod) => !evicted.has(pod.metadata.uid) && !isOnLostNode(inventory, pod));
  if (owner === undefined) return { wanted: 0, ready: 0 }; // deleted in the meantime: nothing to wait for
  if (owner === "unknown-kind") {
    return { wanted: undefined, ready: pods.filter((pod) => counts(pod, 0, now)).length };
  }
  const minReady = owner.spec?.minReadySeconds ?? 0;
  return {
    wanted: owner.spec?.replicas ?? 1,
    ready: pods.filter((pod) => counts(pod, minReady, now)).length,
  };
}

/**
 * Replicas that each controller lacks before anything moves, by UID: they are not ours to wait for. A pod that is Ready, though not yet for
 * its `minReadySeconds`, is there: else a workload that was rolled out a moment ago would count as whole with nothing. Controllers of other kinds
 * (operators' own) have no known target: what they have now is what they must have again, kept as a negative number.
 */
export function missingReplicas(inventory: Seen, pods: readonly Pod[], now: number): Record<string, number> {
  const missing: Record<string, number> = {};
  for (const pod of pods) {
    const workload = workloadOf(pod);
    if (workload === undefined || workload.kind === "Job" || workload.uid in missing) continue;
    const { wanted, ready: available } = replicas(inventory, workload, new Set(), now);
    const ready = inventory
      .podsOf(workload.uid)
      .filter((it) => isPodReady(it) && !isOnLostNode(inventory, it)).length;
    if (wanted === undefined) missing[workload.uid] = -available;
    else if (ready < wanted) missing[workload.uid] = wanted - ready;
  }
  return missing;
}

/** Is the workload back at its target? Jobs are not waited for: they make their own progress. */
export function isWhole(
  inventory: Seen,
  workload: Workload,
  missingBefore: Record<string, number>,
  evicted: ReadonlySet<string>,
  now: number,
): boolean {
  if (workload.kind === "Job") return true;
  const { wanted, ready } = replicas(inventory, workload, evicted, now);
  const missing = missingBefore[workload.uid] ?? 0;
  const target = wanted === undefined ? -missing : wanted - Math.max(0, missing);
  return ready >= target;
}

/** What the workload's pods that are not Ready are waiting for, in the cluster's words; for messages. */
export function whyNotWhole(inventory: Seen, workload: Workload): string {
  const late = inventory.podsOf(workload.uid).filter((pod) => !isPodReady(pod) && !isFinished(pod));
  const reasons = late.slice(0, 3).map((pod) => `pod ${podName(pod)} ${stateOf(pod)}`);
  const more = late.length > 3 ? ` and ${late.length - 3} more` : "";
  return reasons.length > 0 ? `${reasons.join("; ")}${more}` : "its controller has not started a replacement";
}

/** `Pending (0/6 nodes are available: …)`, `CrashLoopBackOff`, `terminating since …`. */
export function stateOf(pod: Pod): string {
  if (isTerminating(pod)) {
    const finalizers = pod.metadata.finalizers?.join(", ");
    return `terminating${finalizers ? `, held by finalizer ${finalizers}` : ""}`;
  }
  const waiting = pod.status?.containerStatuses?.find(({ state }) => state?.waiting)?.state?.waiting;
  if (waiting?.reason !== undefined)
    return `${waiting.reason}${waiting.message ? ` (${waiting.message})` : ""}`;
  const scheduled = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False")
    return `Pending (${scheduled.message ?? scheduled.reason ?? "not scheduled"})`;
  return `${pod.status?.phase ?? "Unknown"}, not Ready${pod.spec?.nodeName ? ` on node ${pod.spec.nodeName}` : ""}`;
}
