/** Promise 1, computed from pods and the budget's spec alone: the status lags and is not trusted. */
import type { Violation } from "../observation.ts";
import { isProduct } from "../observation.ts";
import type { Budget, Pod } from "../objects.ts";
import { controllerOf, isHealthy, keyOf, scaled, selects } from "../objects.ts";
import type { Cause, PodRecord, WatchState } from "../state.ts";
import { budgetsOver } from "./selection.ts";
import { noteSelection } from "./unguarded.ts";
import { violation } from "./violation.ts";

/**
 * A pod that failed, or a controller that was given more replicas, this shortly before an eviction was granted: the budget's
 * status, which the API server decides by, could not know it yet. That race belongs to Kubernetes, and is noted, not held
 * against PatchGuard.
 */
const STATUS_LAG_MS = 2000;

export interface BudgetReading {
  healthy: number;
  desired: number;
  expected: number;
}

export function podsOf(state: WatchState, budget: Budget): PodRecord[] {
  const namespace = budget.metadata.namespace;
  return [...state.pods.values()].filter(
    ({ pod }) =>
      pod.metadata.namespace === namespace && selects(budget.spec?.selector, pod.metadata.labels ?? {}),
  );
}

/**
 * How many pods are healthy, and how many the budget wants (the arithmetic of the disruption controller).
 * @param known growth after this moment is not counted
 */
export function readBudget(state: WatchState, budget: Budget, known = Infinity): BudgetReading {
  const pods = podsOf(state, budget).map((record) => record.pod);
  const healthy = pods.filter(isHealthy).length;
  const expected = expectedScale(state, pods, known);
  const { minAvailable = 1, maxUnavailable } = budget.spec ?? {};
  const desired =
    maxUnavailable !== undefined
      ? Math.max(0, expected - scaled(maxUnavailable, expected))
      : scaled(minAvailable, expected);
  return { healthy, expected, desired };
}

/** The sum of the replicas that the pods' controllers want. */
function expectedScale(state: WatchState, pods: Pod[], known: number): number {
  const replicas = new Map<string, number>();
  for (const pod of pods) {
    const owner = controllerOf(pod);
    if (owner === undefined) continue;
    const set = state.scaled.get(owner.uid);
    const above = set === undefined ? undefined : controllerOf(set);
    const top = (above === undefined ? undefined : state.scaled.get(above.uid)) ?? set;
    if (top === undefined) {
      // a controller of a kind that is not watched: what it runs is all there is to know
      replicas.set(owner.uid, (replicas.get(owner.uid) ?? 0) + 1);
    } else {
      const growth = state.grown.get(top.metadata.uid);
      const wanted = top.spec?.replicas ?? 1;
      replicas.set(top.metadata.uid, growth !== undefined && growth.at > known ? growth.from : wanted);
    }
  }
  return [...replicas.values()].reduce((sum, each) => sum + each, 0);
}

/** Called after a healthy pod began to terminate: did that take a budget below what it wants? */
export function judgeLoss(state: WatchState, record: PodRecord, cause: Cause, at: number): Violation[] {
  if (!isProduct(cause.actor)) return [];
  const found: Violation[] = [];
  for (const budget of budgetsOver(state, record.pod)) {
    const { healthy, desired } = readBudget(state, budget);
    if (healthy >= desired) continue;
    const name = keyOf(budget);
    const others = podsOf(state, budget).filter(
      (other) =>
        other !== record &&
        ((other.failedAt ?? -Infinity) > at - STATUS_LAG_MS ||
          (other.ended !== undefined &&
            other.ended.at > at - STATUS_LAG_MS &&
            !isProduct(other.ended.cause.actor))),
    ).length;
    const what = `${cause.how} of ${keyOf(record.pod)} left ${healthy} ready pods where ${desired} must be`;
    const before = readBudget(state, budget, at - STATUS_LAG_MS).desired;
    if (cause.how === "eviction" && before < desired && healthy >= before) {
      state.notes.push(`budget ${name}: ${what}; its pods' controller had just grown, a race of the API`);
    } else if (cause.how === "eviction" && healthy + others >= desired) {
      state.notes.push(
        `budget ${name}: ${what}; ${others} others failed in the same moment, a race of the API`,
      );
    } else {
      found.push(violation("budget", `budget ${name}`, at, cause.actor, what));
    }
  }
  return found;
}

/** Keeps each budget's worst moment, whoever caused it, from when all its pods were ready for the first time. */
export function measureBudgets(state: WatchState, pod: Pod): void {
  for (const budget of budgetsOver(state, pod)) {
    const entry = state.budgets.get(keyOf(budget));
    if (entry === undefined) continue;
    const { healthy, desired, expected } = readBudget(state, budget);
    const stats = entry.stats;
    stats.whole ||= expected > 0 && healthy >= expected;
    if (!stats.whole) continue;
    stats.minHealthy = Math.min(stats.minHealthy, healthy);
    stats.maxUnavailable = Math.max(stats.maxUnavailable, expected - healthy);
    if (healthy < desired && !stats.below) stats.breaches += 1;
    stats.below = healthy < desired;
  }
}

export function onBudget(state: WatchState, budget: Budget, change: string, at: number): void {
  const key = keyOf(budget);
  const gate = state.preflight;
  noteSelection(state, state.budgets.get(key)?.budget, change === "DELETED" ? undefined : budget, at);
  if (change === "DELETED") {
    state.budgets.delete(key);
    if (gate.budget === key) state.preflight = { state: "passed" };
    return;
  }
  const before = state.budgets.get(key);
  const zero = budget.status?.disruptionsAllowed === 0 && (budget.status.expectedPods ?? 0) > 0;
  state.budgets.set(key, {
    budget,
    stats: before?.stats ?? {
      minHealthy: Infinity,
      maxUnavailable: 0,
      breaches: 0,
      below: false,
      whole: false,
    },
    ...(zero ? { zeroSince: before?.zeroSince ?? at } : {}),
  });
  if (gate.state === "blocked" && gate.budget === key && (budget.status?.disruptionsAllowed ?? 0) > 0) {
    state.preflight = { state: "passed" };
  }
}
