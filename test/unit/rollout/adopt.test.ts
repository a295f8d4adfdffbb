import assert from "node:assert/strict";
import { isFrozen } from "../../../rollout/freeze.ts";
import { restore } from "../../../rollout/restore.ts";
import { leftovers } from "../../simulated/aftermath.ts";
import { BLUE, type Ended, GREEN, runHandover, type RunOptions, story } from "../../simulated/handovers.ts";
import { judge } from "../../simulated/invariants.ts";
import { world, type World } from "../../simulated/world.ts";

const SEED = 3;
const LABELS = { team: "shop" };
/** The group that has no web pod when a node of it is lost. */
const [FIRST, LAST] = ["workers-a-aaaaaaaa", "workers-c-aaaaaaaa"];

/** Three nodes that somebody else made, one for each zone, with a web on them, and green beside them. */
async function adopting(kind: "eks-managed" | "self-managed"): Promise<World> {
  const on = world({ seed: SEED }).pool("workers", {
    ...BLUE,
    kind,
    perZone: 1,
    labels: LABELS,
    foreign: true,
  });
  await on.settled();
  await on.deployment("web", { replicas: 6, budget: { maxUnavailable: 1 } }).settled();
  return on.pool("workers", { ...GREEN, perZone: 1 }).settled();
}

const run = (on: World, name: string, options: RunOptions = {}): Promise<Ended> =>
  runHandover(on, name, { adopt: LABELS, ...options });

/** Ends the last node of the group as soon as blue is closed. */
const losing = (on: World, group: string): RunOptions => ({
  onLine: ({ event }) => {
    if (event === "close") for (const { id } of on.cloud.must(group).instances) on.cloud.lose(id, "spot");
  },
});

for (const kind of ["eks-managed", "self-managed"] as const) {
  describe(`a group that PatchGuard did not create (${kind})`, () => {
    it("is reopened by a hold although it has lost its last node", async () => {
      const on = await adopting(kind);
      on.behave("ReplicaSet", "web", {
        readyOn: (labels) => labels["patchguard.dev/generation"] === undefined,
      });
      const held = await run(on, "first", {
        ...losing(on, LAST),
        rollout: { drain: { podTimeoutSeconds: 20 } },
      });
      assert.equal(held.error?.name, "Hold", story(on, held));
      assert.equal(on.cloud.must(LAST).ownership, undefined);
      assert.deepEqual(on.cloud.must(LAST).suspended, []);
    });

    it("is found by restore although it has lost its last node", async () => {
      const on = await adopting(kind);
      const lose = losing(on, LAST).onLine;
      await run(on, "first", {
        onLine: (line) => {
          lose?.(line);
          if (line.event === "node-start") on.sessions.find(({ name }) => name === "first")?.kill();
        },
      });
      assert.notEqual(on.cloud.must(LAST).ownership, undefined);
      await on.clock.pass(60); // the dead run's Lease runs out
      await on.run(restore(on.client("restore"), ["workers"], { force: false }), 600);
      await on.settled();
      assert.deepEqual(
        leftovers(on).filter((problem) => !problem.startsWith("the Lease")),
        [],
      );
    });

    it("stays closed, and is named, when it has lost its last node and the handover succeeds", async () => {
      const on = await adopting(kind);
      const done = await run(on, "first", losing(on, LAST));
      assert.ok(done.outcome?.proof.adopted.includes(LAST), story(on, done));
      assert.deepEqual(judge(on, { pinnedImage: GREEN.image }).violations, []);
    });

    it("is closed although it has no node when the handover begins", async () => {
      const on = await adopting(kind);
      const group = on.cloud.must(FIRST);
      on.cloud.resize(group, { min: 0, desired: 0 });
      await on.clock.pass(60);
      await on.settled();
      assert.equal(group.instances.length, 0);
      const done = await run(on, "first");
      assert.ok(done.outcome?.proof.adopted.includes(FIRST), story(on, done));
      assert.ok(isFrozen(group));
    });
  });
}

describe("restore", () => {
  it("reopens pools that are no longer in the config, too", async () => {
    const on = await world({ seed: SEED })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();
    await on.deployment("web", { replicas: 6, budget: { maxUnavailable: 1 } }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    await runHandover(on, "first", { crashAfterWrite: 30 });
    for (const { id } of on.cloud.must(LAST).instances) on.cloud.lose(id, "spot");
    await on.clock.pass(60);
    await on.run(restore(on.client("restore"), ["other"], { force: false }), 600);
    await on.settled();
    assert.deepEqual(
      leftovers(on).filter((problem) => !problem.startsWith("the Lease")),
      [],
    );
  });
});
