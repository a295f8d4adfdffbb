import assert from "node:assert/strict";
import { BLUE, GREEN, runHandover, story } from "../../simulated/handovers.ts";
import { groupsFor, world, type World } from "../../simulated/world.ts";

const ZONES = ["us-east-1a"];
const SEED = 5;

/** Green is cordoned by somebody, and the web is scaled up: its new pod finds no node. */
function shrink(on: World): void {
  for (const { metadata } of on.nodes(GREEN.generation))
    on.store.patch("Node", metadata.name, undefined, { spec: { unschedulable: true } }, "somebody");
  on.store.patch("ReplicaSet", "web", "default", { spec: { replicas: 3 } }, "somebody");
}

describe("a workload that was whole again and is short once more, by nobody's eviction", () => {
  it("has a deadline like any other: the run holds, and names it", async () => {
    const on = await world({ seed: SEED })
      .pool("workers", { ...BLUE, zones: ZONES, perZone: 1 })
      .settled();
    await on
      .deployment("web", { replicas: 2, budget: { maxUnavailable: 1 } })
      .deployment("slow", { replicas: 1, stopSeconds: 60, graceSeconds: 60 }) // keeps the node in hand
      .settled();
    await on.pool("workers", { ...GREEN, zones: ZONES, perZone: 1 }).settled();
    let moved = 0;
    const run = await runHandover(on, "only", {
      groups: groupsFor("workers", GREEN.generation, ZONES),
      limitSeconds: 1800,
      rollout: { drain: { podTimeoutSeconds: 90 } },
      onLine: ({ event, message }) => {
        if (event === "pod-moved" && message.includes("/web-") && ++moved === 2) shrink(on);
      },
    });
    assert.equal(run.error?.name, "Hold", `${run.error?.message ?? "a success"}\n${story(on, run)}`);
    assert.match(run.error.message, /ReplicaSet default\/web,.*rollout\.drain\.podTimeoutSeconds.*Pending/);
  });

  it("has a deadline of its own: two that are short one after the other are not one that is short for long", async () => {
    const on = await world({ seed: SEED })
      .pool("workers", { ...BLUE, zones: ZONES, perZone: 1 })
      .settled();
    await on
      .deployment("api", { replicas: 1, startSeconds: 60 })
      .deployment("web", { replicas: 1, startSeconds: 60 })
      .deployment("slow", { replicas: 1, stopSeconds: 600, graceSeconds: 600 }) // keeps the node in hand
      .settled(900);
    await on.pool("workers", { ...GREEN, zones: ZONES, perZone: 1 }).settled();
    const grow = (name: string): void =>
      void on.store.patch("ReplicaSet", name, "default", { spec: { replicas: 2 } }, "somebody");
    let moved = 0;
    const run = await runHandover(on, "only", {
      groups: groupsFor("workers", GREEN.generation, ZONES),
      limitSeconds: 1800,
      rollout: { drain: { podTimeoutSeconds: 90 } },
      onLine: ({ event, message }) => {
        if (event !== "pod-moved" || message.includes("/slow-") || ++moved !== 2) return;
        grow("web");
        on.clock.after(50_000, "somebody", () => grow("api"));
      },
    });
    assert.equal(moved, 2);
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
  });

  it("is not waited for when its namespace is being deleted, though its controller still stands", async () => {
    const on = await world({ seed: SEED })
      .pool("workers", { ...BLUE, zones: ZONES, perZone: 1 })
      .settled();
    await on
      .deployment("web", { replicas: 2, namespace: "shop" })
      .deployment("api", { replicas: 2, budget: { maxUnavailable: 1 } })
      .settled();
    on.store.create("Namespace", { metadata: { name: "shop" } }, "test");
    await on.pool("workers", { ...GREEN, zones: ZONES, perZone: 1 }).settled();
    const run = await runHandover(on, "only", {
      groups: groupsFor("workers", GREEN.generation, ZONES),
      limitSeconds: 1800,
      rollout: { health: { windowSeconds: 0 }, drain: { podTimeoutSeconds: 30, budgetTimeoutSeconds: 60 } },
      onLine: ({ event, message }) => {
        if (event !== "evict" || !message.includes("shop/web-")) return;
        on.behave("ReplicaSet", "web", { readyOn: () => false }, "shop");
        const space = on.store.get("Namespace", "shop");
        if (space === undefined || space.metadata.deletionTimestamp !== undefined) return;
        on.store.update(
          "Namespace",
          space,
          ({ metadata }) => (metadata.deletionTimestamp = new Date(on.clock.now()).toISOString()),
          "somebody",
        );
      },
    });
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
    const told = run.log.filter(({ message }) => message.startsWith("Namespace shop is being deleted"));
    assert.equal(told.length, 1);
  });
});
