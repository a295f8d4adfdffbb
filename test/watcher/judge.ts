/**
 * The judge: one observation at a time, in order, over plain state. No clock and no connection, so that every way of
 * breaking a promise can be told as a table.
 */
import type { Mark, Observation, ObjectSeen, Violation } from "./observation.ts";
import { UNKNOWN } from "./observation.ts";
import { keyOf, type Scaled } from "./objects.ts";
import { onBudget } from "./rules/budgets.ts";
import { onLease } from "./rules/lease.ts";
import { onNode } from "./rules/nodes.ts";
import { onPod } from "./rules/pods.ts";
import { onRequest } from "./rules/requests.ts";
import { violation } from "./rules/violation.ts";
import type { WatchState } from "./state.ts";

/** Takes one observation into `state` and tells which promises it breaks (they are kept in the state, too). */
export function judge(state: WatchState, observation: Observation): Violation[] {
  state.at = Math.max(state.at, observation.at);
  const found = dispatch(state, observation);
  state.violations.push(...found);
  return found;
}

function dispatch(state: WatchState, observation: Observation): Violation[] {
  switch (observation.type) {
    case "object":
      return onObject(state, observation);
    case "request":
      return onRequest(state, observation);
    case "mark":
      onMark(state, observation.mark, observation.at);
      return [];
    case "blind":
      return [violation("blind", "watcher", observation.at, UNKNOWN, observation.what)];
  }
}

function onObject(state: WatchState, event: ObjectSeen): Violation[] {
  const { object, change, at } = event;
  const gone = change === "DELETED";
  switch (object.kind) {
    case "Pod":
      return onPod(state, event, object);
    case "Node":
      return onNode(state, event, object);
    case "PodDisruptionBudget":
      onBudget(state, object, change, at);
      return [];
    case "StatefulSet":
    case "ReplicaSet":
    case "Deployment":
      noteGrowth(state, object, at);
      put(state.scaled, object.metadata.uid, object, gone);
      return [];
    case "VolumeAttachment":
      put(state.attachments, object.metadata.name, object, gone);
      return [];
    case "PersistentVolumeClaim":
      put(state.claims, keyOf(object), object, gone);
      return [];
    case "Lease":
      return onLease(state, event, object);
    case "PersistentVolume":
    case "Event":
    case "ConfigMap":
      return [];
  }
}

function noteGrowth(state: WatchState, { metadata: { uid }, spec }: Scaled, at: number): void {
  const from = state.scaled.get(uid)?.spec?.replicas;
  if (from !== undefined && (spec?.replicas ?? 1) > from) state.grown.set(uid, { at, from });
}

function put<T>(map: Map<string, T>, key: string, value: T, gone: boolean): void {
  if (gone) map.delete(key);
  else map.set(key, value);
}

function onMark(state: WatchState, mark: Mark, at: number): void {
  switch (mark.mark) {
    case "preflight":
      state.preflight =
        mark.budget === undefined ? { state: mark.state } : { state: mark.state, budget: mark.budget };
      return;
    case "killed":
      state.killedAt = at;
      return;
    case "resumed":
      delete state.killedAt;
      state.run += 1;
      return;
    case "held":
      state.run += 1;
      for (const record of state.nodes.values()) {
        if (record.node.spec?.unschedulable !== true) record.finished = false;
      }
      return;
    case "leg":
      state.run += 1;
      state.legs.push(mark.name);
      delete state.secondMoves;
      for (const record of state.nodes.values()) {
        record.finished = false;
        delete record.emptySince;
      }
      return;
    case "loss":
      for (const node of mark.nodes) state.losses.set(node, mark.why);
      return;
    case "second-moves":
      state.secondMoves = mark.why;
      return;
    case "exempt":
      state.exempt.add(mark.budget);
      return;
  }
}
