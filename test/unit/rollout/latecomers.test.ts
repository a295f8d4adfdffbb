import assert from "node:assert/strict";
import { isFrozen } from "../../../rollout/freeze.ts";
import { leftovers } from "../../simulated/aftermath.ts";
import { BLUE, GREEN, runHandover, smallWorld, story } from "../../simulated/handovers.ts";
import { judge } from "../../simulated/invariants.ts";
import type { Client, World } from "../../simulated/world.ts";

const GROUP = "workers-c-aaaaaaaa";
const BLUE_IS_EMPTY = { closed: [BLUE.generation], empty: [BLUE.generation] };

describe("a blue node that was still booting when blue was closed", () => {
  for (const [when, bootSeconds] of [
    ["while others are drained", 20],
    ["during the last one's health window", 46],
  ] as const) {
    it(`is closed and drained like the others when it joins ${when}`, async () => {
      const on = await smallWorld(9, { bootSeconds });
      const run = await runHandover(on, "only", {
        onLine: ({ event }) => {
          if (event === "protect") on.cloud.resize(on.cloud.must(GROUP), { desired: 2 });
        },
      });
      assert.ok(run.outcome, story(on, run));
      const nodes = on.nodes(BLUE.generation);
      assert.equal(nodes.length, 4);
      const joined = nodes.find(({ metadata }) =>
        run.log.some(({ message }) => message.includes(`${metadata.name} of pool workers joined after`)),
      );
      assert.ok(joined, story(on, run));
      assert.equal(run.outcome.nodes, 4);
      const { violations, moves } = judge(on, { pinnedImage: GREEN.image });
      assert.deepEqual(violations, []);
      assert.equal(moves.length, 7, "no pod went to the late node");
      assert.deepEqual(leftovers(on, BLUE_IS_EMPTY), []);
    });
  }
});

/** Blue nodes that take new pods. */
const openNodes = (on: World): string[] =>
  on
    .nodes(BLUE.generation)
    .filter(({ spec }) => !(spec?.taints ?? []).some(({ key }) => key === "patchguard.dev/handover"))
    .map(({ metadata }) => metadata.name);

describe("a blue node that joins while blue is frozen, and that a silent watch does not show", () => {
  it("is closed with the others, before any pod moves", async () => {
    const on = await smallWorld(9);
    let client: Client | undefined;
    let open: string[] | undefined;
    const run = await runHandover(on, "only", {
      onClient: (it) => (client = it),
      onLine: ({ event }) => {
        if (event === "evict") open ??= openNodes(on);
        if (event !== "protect") return;
        on.cloud.resize(on.cloud.must(GROUP), { desired: 2 });
        for (const cache of client?.cluster.caches ?? []) cache.stall(7000); // until the first pods are on their way
      },
    });
    assert.ok(run.outcome, story(on, run));
    assert.deepEqual(open, [], story(on, run));
    assert.deepEqual(judge(on, { pinnedImage: GREEN.image }).violations, []);
    assert.equal(run.outcome.nodes, 4);
    assert.deepEqual(leftovers(on, BLUE_IS_EMPTY), []);
  });
});

describe("a blue group that EKS is at work on when blue is closed", () => {
  it("is frozen when EKS has set its processes anew", async () => {
    const on = await smallWorld(9);
    const group = on.cloud.must(GROUP);
    const run = await runHandover(on, "only", {
      onLine: ({ event }) => {
        if (event !== "protect") return;
        group.status = "UPDATING";
        on.clock.after(20_000, "EKS", () => {
          group.status = "ACTIVE";
          group.suspended = [];
        });
      },
    });
    assert.ok(run.outcome, story(on, run));
    assert.ok(isFrozen(group));
    assert.deepEqual(leftovers(on, BLUE_IS_EMPTY), []);
  });
});
