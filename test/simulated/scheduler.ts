import type { Node, Pod, Taint, Toleration } from "../../rollout/cluster/types.ts";
import type { Random } from "./random.ts";
import { requirementHolds } from "./select.ts";
import { iso, type Store } from "./store.ts";
import { isFinished, isGoing, ownerOf } from "./workloads.ts";

const NAME = "scheduler";

/** Fields of a pod's spec that only the simulated scheduler reads. */
export interface SpreadSpec {
  /** Required anti-affinity over hostnames with pods of the same owner. */
  oneHostEach?: boolean;
}

export interface SchedulerTimes {
  /** Milliseconds from a change to the next look at the queue. */
  lag: () => number;
  /** Milliseconds from the decision to the bind: in between, a node may be cordoned, and the bind happens all the same. */
  bind: () => number;
}

/**
 * Places pending pods. Filters: Ready, schedulable, taints, node selector, pod count, CPU, the volumes' zones, anti-affinity.
 * Preference: no PreferNoSchedule taint, then few pods of the same owner, then few pods, then chance.
 */
export function startScheduler(store: Store, times: SchedulerTimes, random: Random): void {
  const assumed = new Map<string, string>(); // pod UID to node: decided, not bound yet
  let due = false;
  const wake = (): void => {
    if (due) return;
    due = true;
    store.clock.after(times.lag(), NAME, () => {
      due = false;
      pass();
    });
  };
  const pass = (): void => {
    const placed = store.all("Pod").filter((pod) => pod.spec?.nodeName !== undefined && !isFinished(pod));
    const load = new Map<string, Pod[]>();
    const add = (node: string, pod: Pod): void => void load.set(node, [...(load.get(node) ?? []), pod]);
    for (const pod of placed) add(pod.spec?.nodeName as string, pod);
    const queue = store
      .all("Pod")
      .filter((pod) => pod.spec?.nodeName === undefined && !isGoing(pod) && !isFinished(pod));
    for (const pod of queue) {
      const node = assumed.get(pod.metadata.uid);
      if (node !== undefined) add(node, pod);
    }
    for (const pod of queue) {
      if (assumed.has(pod.metadata.uid)) continue;
      const { node, why } = choose(store, pod, load, random);
      if (node === undefined) {
        refuse(store, pod, why);
        continue;
      }
      add(node, pod);
      assumed.set(pod.metadata.uid, node);
      store.clock.after(times.bind(), `${NAME}: bind ${pod.metadata.name}`, () => {
        assumed.delete(pod.metadata.uid);
        bind(store, pod, node);
        wake();
      });
    }
  };
  store.onChange(({ kind, type, by }) => {
    if (by === NAME) return;
    if (kind === "Node" || (kind === "Pod" && type !== "MODIFIED") || kind === "PersistentVolumeClaim")
      wake();
  });
}

