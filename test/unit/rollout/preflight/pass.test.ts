import assert from "node:assert/strict";
import { BLUE, GREEN, runHandover, smallWorld, story } from "../../../simulated/handovers.ts";
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

describe("a resume that pre-flight stops", () => {
  it("does not say that nothing was touched: an earlier run had begun", async () => {
    const on = await smallWorld(7);
    const first = await runHandover(on, "first", {
      onLine: ({ event }) => {
        if (event === "node-drained") on.sessions[0]?.kill();
      },
    });
    assert.ok(first.crashed);
    await on.clock.pass(60);
    on.budget("late", { maxUnavailable: 0, selector: { matchLabels: { app: "web" } } });
    await on.clock.pass(2);
    const rollout = { preflight: { timeoutSeconds: 20 } };
    const second = await runHandover(on, "second", { rollout });
    assert.equal(second.error?.name, "Blocked", story(on, second));
    assert.match(
      second.error.message,
      /nothing was touched by this run, but an earlier one had begun 1 node\. /,
    );
    const told = second.log.filter(({ event }) => event === "blocked").map(({ message }) => message);
    assert.match(told.join(), /^paused before anything more was touched: /);
  });
});
