/** The default of one pod at a time, for workloads that no budget guards. StatefulSets have a rule of their own. */
import type { Violation } from "../observation.ts";
import { isProduct } from "../observation.ts";
import type { Budget, Pod } from "../objects.ts";
import { controllerOf, isHealthy, keyOf } from "../objects.ts";
import type { Cause, PodRecord, WatchState } from "../state.ts";
import { budgetsOver } from "./selection.ts";
import { violation } from "./violation.ts";

/** So long after a budget has gone, or selects other pods, whoever evicts may not know it yet. */
const BUDGET_LAG_MS = 2000;
/** Kinds whose pods nobody waits for, or that another rule judges. */
const OTHERS = new Set(["StatefulSet", "DaemonSet", "Job"]);

interface Top {
  uid: string;
  /** `deployment shop/web` */
  name: string;
  /** Undefined for kinds that are not watched (an operator's). */
  wanted: number | undefined;
}

/** The controller that counts: a Deployment with all of its ReplicaSets is one workload. */
function topOf(state: WatchState, pod: Pod): Top | undefined {
  const owner = controllerOf(pod);
  if (owner === undefined || OTHERS.has(owner.kind)) return undefined;
  const set = state.scaled.get(owner.uid);
  const above = set === undefined ? undefined : controllerOf(set);
  const { kind, name, uid } = above ?? owner;
  const spec = (above === undefined ? set : (state.scaled.get(above.uid) ?? set))?.spec;
  return {
    uid,
    name: `${kind.toLowerCase()} ${pod.metadata.namespace ?? ""}/${name}`,
    wanted: spec === undefined ? undefined : (spec.replicas ?? 1),
  };
}

/** A pod is no longer healthy, or begins to terminate, and not by PatchGuard's hand: its place is not PatchGuard's to fill. */
export function noteLost(state: WatchState, before: Pod): void {
  const taken = state.taken.get(topOf(state, before)?.uid ?? "");
  if (taken !== undefined && isHealthy(before)) taken.lost += 1;
}

/** Called when PatchGuard made a pod terminate; `before`: as it was just before that. */
export function judgeUnguarded(
  state: WatchState,
  record: PodRecord,
  before: Pod,
  cause: Cause,
  at: number,
): Violation[] {
  const top = topOf(state, before);
  // one that was not healthy served nobody
  if (top === undefined || !isProduct(cause.actor) || !isHealthy(before)) return [];
  const others = [...state.pods.values()].filter(
    (other) => other !== record && isHealthy(other.pod) && topOf(state, other.pod)?.uid === top.uid,
  );
  const healthy = others.length + 1;
  const last = state.taken.get(top.uid);
  state.taken.set(top.uid, { pod: keyOf(before), healthy, lost: 0 });
  const guarded = budgetsOver(state, before).length > 0 || at - state.selectionChangedAt < BUDGET_LAG_MS;
  if (last === undefined || guarded) return [];
  const due = Math.min(last.healthy, top.wanted ?? Infinity) - last.lost;
  if (healthy >= due) return [];
  const what = `${cause.how} of ${keyOf(before)}, which no budget guards, while ${last.pod} was not replaced: ${healthy} were healthy, ${due} before it`;
  return [violation("unguarded-overlap", top.name, at, cause.actor, what)];
}

/** When a budget goes, or selects other pods, pods may have become unguarded. */
export function noteSelection(
  state: WatchState,
  before: Budget | undefined,
  now: Budget | undefined,
  at: number,
): void {
  if (before === undefined) return;
  const same = JSON.stringify(before.spec?.selector) === JSON.stringify(now?.spec?.selector);
  if (now === undefined || !same) state.selectionChangedAt = at;
}
