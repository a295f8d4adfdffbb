import assert from "node:assert/strict";
import type { Expectation } from "../../watcher/end.ts";
import { judgeEnd } from "../../watcher/end.ts";
import { showSummary, summarize } from "../../watcher/summary.ts";
import { CLOUD, KUBECTL, PATCHGUARD, World } from "./world.ts";

const HANDOVER = { key: "patchguard.dev/handover", value: "bbbbbbbb", effect: "NoSchedule" };

const end = (world: World, expectation: Expectation): string[] =>
  judgeEnd(world.state, expectation, world.at).map((v) => `${v.kind} ${v.object}: ${v.what}`);

describe("watcher: what is left over at the end", () => {
  it("finds nothing after everything was reopened, with a foreign cordon still there", () => {
    const world = new World();
    world.node("blue-1", { cordoned: true });
    world.node("blue-2");
    for (const name of ["blue-1", "blue-2"]) {
      world.patchNode(PATCHGUARD, name, (node) => (node.spec = { ...node.spec, taints: [HANDOVER] }));
    }
    world.cordon(PATCHGUARD, "blue-2");
    world.uncordon(PATCHGUARD, "blue-2");
    for (const name of ["blue-1", "blue-2"]) {
      world.patchNode(PATCHGUARD, name, (node) => delete node.spec?.taints);
    }
    assert.deepEqual(end(world, { outcome: "reopened" }), []);
    assert.deepEqual(world.told, []);
  });

  it("names a cordon, a taint, a label and annotations that were left", () => {
    const world = new World();
    for (const n of [1, 2, 3, 4]) world.node(`blue-${n}`);
    world.cordon(PATCHGUARD, "blue-1");
    world.patchNode(PATCHGUARD, "blue-2", (node) => (node.spec = { taints: [HANDOVER] }));
    world.patchNode(PATCHGUARD, "blue-3", (node) => {
      node.metadata.labels = { "node.kubernetes.io/exclude-from-external-load-balancers": "true" };
    });
    world.patchNode(PATCHGUARD, "blue-4", (node) => {
      node.metadata.annotations = {
        "patchguard.dev/closed-by": "{}",
        "cluster-autoscaler.kubernetes.io/scale-down-disabled": "true",
      };
    });
    assert.deepEqual(end(world, { outcome: "reopened" }), [
      "leak node blue-1: cordon is left over",
      "leak node blue-2: taint patchguard.dev/handover:NoSchedule is left over",
      "leak node blue-3: label node.kubernetes.io/exclude-from-external-load-balancers is left over",
      "leak node blue-4: annotation patchguard.dev/closed-by is left over",
      "leak node blue-4: annotation cluster-autoscaler.kubernetes.io/scale-down-disabled is left over",
    ]);
  });

  it("does not hold a cordon of kubectl against PatchGuard, even during the run", () => {
    const world = new World();
    world.node("blue-1");
    world.cordon(KUBECTL, "blue-1");
    assert.deepEqual(end(world, { outcome: "reopened" }), []);
  });

  it("misses a foreign cordon that PatchGuard took away", () => {
    const world = new World();
    world.node("blue-1", { cordoned: true });
    world.uncordon(PATCHGUARD, "blue-1");
    assert.deepEqual(end(world, { outcome: "reopened" }), [
      "foreign-state-removed node blue-1: cordon was true by others and is gone",
    ]);
  });

  it("wants closed nodes gone after success, unless they are not ours to delete", () => {
    const world = new World();
    const close = (name: string): void => {
      world.patchNode(PATCHGUARD, name, (node) => {
        node.spec = { unschedulable: true };
        node.metadata.annotations = { "patchguard.dev/closed-by": "{}" };
      });
    };
    for (const name of ["blue-1", "blue-2", "adopted-1"]) {
      world.node(name);
      close(name);
    }
    world.deleteNode(CLOUD, "blue-1");
    assert.deepEqual(end(world, { outcome: "finished", stayClosed: { nodes: ["adopted-1"] } }), [
      "leak node blue-2: cordon is left over",
      "leak node blue-2: annotation patchguard.dev/closed-by is left over",
      "not-finished node blue-2: was closed by PatchGuard and is still there",
    ]);
  });

  it("lets a green generation stay closed after a rollback, if it is marked", () => {
    const world = new World();
    world.node("green-1", { generation: "bbbbbbbb" });
    world.node("green-2", { generation: "bbbbbbbb" });
    world.patchNode(PATCHGUARD, "green-1", (node) => {
      node.spec = { taints: [HANDOVER] };
      node.metadata.annotations = { "patchguard.dev/closed-by": "{}" };
    });
    world.patchNode(PATCHGUARD, "green-2", (node) => (node.spec = { taints: [HANDOVER] }));
    assert.deepEqual(end(world, { outcome: "reopened", stayClosed: { generations: ["bbbbbbbb"] } }), [
      "leak node green-2: stays closed without a mark of who closed it",
    ]);
  });
});

describe("watcher: its summary", () => {
  it("counts evictions by whom, moves, the worst moment of each budget, and other disruptions", () => {
    const world = new World();
    world.node("blue-1");
    const owner = { kind: "ReplicaSet", uid: world.workload("ReplicaSet", "web", 2) };
    world.budget("web", { maxUnavailable: 1 });
    world.pod("web-1", "blue-1", owner);
    world.pod("web-2", "blue-1", owner);
    world.request(PATCHGUARD, "create", "pods/eviction", "shop/web-1", 429);
    world.move(PATCHGUARD, "web-1", "web-3", "blue-1", owner);
    world.remove(KUBECTL, "web-2");
    const summary = summarize(world.state);
    assert.deepEqual(summary.evictions, { patchguard: 1 });
    assert.deepEqual(summary.refusedEvictions, { patchguard: 1 });
    assert.deepEqual(summary.otherDisruptions, { kubectl: 1 });
    assert.deepEqual(summary.moves, { "shop/web-1": { total: 1, mostInOneLeg: 1 } });
    assert.deepEqual(summary.budgets, { "shop/web": { maxUnavailable: 1, minHealthy: 1, breaches: 0 } });
    assert.deepEqual(showSummary(summary), [
      "broken promises:    0",
      "evictions:          1 by patchguard (refused by a budget: 1 by patchguard)",
      "other disruptions:  1 by kubectl",
      "                    2026-01-01T00:00:07.100Z shop/web-2 on blue-1: delete by kubectl",
      "places moved:       1, each at most 1 time in one direction",
      "budget shop/web: at most 1 unavailable at once, never below what it wants",
    ]);
  });
});
