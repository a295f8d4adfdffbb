import type { Pod, ReplicaOwner } from "../cluster/types.ts";
import { count, type Finding } from "../finding.ts";
import { controllerOf } from "../picture.ts";
import { byName, isFinished, isPodReady, isTerminating, podName } from "../pods.ts";
import { stateOf } from "../whole.ts";
import { listing } from "./causes/words.ts";
import type { Scene } from "./question.ts";
import { finding, refOf } from "./rules.ts";
import { type TopOwner, topOwners } from "./top-owner.ts";

/** Workloads that are not whole, or that nobody guards. */
export const workloads = (scene: Scene): Finding[] => [
  ...statefulSets(scene),
  ...daemonSets(scene),
  ...unguarded(scene),
];

/**
 * Every StatefulSet of the cluster: two of its pods must never be away at once, so one that lacks a pod is not touched. One scaled to 0
 * wants none, and one that has its pods but not yet their newest revision (OnDelete, a partition) is whole.
 */
function statefulSets({ picture, moving, resumed }: Scene): Finding[] {
  const concerned = new Set(moving.flatMap((pod) => controllerOf(pod)?.uid ?? []));
  const inHand = new Set(Object.values(resumed?.nodes ?? {}).flatMap(({ owners }) => owners));
  return picture.all("StatefulSet").flatMap((set) => {
    const { uid, deletionTimestamp } = set.metadata;
    if (deletionTimestamp !== undefined) return [];
    const wanted = set.spec?.replicas ?? 1;
    const pods = picture.podsOf(uid);
    const ready = pods.filter(isPodReady).length;
    if (ready >= wanted) return [];
    const late = pods.filter((pod) => !isPodReady(pod) && !isFinished(pod)).toSorted(byName);
    const moves = concerned.has(uid);
    const updating = isUpdating(set);
    const { name, namespace } = set.metadata;
    const missing = wanted - ready - late.length;
    const states = [
      ...late.map((pod) => `pod ${podName(pod)} ${stateOf(pod)}`),
      ...(missing > 0 ? [`${count(missing, "pod")} not created yet`] : []),
    ];
    const why =
      `${ready} of ${count(wanted, "replica")} ${be(ready, wanted)} Ready` +
      `${updating ? " in the middle of a roll-out" : ""}: ${listing(states)}`;
    const see = late[0]?.metadata.name;
    const look =
      see === undefined
        ? `\`kubectl -n ${namespace} describe statefulset ${name}\` says why its pods are not created`
        : `\`kubectl -n ${namespace} describe pod ${see}\` says why`;
    if (!moves) {
      return [
        finding(
          "statefulset-not-whole-elsewhere",
          refOf("StatefulSet", set),
          `${why}; it has no pod on a node of this pool`,
          `nothing for this handover; ${look}`,
        ),
      ];
    }
    const found = finding(
      "statefulset-not-whole",
      refOf("StatefulSet", set),
      `${why}; none of its pods is moved before it is whole, so that two are never away at once`,
      updating
        ? `wait until the roll-out is through: \`kubectl -n ${namespace} rollout status statefulset/${name}\`; if it does not end, ${look}`
        : `bring it back to ${wanted} Ready, or scale it to what it is: ${look}`,
    );
    return [inHand.has(uid) ? { ...found, severity: "wait" as const } : found];
  });
}

const be = (ready: number, wanted: number): string => (ready === 1 || wanted === 1 ? "is" : "are");

const isUpdating = ({ status }: ReplicaOwner): boolean =>
  status?.updateRevision !== undefined &&
  status.currentRevision !== undefined &&
  status.updateRevision !== status.currentRevision;

function daemonSets({ picture }: Scene): Finding[] {
  return picture.all("DaemonSet").flatMap((set) => {
    const { desiredNumberScheduled: wanted = 0, numberReady: ready = 0 } = set.status ?? {};
    if (ready >= wanted || set.metadata.deletionTimestamp !== undefined) return [];
    const { name, namespace, uid } = set.metadata;
    const late = picture
      .podsOf(uid)
      .filter((pod) => !isPodReady(pod))
      .toSorted(byName)
      .map((pod) => `pod ${podName(pod)} on node ${pod.spec?.nodeName ?? "(none)"} ${stateOf(pod)}`);
    const states = late.length === 0 ? "" : `: ${listing(late)}`;
    return [
      finding(
        "daemonset-not-whole",
        refOf("DaemonSet", set),
        `${ready} of ${count(wanted, "pod")} ${be(ready, wanted)} Ready${states}`,
        `\`kubectl -n ${namespace} describe daemonset ${name}\`; green's nodes need it Ready before anything moves there`,
      ),
    ];
  });
}

/** PatchGuard moves such pods one at a time, but nobody else is bound to: a budget is what holds for every evictor. */
function unguarded({ picture, moving }: Scene): Finding[] {
  const here = moving.filter((pod) => !isTerminating(pod));
  return topOwners(picture, here).flatMap((owner) => {
    if (owner.wanted < 2 || !isReplicated(owner)) return [];
    if (owner.pods.some((pod) => picture.budgetsOf(pod).length > 0)) return [];
    const { kind, name, namespace, uid, wanted, pods, selector } = owner;
    const labels = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
    const create =
      labels.length === 0 || (selector?.matchExpressions ?? []).length > 0
        ? `give it a PodDisruptionBudget with maxUnavailable 1 in namespace ${namespace}`
        : `\`kubectl -n ${namespace} create pdb ${name} --selector=${labels.join(",")} --max-unavailable=1\``;
    return [
      finding(
        "no-budget",
        { kind, namespace, name, uid },
        `it wants ${wanted} replicas, ${pods.length} of them ${pods.length === 1 ? "moves" : "move"}, and no PodDisruptionBudget selects them: PatchGuard moves one at a time, other evictors (autoscalers, kubectl drain) need not`,
        create,
      ),
    ];
  });
}

/** Jobs' pods do not come back, and DaemonSets' do not move. A kind that nobody here knows counts if its pods are to run for ever. */
function isReplicated({ apiVersion, kind, pods }: TopOwner): boolean {
  if (kind === "DaemonSet" || kind === "Job") return false;
  if (apiVersion.startsWith("apps/")) return true;
  return pods.every(runsForEver);
}

const runsForEver = ({ spec }: Pod): boolean => spec?.restartPolicy === "Always";
