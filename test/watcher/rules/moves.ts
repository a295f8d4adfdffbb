/** Promise 5: no pod is moved twice on the way forward. Follows each place of a workload through its pods. */
import type { Violation } from "../observation.ts";
import { isProduct } from "../observation.ts";
import type { Pod } from "../objects.ts";
import { controllerOf, keyOf } from "../objects.ts";
import type { Cause, PodRecord, Slot, WatchState } from "../state.ts";
import { currentLeg } from "../state.ts";
import { violation } from "./violation.ts";

/** The slot of a pod seen for the first time: its ordinal's, that of a pod it replaces, or a new one. */
export function slotFor(state: WatchState, pod: Pod): Slot {
  const owner = controllerOf(pod);
  if (owner?.kind === "StatefulSet") {
    const key = `${owner.uid}/${pod.metadata.name}`;
    const known = state.ordinals.get(key);
    if (known !== undefined) return known;
    const slot = newSlot(state, pod);
    state.ordinals.set(key, slot);
    return slot;
  }
  const vacant = owner === undefined ? undefined : state.vacant.get(owner.uid)?.shift();
  return vacant ?? newSlot(state, pod);
}

function newSlot(state: WatchState, pod: Pod): Slot {
  const slot: Slot = { id: keyOf(pod), moves: [] };
  state.slots.push(slot);
  return slot;
}

/** A pod ended: its controller will create another in its place, unless that controller itself wanted fewer. */
export function vacate(state: WatchState, record: PodRecord, cause: Cause): void {
  const owner = controllerOf(record.pod);
  if (owner === undefined || owner.kind === "StatefulSet" || owner.kind === "DaemonSet") return;
  const scaledDown =
    cause.actor.name === "kube-controller-manager" && /replicaset|job/.test(cause.actor.detail ?? "");
  if (scaledDown) return;
  const vacant = state.vacant.get(owner.uid) ?? [];
  vacant.push(record.slot);
  state.vacant.set(owner.uid, vacant);
}

/** Called when PatchGuard made a pod terminate. */
export function judgeMove(state: WatchState, record: PodRecord, cause: Cause, at: number): Violation[] {
  if (!isProduct(cause.actor)) return [];
  const leg = currentLeg(state);
  const earlier = record.slot.moves.filter((move) => move.leg === leg);
  record.slot.moves.push({ at, leg, from: record.pod.spec?.nodeName ?? "" });
  const last = earlier.at(-1);
  if (last === undefined || state.secondMoves !== undefined) return [];
  const name = keyOf(record.pod);
  const past = record.slot.id === name ? "it" : `it replaces ${record.slot.id}, which`;
  return [
    violation(
      "moved-twice",
      `pod ${name}`,
      at,
      cause.actor,
      `evicted from ${record.pod.spec?.nodeName ?? "no node"}, though ${past} was moved off ${last.from} at ${new Date(last.at).toISOString()}`,
    ),
  ];
}
