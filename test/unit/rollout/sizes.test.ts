import assert from "node:assert/strict";
import type { Node } from "../../../rollout/cluster/types.ts";
import { gate } from "../../../rollout/gate.ts";
import { rolloutSchema } from "../../../rollout/config/rollout.ts";
import { RunLog } from "../../../rollout/log.ts";
import { sizesOfGreen, wantedSizes } from "../../../rollout/sizes.ts";
import type { GreenSpec } from "../../../rollout/targets.ts";
import { BLUE, GREEN, runHandover, story } from "../../simulated/handovers.ts";
import { groupsFor, world } from "../../simulated/world.ts";

const THIRD = { generation: "cccccccc", image: "ami-0000000000000000c" };

describe("the size of green", () => {
  it("is not doubled by a handover that holds: a third generation is as large as each of the two", async () => {
    const on = await world({ seed: 4 })
      .pool("workers", { ...BLUE, perZone: 2 })
      .settled();
    await on.deployment("web", { replicas: 9, budget: { maxUnavailable: 1 } }).settled();
    await on.pool("workers", { ...GREEN, perZone: 2 }).settled();
    const held = await runHandover(on, "first", {
      rollout: { drain: { podTimeoutSeconds: 20 } },
      onLine: ({ event }) => {
        if (event === "node-drained") on.behave("ReplicaSet", "web", { readyOn: () => false });
      },
    });
    assert.equal(held.error?.name, "Hold", story(on, held));
    on.behave("ReplicaSet", "web", { readyOn: () => true });
    for (const pod of on.workloadPods()) {
      const ready = pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
      if (ready !== true) on.store.remove("Pod", pod, "operator");
    }
    await on.settled();
    const { cluster, cloud, clock } = on.client("gate");
    const { generation, image } = THIRD;
    const target = {
      pool: "workers",
      generation,
      image: { ami: image },
      groups: groupsFor("workers", generation),
    };
    const config = rolloutSchema.parse({});
    const log = new RunLog(clock, []);
    const { signal } = new AbortController();
    const job = {
      target,
      later: [],
      config,
      stack: "shop/prod",
      runId: "gate",
      cluster,
      cloud,
      clock,
      log,
      signal,
    };
    const { sizes } = await on.run(gate(job), 600);
    assert.deepEqual(sizes, { "us-east-1a": 2, "us-east-1b": 2, "us-east-1c": 2 });
  });

  const node = (zone: string, generation?: string): Node => ({
    metadata: {
      name: "n",
      uid: "n",
      labels: {
        "topology.kubernetes.io/zone": zone,
        ...(generation !== undefined && {
          "patchguard.dev/pool": "workers",
          "patchguard.dev/generation": generation,
        }),
      },
    },
  });
  const many = (count: number, zone: string, generation?: string): Node[] =>
    Array.from({ length: count }, () => node(zone, generation));

  it("is that of the largest generation, zone by zone", () => {
    const blue = [...many(3, "a", "x"), ...many(5, "a", "y"), ...many(2, "b", "x"), ...many(1, "b", "y")];
    assert.deepEqual(sizesOfGreen(blue, true), { a: 5, b: 2 });
    assert.deepEqual(sizesOfGreen([], false), {});
  });

  it("adds nodes that are taken over, unless their pods have begun to move", () => {
    const blue = [...many(3, "a", "x"), ...many(4, "a")];
    assert.deepEqual(sizesOfGreen(blue, false), { a: 7 });
    assert.deepEqual(sizesOfGreen(blue, true), { a: 4 });
  });

  it("is the same for the plan, the fit and the Gate: within the bounds of the groups, and never the sum of what is left over", () => {
    const node = (name: string, generation: string): Node => ({
      metadata: {
        name,
        uid: name,
        labels: {
          "patchguard.dev/pool": "workers",
          "patchguard.dev/generation": generation,
          "topology.kubernetes.io/zone": "a",
        },
      },
    });
    const blue = [node("1", "aaaaaaaa"), node("2", "aaaaaaaa"), node("3", "bbbbbbbb")];
    const zone = { zone: "a", subnet: "subnet-1", min: 1, max: 9, desired: undefined };
    const sizes = (change: object): Record<string, number> =>
      wantedSizes({ zones: [{ ...zone, ...change }] } as GreenSpec, blue, true);
    assert.deepEqual(
      [sizes({}), sizes({ min: 3 }), sizes({ max: 1 }), sizes({ desired: 5 })],
      [{ a: 2 }, { a: 3 }, { a: 1 }, { a: 5 }],
    );
  });
});
