/** The comparison at the end: what PatchGuard closed is open again or gone, and what others set still stands. */
import { LABEL_GENERATION } from "./names.ts";
import type { Violation } from "./observation.ts";
import { schedulingFields } from "./rules/node-fields.ts";
import { violation } from "./rules/violation.ts";
import type { NodeRecord, WatchState } from "./state.ts";

export interface Expectation {
  /**
   * `reopened`: after a failure, hold, rollback or abort, every node is as the others left it.
   * `finished`: moreover, every node that PatchGuard closed is gone.
   */
  outcome: "reopened" | "finished";
  /** Nodes that stay closed, marked as ours: green after a rollback, a group that PatchGuard did not create. */
  stayClosed?: { generations?: string[]; nodes?: string[] };
}

const PRODUCT = { name: "patchguard" };
const OURS_BY_BIRTH = /^label patchguard\.dev\/(pool|generation)$/;

export function judgeEnd(state: WatchState, expectation: Expectation, at: number): Violation[] {
  const found: Violation[] = [];
  for (const [name, record] of state.nodes) {
    const object = `node ${name}`;
    if (staysClosed(record, expectation)) {
      const marked = [...schedulingFields(record.node).keys()].some((f) =>
        f.startsWith("annotation patchguard.dev/"),
      );
      if (!marked)
        found.push(violation("leak", object, at, PRODUCT, "stays closed without a mark of who closed it"));
      continue;
    }
    found.push(...differences(record, object, at));
    if (expectation.outcome === "finished" && record.closedByUs) {
      found.push(
        violation("not-finished", object, at, PRODUCT, "was closed by PatchGuard and is still there"),
      );
    }
  }
  state.violations.push(...found);
  return found;
}

function staysClosed(record: NodeRecord, { stayClosed = {} }: Expectation): boolean {
  const { name, labels = {} } = record.node.metadata;
  const generation = labels[LABEL_GENERATION];
  return (
    (stayClosed.nodes ?? []).includes(name) ||
    (generation !== undefined && (stayClosed.generations ?? []).includes(generation))
  );
}

function differences(record: NodeRecord, object: string, at: number): Violation[] {
  const found: Violation[] = [];
  const now = schedulingFields(record.node);
  for (const field of new Set([...now.keys(), ...record.foreign.keys()])) {
    const [is, should] = [now.get(field), record.foreign.get(field)];
    if (is === should) continue;
    if (OURS_BY_BIRTH.test(field)) continue;
    if (should === undefined) {
      found.push(violation("leak", object, at, PRODUCT, `${field} is left over`));
    } else {
      found.push(
        violation(
          "foreign-state-removed",
          object,
          at,
          PRODUCT,
          `${field} was ${should || "set"} by others and is ${is ?? "gone"}`,
        ),
      );
    }
  }
  return found;
}
