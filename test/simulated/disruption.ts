import type { Kinds, Pod, PodDisruptionBudget } from "../../rollout/cluster/types.ts";
import { hasReadyCondition } from "./eviction.ts";
import { selectorMatches } from "./select.ts";
import type { Store } from "./store.ts";

/** How long the controller believes in an eviction whose pod is not deleted. */
const DELETION_TIMEOUT_MS = 120_000;
const NAME = "disruption-controller";

/** Where the controller reads: the store of a simulation, or a fixed set of objects. */
export interface Objects {
  clock: { now(): number };
  all(kind: "Pod"): Pod[];
  get<K extends "ReplicaSet" | "StatefulSet">(
    kind: K,
    name: string,
    namespace?: string,
  ): Kinds[K] | undefined;
}

/** What a budget's status should say, from the objects as they are (pkg/controller/disruption of Kubernetes 1.34). */
export function budgetStatus(
  store: Objects,
  budget: PodDisruptionBudget,
): NonNullable<PodDisruptionBudget["status"]> {
  const now = store.clock.now();
  const pods = podsOf(store, budget);
  const { expectedPods, desiredHealthy } = expected(store, budget, pods);
  const disruptedPods: Record<string, string> = {};
  for (const { metadata } of pods) {
    const since = budget.status?.disruptedPods?.[metadata.name];
    if (since === undefined || metadata.deletionTimestamp !== undefined) continue;
    if (Date.parse(since) + DELETION_TIMEOUT_MS >= now) disruptedPods[metadata.name] = since;
  }
  const currentHealthy = pods.filter(
    (pod) =>
      pod.metadata.deletionTimestamp === undefined &&
      !(pod.metadata.name in disruptedPods) &&
      hasReadyCondition(pod),
  ).length;
  return {
    currentHealthy,
    desiredHealthy,
    expectedPods,
    disruptionsAllowed: expectedPods <= 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy),
    disruptedPods,
    observedGeneration: budget.metadata.generation ?? 1,
  };
}

/** Pods that the budget selects, finished ones included (they are never Ready). */
export const podsOf = (store: Objects, budget: PodDisruptionBudget): Pod[] =>
  store
    .all("Pod")
    .filter(
      (pod) =>
        pod.metadata.namespace === budget.metadata.namespace &&
        selectorMatches(budget.spec?.selector, pod.metadata.labels),
    );

function expected(
  store: Objects,
  { spec }: PodDisruptionBudget,
  pods: Pod[],
): { expectedPods: number; desiredHealthy: number } {
  if (spec?.maxUnavailable !== undefined) {
    const expectedPods = scaleOf(store, pods);
    return {
      expectedPods,
      desiredHealthy: Math.max(0, expectedPods - scaled(spec.maxUnavailable, expectedPods)),
    };
  }
  if (typeof spec?.minAvailable === "number")
    return { expectedPods: pods.length, desiredHealthy: spec.minAvailable };
  if (spec?.minAvailable === undefined) return { expectedPods: 0, desiredHealthy: 0 };
  const expectedPods = scaleOf(store, pods);
  return { expectedPods, desiredHealthy: scaled(spec.minAvailable, expectedPods) };
}

/** Percentages are rounded up, for minAvailable and maxUnavailable alike. */
const scaled = (value: number | string, total: number): number =>
  typeof value === "number" ? value : Math.ceil((Number.parseInt(value, 10) * total) / 100);

/** The replicas that the pods' controllers should have, each controller counted once; pods without one do not count. */
function scaleOf(store: Objects, pods: Pod[]): number {
  const scales = new Map<string, number>();
  for (const { metadata } of pods) {
    const owner = metadata.ownerReferences?.find(({ controller }) => controller);
    if (owner === undefined || (owner.kind !== "ReplicaSet" && owner.kind !== "StatefulSet")) continue;
    const object = store.get(owner.kind, owner.name, metadata.namespace);
    if (object?.metadata.uid === owner.uid) scales.set(owner.uid, object.spec?.replicas ?? 1);
  }
  return [...scales.values()].reduce((sum, scale) => sum + scale, 0);
}

/** Keeps the status of all budgets, each a lag after the change that moved it. */
export function startDisruptionController(store: Store, lag: () => number): void {
  const due = new Set<string>();
  const enqueue = (budget: PodDisruptionBudget, delay = lag()): void => {
    const { uid, name, namespace } = budget.metadata;
    if (due.has(uid)) return;
    due.add(uid);
    store.clock.after(delay, `${NAME}: budget ${name}`, () => {
      due.delete(uid);
      const current = store.get("PodDisruptionBudget", name, namespace);
      if (current?.metadata.uid !== uid) return;
      const status = budgetStatus(store, current);
      const written = store.update("PodDisruptionBudget", current, (draft) => (draft.status = status), NAME);
      if (written && Object.keys(status.disruptedPods ?? {}).length > 0) recheck(written);
    });
  };
  const recheck = (budget: PodDisruptionBudget): void =>
    void store.clock.after(DELETION_TIMEOUT_MS + 1000, `${NAME}: recheck ${budget.metadata.name}`, () =>
      enqueue(budget),
    );
  store.onChange(({ kind, object, type, by }) => {
    if (kind === "PodDisruptionBudget" && type !== "DELETED" && by !== NAME)
      enqueue(object as PodDisruptionBudget);
    if (kind !== "Pod" && kind !== "ReplicaSet" && kind !== "StatefulSet") return;
    for (const budget of store.all("PodDisruptionBudget")) {
      if (budget.metadata.namespace !== object.metadata.namespace) continue;
      if (kind !== "Pod" || selectorMatches(budget.spec?.selector, object.metadata.labels)) enqueue(budget);
    }
  });
}
