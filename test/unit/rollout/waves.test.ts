import assert from "node:assert/strict";
import type { LogLine } from "../../../rollout/log.ts";
import type { Place } from "../../../rollout/order.ts";
import { wavesOf } from "../../../rollout/waves.ts";
import { leftovers } from "../../simulated/aftermath.ts";
import { BLUE, type Ended, GREEN, restartOne, runHandover, story } from "../../simulated/handovers.ts";
import { judge } from "../../simulated/invariants.ts";
import { type World, world } from "../../simulated/world.ts";

const ZONE = "topology.kubernetes.io/zone";

describe("waves", () => {
  const place = (name: string, zone: string, tier: Place["tier"], alone = false): Place => ({
    node: { metadata: { name, uid: name, labels: { [ZONE]: zone } } },
    tier,
    alone,
    why: "",
  });
  const cut = (order: Place[], maxParallel: number | "auto"): string[] =>
    wavesOf(order, maxParallel).map((wave) => wave.map(({ node }) => node.metadata.name).join(" "));
  const order = [
    place("a1", "a", 0),
    place("a2", "a", 0),
    place("a3", "a", 0),
    place("b1", "b", 0),
    place("b2", "b", 1),
    place("b3", "b", 1),
    place("b4", "b", 2, true),
    place("b5", "b", 2, true),
    place("b6", "b", 3),
    place("b7", "b", 3),
  ];

  it("one node each, unless the config says otherwise", () => {
    assert.deepEqual(cut(order, 1), ["a1", "a2", "a3", "b1", "b2", "b3", "b4", "b5", "b6", "b7"]);
  });

  it("auto: a zone's nodes of a tier together; a primary's node alone", () => {
    assert.deepEqual(cut(order, "auto"), ["a1 a2 a3", "b1", "b2 b3", "b4", "b5", "b6 b7"]);
  });

  it("a number: at most so many together", () => {
    assert.deepEqual(cut(order, 2), ["a1 a2", "a3", "b1", "b2 b3", "b4", "b5", "b6 b7"]);
  });

  it("nothing to drain, no wave", () => {
    assert.deepEqual(cut([], "auto"), []);
  });
});

/** Nine nodes over three zones; pods of every kind. */
async function largeWorld(seed: number, perZone = 3, options = {}): Promise<World> {
  const on = await world({ seed, ...options })
    .pool("workers", { ...BLUE, perZone })
    .daemonSet("agent")
    .settled();
  on.deployment("web", { replicas: 10, budget: { maxUnavailable: 2 } })
    .deployment("api", { replicas: 5, budget: { maxUnavailable: 1 } })
    .deployment("bare", { replicas: 3 })
    .statefulSet("kafka", { replicas: 3, budget: { maxUnavailable: 1 } });
  await on.settled();
  return on.pool("workers", { ...GREEN, perZone }).settled();
}

const uidsOn = (on: World, generation: string): string[] =>
  on.workloadPods(generation).map(({ metadata }) => metadata.uid);

/** Each pod moved once, every promise kept, nothing left behind. */
function assertOrderly(on: World, pods: readonly string[], run: Ended): void {
  assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
  const { violations, moves } = judge(on, { pinnedImage: GREEN.image });
  assert.deepEqual(violations, []);
  assert.deepEqual(moves.map(({ uid }) => uid).toSorted(), pods.toSorted());
  assert.deepEqual(leftovers(on, { closed: [BLUE.generation], empty: [BLUE.generation] }), []);
}

const secondsOf = (run: Ended): number => {
  const [start, end] = ["order", "finish"].map((name) =>
    Date.parse(run.log.find(({ event }) => event === name)?.time ?? ""),
  );
  return ((end ?? 0) - (start ?? 0)) / 1000;
};

