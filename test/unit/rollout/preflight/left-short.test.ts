import assert from "node:assert/strict";
import { leftShort } from "../../../../rollout/preflight/left-short.ts";
import { owedBy, type RunRecord } from "../../../../rollout/run-state.ts";
import { budget } from "../builders.ts";
import { type Lists, named, nodeOf, podOf, refTo, says } from "./scene.ts";

const web = (name: string, change: Parameters<typeof podOf>[1] = {}) =>
  podOf(name, { owner: refTo("ReplicaSet", "web-5d8"), ...change });
const { uid } = refTo("ReplicaSet", "web-5d8");

const lists = (...pods: ReturnType<typeof web>[]): Lists => ({
  Node: [nodeOf("n1"), nodeOf("green", { pool: null })],
  ReplicaSet: [{ metadata: named("ReplicaSet", "web-5d8"), spec: { replicas: 3 } }],
  Pod: pods,
});
const owed = (lacked = 0, inTime = true): object => ({ owed: { lacked: { [uid]: lacked }, inTime } });

describe("workloads that an earlier handover has left short", () => {
  const elsewhere = lists(web("web-a"), web("web-b"), web("web-c", { node: "green", ready: false }));
  const there =
    "left-short: ReplicaSet shop/web-5d8: an earlier handover has left it with 2 of 3 replicas Ready: pod shop/web-c Running, not Ready on node green; none of its Ready pods is moved before it is whole. " +
    "To go on: mend what it waits for: `kubectl -n shop describe pod web-c` says why";

  it("are waited for, and block in the end, where nothing that moves would bring them back", () => {
    assert.deepEqual(says(leftShort, elsewhere, owed()), [`wait ${there}`]);
    assert.deepEqual(says(leftShort, elsewhere, owed(0, false)), [`block ${there}`]);
  });
  it("are told where their pods on blue go first", () => {
    const here = lists(web("web-a"), web("web-b"), web("web-c", { ready: false }));
    assert.deepEqual(says(leftShort, here, owed()), [
      "warning left-short-goes-first: ReplicaSet shop/web-5d8: an earlier handover has left it with 2 of 3 replicas Ready: pod shop/web-c Running, not Ready on node n1; what is on blue of that goes first, and none of its Ready pods before it is whole. " +
        "To go on: `kubectl -n shop describe pod web-c` says why it is not Ready",
    ]);
  });
  it("have nothing said of them when they are back, lacked as many before, do not move, or have a budget", () => {
    assert.deepEqual(says(leftShort, elsewhere), []);
    assert.deepEqual(says(leftShort, elsewhere, owed(1)), []);
    assert.deepEqual(says(leftShort, lists(web("web-a"), web("web-b"), web("web-c")), owed()), []);
    const away = lists(web("web-a", { node: "green" }), web("web-b", { node: "green" }));
    assert.deepEqual(says(leftShort, away, owed()), []);
    const all = budget("all", { spec: { minAvailable: 1, selector: {} } });
    assert.deepEqual(says(leftShort, { ...elsewhere, PodDisruptionBudget: [all] }, owed()), []);
  });
});

describe("what a record leaves to the next handover", () => {
  const record = (phase: RunRecord["phase"]): RunRecord => ({
    version: 1,
    stack: "shop/prod",
    generation: "bbbbbbbb",
    phase,
    startedAt: "2026-11-23T12:00:00Z",
    nodes: { n1: { phase: "in-hand", moved: [], owners: ["a", "b"] } },
    missingBefore: { a: 1 },
    owed: { c: 0 },
  });
  const all = { a: 1, b: 0, c: 0 };
  const table: [RunRecord["phase"], string, RunRecord["owed"]][] = [
    ["held", "cccccccc", all],
    ["rolled-back", "bbbbbbbb", all],
    ["held", "bbbbbbbb", { c: 0 }],
    ["moving", "bbbbbbbb", { c: 0 }],
    ["succeeded", "cccccccc", undefined],
  ];
  for (const [phase, to, expected] of table)
    it(`${phase}, and the next goes to ${to}`, () => {
      assert.deepEqual(owedBy(record(phase), to), expected);
    });
});
