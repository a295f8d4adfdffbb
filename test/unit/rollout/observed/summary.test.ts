import assert from "node:assert/strict";
import { type Evidence, evidenceSchema } from "../../../../rollout/observed/evidence.ts";
import { summaryOf } from "../../../../rollout/observed/summary.ts";
import { evidenceOf, instant } from "./recorded.ts";

const LIMIT = 80 * 1024;

/** Of a thousand nodes and ten thousand pods. */
function large(): Evidence {
  const name = (index: number): string => `ip-10-0-${Math.floor(index / 250)}-${index % 250}.ec2.internal`;
  return {
    ...evidenceOf(),
    why: "x".repeat(50_000),
    proof: {
      image: "ami-1",
      nodes: Array.from({ length: 1000 }, (_, index) => ({ name: name(index), image: "ami-1", kernel: "6" })),
    },
    nodes: Array.from({ length: 1000 }, (_, index) => ({
      node: name(index),
      startedAt: instant(index),
      drainSeconds: index,
      pods: 10,
    })),
    pods: Array.from({ length: 10_000 }, (_, index) => ({
      pod: `namespace-of-a-team/workload-with-a-long-name-${index}`,
      uid: `00000000-0000-0000-0000-${index}`,
      node: name(index % 1000),
      refusals: {},
      evictedAt: instant(index),
      stopSeconds: index,
    })),
    log: Array.from({ length: 4000 }, (_, index) => ({
      at: instant(index),
      event: "node-drained",
      level: "info",
      message: `line ${index} ${"x".repeat(300)}`,
    })),
  };
}

describe("the summary of the evidence", () => {
  it("is the evidence itself where that is small", () => {
    const { pods, nodes, ...rest } = summaryOf(evidenceOf(), LIMIT);
    const { pods: allPods, nodes: allNodes, ...all } = evidenceOf();
    assert.deepEqual(rest, all);
    assert.deepEqual(new Set(pods), new Set(allPods));
    assert.deepEqual(new Set(nodes), new Set(allNodes));
  });

  it("of a large run fits, keeps the slowest and the latest, and says how much was cut of what", () => {
    const summary = summaryOf(large(), LIMIT);
    assert.ok(Buffer.byteLength(JSON.stringify(summary)) <= LIMIT);
    evidenceSchema.parse(summary);
    assert.equal(summary.pods[0]?.stopSeconds, 9999);
    assert.equal(summary.nodes[0]?.drainSeconds, 999);
    assert.match(summary.log.at(-1)?.message ?? "", /^line 3999 /);
    assert.equal(summary.pods.length + (summary.cut?.["pods"] ?? 0), 10_000);
    assert.equal(summary.nodes.length + (summary.cut?.["nodes"] ?? 0), 1000);
    assert.equal(summary.log.length + (summary.cut?.["log"] ?? 0), 4000);
    const proven = summary.proof?.["nodes"] as unknown[];
    assert.equal(proven.length + (summary.cut?.["proof.nodes"] ?? 0), 1000);
    assert.ok(summary.pods.length >= 20, "some are left");
  });

  it("what the log had lost before counts, too", () => {
    const summary = summaryOf({ ...large(), cut: { log: 1000 } }, LIMIT);
    assert.equal(summary.log.length + (summary.cut?.["log"] ?? 0), 5000);
  });
});
