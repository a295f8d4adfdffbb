import assert from "node:assert/strict";
import { Collector } from "../../../../rollout/observed/collector.ts";
import { evidenceSchema } from "../../../../rollout/observed/evidence.ts";
import { evidenceOf, instant, line, recorded, second } from "./recorded.ts";

describe("the evidence of a recorded run", () => {
  const evidence = evidenceOf();
  const pod = (name: string) => evidence.pods.find((it) => it.pod === `shop/${name}`);

  it("has the layout of its schema", () => {
    evidenceSchema.parse(evidence);
    evidenceSchema.parse(JSON.parse(JSON.stringify(evidence)));
  });
  it("a pod's refusals, eviction, end and replacement, each with its time", () => {
    assert.deepEqual(pod("web-1"), {
      pod: "shop/web-1",
      uid: "uid-web-1",
      node: "a",
      workload: "ReplicaSet shop/web-5d4",
      refusedAt: instant(22),
      refusals: { budget: 2 },
      evictedAt: instant(32),
      goneAt: instant(44),
      replacedAt: instant(33),
      refusedSeconds: 10,
      stopSeconds: 12,
      startSeconds: 1, // while the old one was stopping
    });
  });
  it("a StatefulSet's pod starts when the old one is gone, and its volume is told apart", () => {
    const { stopSeconds, startSeconds, volumeSeconds, refusedSeconds } = pod("db-0") ?? {};
    assert.deepEqual(
      { stopSeconds, startSeconds, volumeSeconds, refusedSeconds },
      { stopSeconds: 10, startSeconds: 9.5, volumeSeconds: 12.5, refusedSeconds: 2 },
    );
  });
  it("a pod that went by somebody else's hand was not evicted", () => {
    assert.deepEqual(pod("own"), {
      pod: "shop/own",
      uid: "uid-own",
      node: "b",
      refusals: {},
      goneAt: instant(40),
      replacedAt: instant(40),
      startSeconds: 0,
    });
    assert.equal(evidence.evictions, 3);
  });
  it("nodes with their wave, cordon, move and drain", () => {
    assert.deepEqual(evidence.nodes, [
      {
        node: "a",
        wave: 1,
        startedAt: instant(20),
        movedAt: instant(58),
        drainedAt: instant(58),
        drainSeconds: 38,
        pods: 2,
      },
      {
        node: "b",
        wave: 1,
        startedAt: instant(21),
        movedAt: instant(50),
        drainedAt: instant(52),
        drainSeconds: 31,
        pods: 2,
      },
    ]);
    assert.deepEqual(evidence.waves, [{ wave: 1, startedAt: instant(20), nodes: ["a", "b"] }]);
  });
  it("blocked time by cause: two pods behind one budget are one stretch of the run, and two of pods", () => {
    assert.deepEqual(evidence.blocked, [
      { cause: "budget", namespace: "shop", name: "web", seconds: 18, podSeconds: 26, pods: 2 },
      { cause: "preflight", namespace: "shop", name: "db", seconds: 10, podSeconds: 10, pods: 1 },
      { cause: "budget-stale", namespace: "shop", name: "web", seconds: 2, podSeconds: 2, pods: 1 },
      { cause: "throttled", seconds: 2, podSeconds: 2, pods: 1 },
    ]);
    assert.deepEqual(evidence.refusals, { budget: 3, throttled: 1, "budget-stale": 1 });
    assert.equal(evidence.rehearsals, 4);
  });
  it("health windows with their verdicts", () => {
    assert.deepEqual(evidence.health, [
      {
        nodes: ["a", "b"],
        startedAt: instant(58),
        endedAt: instant(88),
        windowSeconds: 30,
        verdict: "passed",
        judgements: [
          {
            workload: "StatefulSet shop/db",
            metric: "errors",
            outcome: "pass",
            reason: "StatefulSet shop/db: errors 0.1 %",
            value: 0.001,
            samples: [{ at: instant(73), value: 0.001, total: 1000, bad: 1, why: "answered 503" }],
          },
        ],
      },
    ]);
  });
  it("the log but for single pods", () => {
    const events = evidence.log.map(({ event }) => event);
    assert.deepEqual(events.slice(0, 7), [
      "start",
      "blocked",
      "unblocked",
      "preflight",
      "wave",
      "node-start",
      "node-start",
    ]);
    assert.deepEqual(events.slice(7), [
      "node-moved",
      "node-moved",
      "node-drained",
      "node-moved",
      "node-drained",
      "health",
      "health",
      "finish",
    ]);
  });

  it("who is still waiting at the end has waited until then", () => {
    const collector = new Collector();
    collector.asked(
      { namespace: "shop", name: "web-1", uid: "1" },
      { outcome: "several-budgets", message: "more than one" },
      second(5),
    );
    assert.deepEqual(collector.collected(second(65)).blocked, [
      { cause: "several-budgets", namespace: "shop", seconds: 60, podSeconds: 60, pods: 1 },
    ]);
  });
  it("of very many samples those of windows that passed are left out, and counted", () => {
    const collector = new Collector();
    const samples = Array.from({ length: 60_000 }, () => ({ at: second(1), value: 1 }));
    const judged = (outcome: string) => ({
      workload: "Deployment shop/web",
      metric: "cpu",
      outcome,
      reason: "",
      samples,
    });
    for (const node of ["a", "b", "c"]) {
      collector.line(line(1, "health", { nodes: [node], windowSeconds: 5 }));
      const verdict = node === "c" ? "failed" : "passed";
      collector.line(
        line(6, "health", { nodes: [node], verdict, judgements: [judged(node === "c" ? "fail" : "pass")] }),
      );
    }
    const { health, cut } = collector.collected(second(9));
    assert.deepEqual(
      health.map(({ judgements }) => judgements?.[0]?.samples?.length),
      [60_000, undefined, 60_000],
    );
    assert.deepEqual(cut, { samples: 60_000 });
  });

  it("a health window without an end is open; one of a single node is closed by a line without a verdict", () => {
    const collector = new Collector();
    collector.line(line(1, "health", { node: "a", windowSeconds: 5 }));
    collector.line(line(6, "health", { node: "a" }));
    collector.line(line(7, "health", { node: "b", windowSeconds: 5 }));
    assert.deepEqual(
      collector.collected(second(9)).health.map(({ nodes, verdict }) => [...nodes, verdict]),
      [
        ["a", "passed"],
        ["b", "open"],
      ],
    );
  });
  it("lines that lack what is looked for are passed over", () => {
    const collector = recorded();
    for (const event of [
      "blocked",
      "unblocked",
      "node-start",
      "node-moved",
      "node-drained",
      "health",
    ] as const)
      collector.line(line(91, event));
    for (const event of ["wave", "evict", "pod-gone", "pod-moved"] as const) collector.line(line(91, event));
    evidenceSchema.parse(evidenceOf(collector));
  });
});
