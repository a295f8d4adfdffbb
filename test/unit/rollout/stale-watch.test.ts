import assert from "node:assert/strict";
import { runHandover, smallWorld, story } from "../../simulated/handovers.ts";
import type { Client } from "../../simulated/world.ts";

describe("a watch that has fallen behind", () => {
  it("is no reason to accuse somebody of an uncordon: the API server is asked first", async () => {
    const on = await smallWorld(7);
    let client: Client | undefined;
    const run = await runHandover(on, "only", {
      onClient: (it) => (client = it),
      onLine: ({ event }) => {
        if (event === "close") for (const cache of client?.cluster.caches ?? []) cache.stall(8000);
      },
    });
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
    assert.deepEqual(
      run.log.filter(({ event }) => event === "foreign"),
      [],
    );
  });

  it("is no reason to say of a pod that it is still terminating: the API server is asked first", async () => {
    const on = await smallWorld(7);
    let client: Client | undefined;
    const run = await runHandover(on, "only", {
      rollout: { drain: { terminationSlackSeconds: 1 } },
      onClient: (it) => (client = it),
      onLine: ({ event }) => {
        if (event !== "evict") return;
        for (const cache of client?.cluster.caches ?? []) cache.stall(50_000);
      },
      limitSeconds: 7200,
    });
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
  });
});
