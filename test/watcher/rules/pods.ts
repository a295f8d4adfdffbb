/** What happens to pods: the moment one begins to terminate is the disruption, and everything is judged there. */
import type { ObjectSeen, Violation } from "../observation.ts";
import { isProduct, NOBODY, showActor } from "../observation.ts";
import type { Pod } from "../objects.ts";
import { isHealthy, isTerminating, isWorkload, keyOf } from "../objects.ts";
import type { Cause, PodRecord, WatchState } from "../state.ts";
import { currentLeg } from "../state.ts";
import { judgeLoss, measureBudgets } from "./budgets.ts";
import { judgeLease } from "./lease.ts";
import { judgeMove, slotFor, vacate } from "./moves.ts";
import { judgeDrain, noteWorkload } from "./nodes.ts";
import { judgeTouch } from "./preflight.ts";
import { causeOf, isEviction, writersOf } from "./requests.ts";
import { judgeStatefulSet } from "./statefulsets.ts";
import { judgeUnguarded, noteLost } from "./unguarded.ts";
import { violation } from "./violation.ts";

const WRITER_WINDOW_MS = 5000;

export function onPod(state: WatchState, event: ObjectSeen, pod: Pod): Violation[] {
  const { at, change } = event;
  const uid = pod.metadata.uid;
  const known = state.pods.get(uid);
  if (known === undefined && change === "DELETED") return [];
  const record: PodRecord = known ?? { pod, slot: slotFor(state, pod) };
  const before = record.pod;
  // the state before the first change counts, too: the start snapshot itself is measured by nothing else
  if (known !== undefined && change !== "INITIAL") measureBudgets(state, before);
  record.pod = pod;
  state.pods.set(uid, record);
  const found = known === undefined ? [] : judgeFinalizers(state, before, pod, at);

  const ends = record.ended === undefined && (isTerminating(pod) || change === "DELETED");
  if (ends && change === "INITIAL") {
    record.ended = { at, cause: { actor: { name: "somebody before the watcher" }, how: "unknown" } };
    vacate(state, record, record.ended.cause);
  } else if (ends) {
    found.push(...onEnd(state, record, before, event));
  } else if (record.ended !== undefined && change === "MODIFIED") {
    found.push(...judgeShortened(state, before, pod, at));
  } else if (record.ended === undefined) {
    if (isHealthy(before) && !isHealthy(pod)) {
      record.failedAt = at;
      noteLost(state, before);
    }
    if (pod.status?.phase === "Failed") {
      record.ended = { at, cause: { actor: NOBODY, how: "unknown" } };
      vacate(state, record, record.ended.cause);
    }
  }
  if (change === "DELETED") state.pods.delete(uid);
  if (change !== "INITIAL") measureBudgets(state, pod);
  noteWorkload(state, pod, at);
  return found;
}

/** The pod begins to terminate, or is gone at once. */
function onEnd(state: WatchState, record: PodRecord, before: Pod, event: ObjectSeen): Violation[] {
  const { at } = event;
  const { pod } = record;
  const cause = causeOf(state, pod);
  record.ended = { at, cause };
  vacate(state, record, cause);
  if (!isProduct(cause.actor)) noteLost(state, before);
  if (!isWorkload(before) || !isWorkload(pod)) return [];
  const node = pod.spec?.nodeName ?? "";
  state.disruptions.push({ at, pod: keyOf(pod), node, cause, leg: currentLeg(state) });
  if (cause.actor.name === "machine-room") return judgeCloud(state, pod, cause, at);
  if (!isProduct(cause.actor)) return [];
  // counted before the pod is taken out of the books, and only if it was healthy: an unready pod breaks no budget
  const gone = event.change === "DELETED" ? state.pods.delete(pod.metadata.uid) : false;
  const found = [
    ...judgeTouch(state, `pod ${keyOf(pod)}`, cause.actor, cause.how, at),
    ...judgeLease(state, `pod ${keyOf(pod)}`, cause.actor, at),
    ...(isHealthy(before) ? judgeLoss(state, record, cause, at) : []),
    ...judgeGrace(pod, cause, at),
    ...judgeDrain(state, node, pod, cause, at),
    ...judgeStatefulSet(state, record, cause, at),
    ...judgeUnguarded(state, record, before, cause, at),
    ...judgeMove(state, record, cause, at),
  ];
  if (gone) state.pods.set(pod.metadata.uid, record);
  return found;
}

/** The cloud disrupts pods when it deletes a group, or rolls one: never, unless the test declared the loss. */
function judgeCloud(state: WatchState, pod: Pod, cause: Cause, at: number): Violation[] {
  const node = pod.spec?.nodeName ?? "";
  if (state.losses.has(node)) return [];
  return [
    violation(
      "pod-lost",
      `pod ${keyOf(pod)}`,
      at,
      cause.actor,
      `${cause.how} of a workload pod on ${node} by the cloud`,
    ),
  ];
}

function judgeGrace(pod: Pod, cause: Cause, at: number): Violation[] {
  if (pod.spec?.nodeName === undefined) return []; // never started: the server itself sets 0
  const wanted = pod.spec.terminationGracePeriodSeconds ?? 30;
  const given = pod.metadata.deletionGracePeriodSeconds ?? 0;
  if (given >= wanted) return [];
  return [
    violation(
      "grace-shortened",
      `pod ${keyOf(pod)}`,
      at,
      cause.actor,
      `${given} s of grace instead of ${wanted} s`,
    ),
  ];
}

/** A pod that terminates already gets less time by a second eviction. */
function judgeShortened(state: WatchState, before: Pod, pod: Pod, at: number): Violation[] {
  const had = before.metadata.deletionGracePeriodSeconds ?? 0;
  const has = pod.metadata.deletionGracePeriodSeconds ?? 0;
  if (has >= had) return [];
  const book = state.requests.get(`pods ${keyOf(pod)}`) ?? [];
  const last = book.filter((r) => isEviction(r) || r.verb === "delete").at(-1);
  if (last === undefined || !isProduct(last.actor)) return [];
  return [
    violation("grace-shortened", `pod ${keyOf(pod)}`, at, last.actor, `from ${had} s of grace to ${has} s`),
  ];
}

function judgeFinalizers(state: WatchState, before: Pod, pod: Pod, at: number): Violation[] {
  const left = new Set(pod.metadata.finalizers ?? []);
  const removed = (before.metadata.finalizers ?? []).filter((each) => !left.has(each));
  if (removed.length === 0) return [];
  const writers = writersOf(state, "pods", pod.metadata, at - WRITER_WINDOW_MS);
  const ours = writers.find(isProduct);
  if (ours === undefined) return [];
  const all = writers.map(showActor).join(", ");
  return [
    violation(
      "finalizer-stripped",
      `pod ${keyOf(pod)}`,
      at,
      ours,
      `finalizer ${removed.join(", ")} removed (writers: ${all})`,
    ),
  ];
}
