import assert from "node:assert/strict";
import type { Node } from "../../../rollout/cluster/types.ts";
import {
  ANNOTATION_CLOSED_BY,
  ANNOTATION_SCALE_DOWN_DISABLED,
  LABEL_EXCLUDE_LB,
  TAINT_HANDOVER,
} from "../../../rollout/names.ts";
import { type Mark, ownershipOf, patchToMark, patchToUnmark } from "../../../rollout/ownership.ts";
import { node } from "./builders.ts";

const claim = { pool: "workers", role: "blue", generation: "bbbbbbbb" } as const;

/** RFC 7386, as the API server applies it. */
function merge(target: unknown, patch: unknown): unknown {
  if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch;
  const result = { ...(target as Record<string, unknown> | undefined) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}

const marked = (before: Node, marks: Mark[], effect?: "NoSchedule" | "PreferNoSchedule"): Node =>
  merge(before, patchToMark(before, claim, { marks, ...(effect && { effect }) }) ?? {}) as Node;

const unmarked = (before: Node, only?: Mark[]): Node =>
  merge(before, patchToUnmark(before, only) ?? {}) as Node;

/** What is left once empty lists and maps are dropped. */
const essence = (it: Node): unknown => ({
  labels: it.metadata.labels,
  annotations: Object.keys(it.metadata.annotations ?? {}).length > 0 ? it.metadata.annotations : undefined,
  taints: (it.spec?.taints ?? []).length > 0 ? it.spec?.taints : undefined,
  unschedulable: it.spec?.unschedulable,
});

const ALL: Mark[] = ["taint", "cordon", "exclude-lb", "keep"];

describe("ownership of what is set on a node", () => {
  const foreign: Record<string, Node> = {
    "an open node": node("n"),
    "a node cordoned by somebody else": node("n", { spec: { unschedulable: true } }),
    "a node with other taints": node("n", {
      spec: { taints: [{ key: "gpu", value: "yes", effect: "NoSchedule" }] },
    }),
    "a node excluded from load balancers by hand": node("n", { labels: { [LABEL_EXCLUDE_LB]: "" } }),
    "a node kept from scale-down by hand": {
      ...node("n"),
      metadata: { ...node("n").metadata, annotations: { [ANNOTATION_SCALE_DOWN_DISABLED]: "true" } },
    },
  };
  for (const [what, before] of Object.entries(foreign)) {
    it(`${what} is the same again after closing and reopening`, () => {
      const closed = marked(before, ALL);
      assert.equal(closed.spec?.unschedulable, true);
      assert.ok(
        closed.spec.taints?.some(({ key, effect }) => key === TAINT_HANDOVER && effect === "NoSchedule"),
      );
      assert.deepEqual(essence(unmarked(closed)), essence(before));
    });
  }

  it("says nothing to do when everything is set already", () => {
    const closed = marked(node("n"), ALL);
    assert.equal(patchToMark(closed, claim, { marks: ALL }), undefined);
    assert.equal(patchToUnmark(node("n")), undefined);
  });

  it("changes the taint's effect in place", () => {
    const relaxed = marked(marked(node("n"), ["taint"]), ["taint"], "PreferNoSchedule");
    assert.deepEqual(relaxed.spec?.taints, [
      { key: TAINT_HANDOVER, value: "bbbbbbbb", effect: "PreferNoSchedule" },
    ]);
  });

  it("can take off one mark and keep the record of the others", () => {
    const open = unmarked(marked(node("n"), ALL), ["cordon", "exclude-lb"]);
    assert.equal(open.spec?.unschedulable, undefined);
    assert.deepEqual(ownershipOf(open)?.marks, ["keep", "taint"]);
  });

  it("does not claim a cordon that appeared between two of its own writes", () => {
    const tainted = marked(node("n"), ["taint"]);
    const foreignCordon = { ...tainted, spec: { ...tainted.spec, unschedulable: true } };
    assert.equal(unmarked(marked(foreignCordon, ["cordon"])).spec?.unschedulable, true);
  });

  it("takes off its taint even when the annotation was removed by hand", () => {
    const closed = marked(node("n"), ["taint"]);
    delete closed.metadata.annotations?.[ANNOTATION_CLOSED_BY];
    assert.deepEqual(unmarked(closed).spec?.taints, []);
  });

  it("treats an unreadable annotation as nobody's", () => {
    const odd = {
      ...node("n"),
      metadata: { ...node("n").metadata, annotations: { [ANNOTATION_CLOSED_BY]: "{" } },
    };
    assert.equal(ownershipOf(odd), undefined);
  });
});
