import assert from "node:assert/strict";
import { BLUE, GREEN, runHandover, story } from "../../../simulated/handovers.ts";
import { world } from "../../../simulated/world.ts";

describe("a rehearsal that takes long", () => {
  it("is announced, and what came meanwhile still blocks", async () => {
    const on = await world({ seed: 7 })
      .pool("workers", { ...BLUE, perZone: 2 })
      .settled();
    await on.deployment("web", { replicas: 120, budget: { maxUnavailable: 2 } }).settled();
    await on.pool("workers", { ...GREEN, perZone: 2 }).settled();
    const run = await runHandover(on, "only", {
      rollout: { preflight: { timeoutSeconds: 20 } },
      onLine: ({ message }) => {
        if (/120 pods of pool workers are asked by a dry-run eviction/.test(message))
          on.budget("late", { maxUnavailable: 0, selector: { matchLabels: { app: "web" } } });
      },
    });
    assert.equal(run.error?.name, "Blocked", story(on, run));
    assert.match(run.error?.message ?? "", /PodDisruptionBudget default\/late/);
    assert.ok(on.nodes(BLUE.generation).every(({ spec }) => spec?.unschedulable !== true));
    assert.ok(run.log.some(({ event }) => event === "blocked"));
  });
});
