import assert from "node:assert/strict";
import { BLUE, GREEN, runHandover, story } from "../../simulated/handovers.ts";
import { judge } from "../../simulated/invariants.ts";
import { world, type World } from "../../simulated/world.ts";

/** Workloads that are not quite well when a handover begins. */
describe("what a workload lacked before", () => {
  const blueOf = (): Promise<World> =>
    world({ seed: 5 })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();

  it("a replica that was not Ready when a health window began is no breach of it", async () => {
    const on = await blueOf();
    const readyOn = (labels: Record<string, string>): boolean =>
      labels["topology.kubernetes.io/zone"] !== "us-east-1c" ||
      labels["patchguard.dev/generation"] !== BLUE.generation;
    on.deployment("web", { replicas: 3, budget: { maxUnavailable: 2 }, readyOn });
    await on.clock.pass(60);
    on.pool("workers", { ...GREEN, perZone: 1 });
    await on.clock.pass(30);
    const run = await runHandover(on, "only");
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
  });

  it("a pod that is Ready, though not yet for minReadySeconds, is not missing: its siblings still go one at a time", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 3, minReadySeconds: 60 }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const run = await runHandover(on, "only");
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
    assert.deepEqual(judge(on).violations, []);
    const asked = run.log.filter(({ event }) => event === "evict").map(({ time }) => Date.parse(time));
    for (const [i, at] of asked.entries())
      assert.ok(
        i === 0 || at - (asked[i - 1] ?? 0) > 60_000,
        `${asked.length} evictions at ${asked.join(", ")}`,
      );
  });
});