/** The API server does not ask whether the node is schedulable; it refuses only a pod that goes, and a node that is gone has no kubelet. */
function bind(store: Store, pod: Pod, node: string): void {
  const current = store.get("Pod", pod.metadata.name, pod.metadata.namespace);
  if (current?.metadata.uid !== pod.metadata.uid || isGoing(current) || store.get("Node", node) === undefined)
    return;
  store.update(
    "Pod",
    current,
    (draft) => {
      draft.spec = { ...draft.spec, nodeName: node };
      const others = (draft.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
      draft.status = {
        ...draft.status,
        conditions: [
          ...others,
          { type: "PodScheduled", status: "True", lastTransitionTime: iso(store.clock.now()) },
        ],
      };
    },
    NAME,
  );
}

function refuse(store: Store, pod: Pod, message: string): void {
  store.update(
    "Pod",
    pod,
    (draft) => {
      const old = (draft.status?.conditions ?? []).find(({ type }) => type === "PodScheduled");
      const others = (draft.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
      const since = old?.status === "False" ? old.lastTransitionTime : iso(store.clock.now());
      const condition = {
        type: "PodScheduled",
        status: "False",
        reason: "Unschedulable",
        message,
        ...(since !== undefined && { lastTransitionTime: since }),
      };
      draft.status = { ...draft.status, conditions: [...others, condition] };
    },
    NAME,
  );
}

export function choose(
  store: Store,
  pod: Pod,
  load: ReadonlyMap<string, Pod[]>,
  random: Random,
): { node: string | undefined; why: string } {
  const why = new Map<string, number>();
  const fitting: { name: string; rank: number[] }[] = [];
  const nodes = store.all("Node");
  for (const node of nodes) {
    const here = load.get(node.metadata.name) ?? [];
    const reason = unfit(store, pod, node, here);
    if (reason !== undefined) why.set(reason, (why.get(reason) ?? 0) + 1);
    else fitting.push({ name: node.metadata.name, rank: rankOf(pod, node, here) });
  }
  if (fitting.length === 0) {
    const reasons = [...why].map(([reason, count]) => `${count} ${reason}`).toSorted();
    return { node: undefined, why: `0/${nodes.length} nodes are available: ${reasons.join(", ")}.` };
  }
  fitting.sort((a, b) => compare(a.rank, b.rank));
  const best = fitting.filter((it) => compare(it.rank, fitting[0]?.rank ?? []) === 0);
  return { node: random.pick(best).name, why: "" };
}

/** Why the pod cannot go there, in the scheduler's words; undefined when it can. */
export function unfit(store: Store, pod: Pod, node: Node, here: readonly Pod[]): string | undefined {
  const tolerations = pod.spec?.tolerations ?? [];
  const labels = node.metadata.labels ?? {};
  const ready = (node.status?.conditions ?? []).some(
    ({ type, status }) => type === "Ready" && status === "True",
  );
  if (!ready) return "node(s) had untolerated taint {node.kubernetes.io/not-ready: }";
  const cordon = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
  if (node.spec?.unschedulable && !tolerations.some((it) => tolerates(it, cordon)))
    return "node(s) were unschedulable";
  for (const taint of node.spec?.taints ?? []) {
    if (taint.effect === "PreferNoSchedule" || tolerations.some((it) => tolerates(it, taint))) continue;
    return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`;
  }
  if (!Object.entries(pod.spec?.nodeSelector ?? {}).every(([key, value]) => labels[key] === value)) {
    return "node(s) didn't match Pod's node affinity/selector";
  }
  const { pods, cpu } = node.status?.allocatable ?? {};
  if (pods !== undefined && here.length >= Number(pods)) return "Too many pods";
  if (cpu !== undefined && here.reduce((sum, it) => sum + cpuOf(it), cpuOf(pod)) > milli(cpu))
    return "Insufficient cpu";
  if (!volumesFit(store, pod, labels)) return "node(s) had volume node affinity conflict";
  const alone = (pod.spec as SpreadSpec | undefined)?.oneHostEach;
  if (alone && here.some((it) => ownerOf(it)?.uid === ownerOf(pod)?.uid))
    return "node(s) didn't match pod anti-affinity rules";
  return undefined;
}

export function tolerates({ key, operator = "Equal", value, effect }: Toleration, taint: Taint): boolean {
  if (effect !== undefined && effect !== "" && effect !== taint.effect) return false;
  if (key === undefined || key === "") return operator === "Exists";
  return key === taint.key && (operator === "Exists" || (value ?? "") === (taint.value ?? ""));
}

const milli = (text: string): number =>
  text.endsWith("m") ? Number(text.slice(0, -1)) : Number(text) * 1000;
const cpuOf = (pod: Pod): number =>
  (pod.spec?.containers ?? []).reduce(
    (sum, { resources }) => sum + milli(resources?.requests?.["cpu"] ?? "0"),
    0,
  );

function volumesFit(store: Store, pod: Pod, labels: Record<string, string>): boolean {
  return (pod.spec?.volumes ?? []).every(({ persistentVolumeClaim: claim }) => {
    if (claim === undefined) return true;
    const name = store.get("PersistentVolumeClaim", claim.claimName, pod.metadata.namespace)?.spec
      ?.volumeName;
    if (name === undefined) return false;
    const terms = store.get("PersistentVolume", name)?.spec?.nodeAffinity?.required?.nodeSelectorTerms;
    return (
      terms === undefined ||
      terms.some(({ matchExpressions = [] }) => matchExpressions.every((it) => requirementHolds(it, labels)))
    );
  });
}

/** Smaller is better, the first difference decides. */
function rankOf(pod: Pod, node: Node, here: readonly Pod[]): number[] {
  const tolerations = pod.spec?.tolerations ?? [];
  const disliked = (node.spec?.taints ?? []).filter(
    (it) => it.effect === "PreferNoSchedule" && !tolerations.some((to) => tolerates(to, it)),
  );
  const owner = ownerOf(pod)?.uid;
  return [
    disliked.length,
    here.filter((it) => owner !== undefined && ownerOf(it)?.uid === owner).length,
    here.length,
  ];
}

const compare = (a: number[], b: number[]): number =>
  a.reduce((result, value, i) => result || value - (b[i] ?? 0), 0);