describe("a drain in waves", () => {
  it("auto: the nodes of a zone together, one health window a wave, every promise kept, faster than one by one", async () => {
    const serial = await largeWorld(3);
    const slow = await runHandover(serial, "only");
    const on = await largeWorld(3);
    const pods = uidsOn(on, BLUE.generation);
    const run = await runHandover(on, "only", { rollout: { drain: { maxParallel: "auto" } } });
    assertOrderly(on, pods, run);
    const windows = run.log.filter(({ event, message }) => event === "health" && message.endsWith("passed"));
    const waves = run.log.filter(({ event }) => event === "wave").map((line) => line["nodes"] as string[]);
    const alone = 9 - waves.flat().length;
    assert.equal(windows.length, waves.length + alone, "a window for each wave");
    assert.ok(waves.length >= 1 && waves.every((nodes) => nodes.length >= 2), JSON.stringify(waves));
    for (const nodes of waves) assert.equal(new Set(nodes.map((name) => name.split("-")[1])).size, 1);
    assert.ok(secondsOf(run) < secondsOf(slow), `${secondsOf(run)} s, one by one ${secondsOf(slow)} s`);
  });

  it("a breach in a wave's window rolls the whole wave back", async () => {
    const on = await largeWorld(4);
    const run = await runHandover(on, "only", {
      rollout: { drain: { maxParallel: "auto" }, health: { windowSeconds: 10 } },
      onLine: ({ event, message }) => {
        if (event === "health" && message.startsWith("health window of")) restartOne(on);
      },
    });
    assert.match(run.error?.message ?? "", /health window after .* was breached: ReplicaSet default\/web/);
    assert.deepEqual(leftovers(on, { closed: [GREEN.generation] }), []);
  });

  it("a node that joins in mid-wave is planned into a wave of its own", async () => {
    const on = await largeWorld(5, 3, { bootSeconds: 20 });
    const pods = uidsOn(on, BLUE.generation);
    const run = await runHandover(on, "only", {
      rollout: { drain: { maxParallel: "auto" } },
      onLine: ({ event }) => {
        if (event === "protect") on.cloud.resize(on.cloud.must("workers-c-aaaaaaaa"), { desired: 4 });
      },
    });
    assertOrderly(on, pods, run);
    assert.equal(run.outcome?.nodes, 10);
    assert.equal(run.log.filter(({ message }) => message.includes("nodes to drain")).length, 2);
  });

  it("asks nobody else to leave while a replacement has no room, and goes on when it has", async () => {
    const on = await world({ seed: 6 })
      .pool("workers", { ...BLUE, perZone: 2 })
      .settled();
    await on.deployment("web", { replicas: 6 }).deployment("api", { replicas: 6 }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1, pods: 1 }).settled();
    let asked = 0;
    const run = await runHandover(on, "only", {
      rollout: { drain: { maxParallel: "auto", relaxAfterSeconds: 600, podTimeoutSeconds: 60 } },
      onLine: ({ event }: LogLine) => {
        if (event === "evict") asked++;
      },
    });
    assert.match(run.error?.message ?? "", /was not whole 60 s after/);
    assert.ok(asked <= 5, `${asked} pods were evicted, although green has room for three`);
  });
});

describe("a canary", () => {
  const CANARY = { drain: { canary: true } };

  it("moves one pod of each workload, waits out one window, and only then drains", async () => {
    const on = await largeWorld(7);
    const pods = uidsOn(on, BLUE.generation);
    const run = await runHandover(on, "only", { rollout: CANARY });
    assertOrderly(on, pods, run);
    const start = run.log.findIndex(({ event }) => event === "node-start");
    const before = run.log.slice(0, start);
    assert.equal(before.filter(({ event }) => event === "evict").length, 4);
    assert.deepEqual(
      before.filter(({ event }) => event === "health").map(({ message }) => message),
      ["health window of 5 s after the canary, over 4 workloads", "health window after the canary passed"],
    );
  });

  it("catches a bad image having moved one replica of each", async () => {
    const on = await largeWorld(8);
    const run = await runHandover(on, "only", {
      rollout: { drain: { canary: true, maxParallel: "auto" }, health: { windowSeconds: 20 } },
      onLine: ({ event, message }) => {
        if (event === "health" && message.startsWith("health window of")) restartOne(on);
      },
    });
    assert.match(run.error?.message ?? "", /health window after the canary was breached/);
    const { moves, violations } = judge(on, { pinnedImage: GREEN.image });
    assert.deepEqual(violations, []);
    assert.equal(moves.length, 4);
    assert.deepEqual(leftovers(on, { closed: [GREEN.generation] }), []);
  });
});
