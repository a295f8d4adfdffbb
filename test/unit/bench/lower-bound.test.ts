/** The bounds that the bench measures by: if they were wrong, its verdicts would be. */
import assert from "node:assert/strict";
import { parallelBound, serialBound, type BoundPod, type BoundWorkload } from "../../bench/lower-bound.ts";

const TIMES = { start: 2, stop: 5, detach: 1, attach: 1, quiet: 5 };

const app = (name: string, rest: Partial<BoundWorkload> = {}): BoundWorkload => ({
  name,
  ordered: false,
  volumes: false,
  maxUnavailable: 1,
  ...rest,
});
const db = (name: string, volumes = true): BoundWorkload => app(name, { ordered: true, volumes });

/** `a1 b1` on one node, and so on: a letter is a workload. */
const pods = (nodes: Record<string, string>): BoundPod[] =>
  Object.entries(nodes).flatMap(([node, letters]) => [...letters].map((workload) => ({ node, workload })));

describe("lower bounds of a drain", () => {
  it("has nothing to do without pods", () => {
    assert.equal(serialBound([], [], TIMES), 0);
    assert.equal(parallelBound([], [], TIMES), 0);
  });

  it("one node: its pods are replaced after their start, and it is drained when they have stopped", () => {
    assert.equal(serialBound(pods({ x: "abc" }), [app("a"), app("b"), app("c")], TIMES), 5);
    assert.equal(parallelBound(pods({ x: "abc" }), [app("a"), app("b"), app("c")], TIMES), 5);
  });

  it("a slow start holds the next node up, a slow stop only the end", () => {
    const times = { ...TIMES, start: 3, stop: 10, quiet: 0 };
    assert.equal(serialBound(pods({ x: "a", y: "b", z: "c" }), [app("a"), app("b"), app("c")], times), 16);
    assert.equal(parallelBound(pods({ x: "a", y: "b", z: "c" }), [app("a"), app("b"), app("c")], times), 10);
  });

  it("two pods of one budget on a node go one after the other", () => {
    assert.equal(serialBound(pods({ x: "aa", y: "b" }), [app("a"), app("b")], TIMES), 2 + 2 + 2 + 3);
    const two = [app("a", { maxUnavailable: 2 }), app("b")];
    assert.equal(serialBound(pods({ x: "aa", y: "b" }), two, TIMES), 2 + 2 + 3);
  });

  it("under budgets alone the longest workload decides, wherever its pods are", () => {
    // four rounds; the last old pod stops after the last start
    assert.equal(
      parallelBound(pods({ x: "ab", y: "ab", z: "a", u: "a" }), [app("a"), app("b")], TIMES),
      6 + 5,
    );
    const three = [app("a", { maxUnavailable: 3 }), app("b")];
    assert.equal(parallelBound(pods({ x: "ab", y: "ab", z: "a", u: "a" }), three, TIMES), 2 + 5);
  });

  it("a StatefulSet's successor waits for the old pod and for its volume", () => {
    assert.equal(parallelBound(pods({ x: "d", y: "d", z: "d" }), [db("d")], TIMES), 3 * 9);
    assert.equal(parallelBound(pods({ x: "d", y: "d", z: "d" }), [db("d", false)], TIMES), 3 * 7);
    assert.equal(serialBound(pods({ x: "da", y: "ab" }), [db("d"), app("a"), app("b")], TIMES), 9 + 2);
  });

  it("a generous budget does not move two pods of a StatefulSet at once", () => {
    const set = { ...db("d"), maxUnavailable: 3 };
    assert.equal(parallelBound(pods({ x: "d", y: "d" }), [set], TIMES), 18);
  });

  it("a node is not drained before it was quiet", () => {
    const times = { ...TIMES, stop: 1 };
    assert.equal(serialBound(pods({ x: "a" }), [app("a")], times), 5);
    assert.equal(parallelBound(pods({ x: "a" }), [app("a")], times), 5);
  });

  it("a pod without a workload is a mistake of the bench", () => {
    assert.throws(() => parallelBound(pods({ x: "q" }), [app("a")], TIMES), /no workload q/);
  });
});
