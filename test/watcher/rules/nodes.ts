/** Nodes: who closed and reopened them, what others set, whether one goes away with pods on it (promises 3, 4, 5). */
import type { Actor, ObjectSeen, Violation } from "../observation.ts";
import { isProduct, showActor, UNKNOWN } from "../observation.ts";
import type { Node, Pod } from "../objects.ts";
import { isWorkload, keyOf } from "../objects.ts";
import { OUR_PREFIX } from "../names.ts";
import { managerOf, schedulingFields } from "./node-fields.ts";
import type { Cause, NodeRecord, WatchState } from "../state.ts";
import { judgeTouch } from "./preflight.ts";
import { writersOf } from "./requests.ts";
import { violation } from "./violation.ts";

/** A write and the event it causes are this close together. */
const WRITER_WINDOW_MS = 3000;
/** A cordoned node without workload pods for this long has been drained (binds may lag behind the cordon). */
const QUIET_MS = 5000;

export const workloadOn = (state: WatchState, node: string): Pod[] =>
  [...state.pods.values()]
    .map(({ pod }) => pod)
    .filter((pod) => pod.spec?.nodeName === node && isWorkload(pod));

export function onNode(state: WatchState, event: ObjectSeen, node: Node): Violation[] {
  const { at, change } = event;
  const name = node.metadata.name;
  const record = state.nodes.get(name);
  if (change === "DELETED") {
    state.nodes.delete(name);
    return judgeDeletion(state, node, at);
  }
  if (record === undefined) {
    state.nodes.set(name, { node, foreign: schedulingFields(node), closedByUs: false, finished: false });
    // A node of the cloud's, with a generation, that joins before pre-flight passed: its group was made too early.
    const early =
      change === "ADDED" &&
      state.preflight.state === "blocked" &&
      hasGeneration(node) &&
      !state.losses.has(name);
    if (!early) return [];
    return judgeTouch(state, `node ${name}`, UNKNOWN, "joined with a generation's label", at);
  }
  const before = schedulingFields(record.node);
  record.node = node;
  const after = schedulingFields(node);
  const found: Violation[] = [];
  for (const field of new Set([...before.keys(), ...after.keys()])) {
    const [from, to] = [before.get(field), after.get(field)];
    if (from === to) continue;
    const who = writerOf(state, node, field, to !== undefined, at);
    if (isProduct(who)) found.push(...onOwnChange(state, record, field, from, to, who, at));
    else if (to === undefined) record.foreign.delete(field);
    else record.foreign.set(field, to);
  }
  if (node.spec?.unschedulable !== true) delete record.emptySince;
  return found;
}

const hasGeneration = (node: Node): boolean =>
  node.metadata.labels?.[`${OUR_PREFIX}generation`] !== undefined;

/** PatchGuard changed one field of a node. */
function onOwnChange(
  state: WatchState,
  record: NodeRecord,
  field: string,
  from: string | undefined,
  to: string | undefined,
  who: Actor,
  at: number,
): Violation[] {
  const name = record.node.metadata.name;
  const object = `node ${name}`;
  const found: Violation[] = [];
  const closes =
    to !== undefined && (field === "cordon" || field.startsWith("taint ") || field.startsWith("label "));
  if (closes) {
    found.push(...judgeTouch(state, object, who, field, at));
    record.closedByUs = true;
  }
  if (field.startsWith("taint ") && field.endsWith(":NoExecute") && to !== undefined) {
    found.push(violation("bypass", object, at, who, `${field}: NoExecute removes pods past every budget`));
  }
  const foreign = record.foreign.get(field);
  if (foreign !== undefined && from === foreign && to !== foreign) {
    found.push(
      violation(
        "foreign-state-removed",
        object,
        at,
        who,
        `${field}${shown(foreign)} was set by others and was taken away`,
      ),
    );
  }
  if (field === "cordon") {
    noteFinished(state, name, at);
    if (to === undefined && record.finished) record.uncordonedInRun = state.run;
    if (to !== undefined && record.finished && record.uncordonedInRun === state.run) {
      found.push(
        violation(
          "drained-again",
          object,
          at,
          who,
          "its drain was over, then it was reopened and cordoned again",
        ),
      );
    }
    if (to !== undefined && workloadOn(state, name).length === 0) record.emptySince = at;
  }
  return found;
}

const shown = (value: string): string => (value === "" || value === "true" ? "" : `=${value}`);

/** Who changed a field: the only writer of that moment, or else the field's manager. */
function writerOf(state: WatchState, node: Node, field: string, present: boolean, at: number): Actor {
  const mention =
    field === "cordon" ? "unschedulable" : (field.split(" ")[1] ?? "").replace(/:[A-Za-z]+$/, "");
  const writers = writersOf(state, "nodes", { name: node.metadata.name }, at - WRITER_WINDOW_MS, mention);
  const [first] = writers;
  if (writers.length === 1 && first !== undefined) return first;
  const ours = writers.find(isProduct);
  if (field.includes(` ${OUR_PREFIX}`))
    return ours ?? { name: "patchguard", detail: "by the name of the field" };
  if (ours === undefined) return first ?? UNKNOWN;
  const manager = present ? managerOf(node, field) : undefined;
  if (manager === undefined || manager.startsWith("patchguard")) return ours;
  return { name: manager, detail: `among ${writers.map(showActor).join(", ")}` };
}

/** Pods came to or left a node: keeps the moment at which it became empty. */
export function noteWorkload(state: WatchState, pod: Pod, at: number): void {
  const record = state.nodes.get(pod.spec?.nodeName ?? "");
  if (record === undefined || !record.closedByUs || record.node.spec?.unschedulable !== true) return;
  const empty = workloadOn(state, record.node.metadata.name).length === 0;
  if (!empty) {
    noteFinished(state, "", at);
    delete record.emptySince;
  } else {
    record.emptySince ??= at;
  }
}

/** A drain is over when the node has been empty for a while, or the next node's turn has come. */
function noteFinished(state: WatchState, touched: string, at: number): void {
  for (const [name, record] of state.nodes) {
    if (record.emptySince === undefined) continue;
    const next = touched !== "" && name !== touched;
    if (at - record.emptySince >= QUIET_MS || next) record.finished = true;
  }
}

/** Called when PatchGuard disrupted a pod on a node. */
export function judgeDrain(state: WatchState, node: string, pod: Pod, cause: Cause, at: number): Violation[] {
  const record = state.nodes.get(node);
  if (record === undefined) return [];
  noteFinished(state, node, at);
  if (!record.finished) return [];
  return [
    violation(
      "drained-again",
      `node ${node}`,
      at,
      cause.actor,
      `${cause.how} of ${keyOf(pod)} on it after its drain was over`,
    ),
  ];
}

function judgeDeletion(state: WatchState, node: Node, at: number): Violation[] {
  const name = node.metadata.name;
  const pods = workloadOn(state, name);
  const deleters = (state.requests.get(`nodes /${name}`) ?? []).filter(
    (request) => request.verb === "delete",
  );
  const who = deleters.at(-1)?.actor ?? UNKNOWN;
  const declared = state.losses.get(name);
  if (declared !== undefined) {
    state.notes.push(`node ${name} was lost with ${pods.length} workload pods, as declared: ${declared}`);
    return [];
  }
  return pods.map((pod) =>
    violation("pod-lost", `pod ${keyOf(pod)}`, at, who, `its node ${name} was deleted under it`),
  );
}
