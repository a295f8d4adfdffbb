import assert from "node:assert/strict";
import { leftovers } from "../../simulated/aftermath.ts";
import { BLUE, type Ended, GREEN, runHandover, smallWorld, story } from "../../simulated/handovers.ts";
import { judge } from "../../simulated/invariants.ts";
import { world, type World } from "../../simulated/world.ts";

/** What a later run, or a later node, makes of nodes that are done, or were begun by a run before. */
describe("nodes that were in hand before", () => {
  const uncordon = (on: World, name: string): void =>
    void on.store.patch("Node", name, undefined, { spec: { unschedulable: null } }, "somebody");
  function assertDone(on: World, run: Ended): void {
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
    assert.deepEqual(judge(on, { pinnedImage: GREEN.image }).violations, []);
    assert.deepEqual(leftovers(on, { closed: [BLUE.generation], empty: [BLUE.generation] }), []);
    for (const { metadata, spec } of on.nodes(BLUE.generation))
      assert.equal(spec?.unschedulable, true, `node ${metadata.name} is schedulable`);
  }

  /** The volume of a pod that has moved is attached to its old node still, or again. */
  function leave(on: World, { pod, node }: { pod: string; node: string }): void {
    const claim = on.store.get("Pod", pod, "default")?.spec?.volumes?.[0]?.persistentVolumeClaim?.claimName;
    const volume = on.store.get("PersistentVolumeClaim", claim ?? "", "default")?.spec?.volumeName;
    assert.ok(volume);
    on.store.create(
      "VolumeAttachment",
      {
        metadata: {
          name: "left",
          finalizers: ["external-attacher/ebs"],
          deletionTimestamp: new Date(on.clock.now()).toISOString(),
        },
        spec: { attacher: "ebs.csi.aws.com", nodeName: node, source: { persistentVolumeName: volume } },
        status: { attached: true },
      },
      "test",
    );
  }

  it("a workload that is back once is not held against a node for what moves it from other nodes afterwards", async () => {
    const on = await world({ seed: 3 })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();
    await on
      .deployment("tail", { replicas: 3, oneHostEach: true }) // keeps every node in hand until the end
      .statefulSet("db", { replicas: 3, startSeconds: 12, budget: { maxUnavailable: 1 } })
      .settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const drain = { podSelector: "app!=tail", podTimeoutSeconds: 25 };
    const first = await runHandover(on, "first", {
      rollout: { drain },
      onLine: ({ event }) => {
        if (event === "pod-gone") on.sessions[0]?.kill();
      },
    });
    assert.ok(first.crashed);
    assertDone(on, await runHandover(on, "second", { rollout: { drain } }));
  });

  it("a drained node that somebody uncordons while others are drained is cordoned again, and told", async () => {
    const on = await smallWorld(7);
    let done: string | undefined;
    const run = await runHandover(on, "only", {
      onLine: ({ event, node }) => {
        if (event !== "node-drained" || done !== undefined) return;
        done = String(node);
        uncordon(on, done);
      },
    });
    assertDone(on, run);
    assert.ok(run.log.some(({ event, message }) => event === "foreign" && message.includes(`Node ${done}`)));
  });

  it("a drained node that somebody uncordons between two runs is taken in hand again", async () => {
    const on = await smallWorld(7);
    const first = await runHandover(on, "first", {
      onLine: ({ event }) => {
        if (event === "node-drained") on.sessions[0]?.kill();
      },
    });
    assert.ok(first.crashed);
    const done = on.nodes(BLUE.generation).find(({ spec }) => spec?.unschedulable)?.metadata.name ?? "";
    uncordon(on, done);
    assertDone(on, await runHandover(on, "second"));
  });

  it("a volume that the run before did not see handed over keeps the set's other pods, though all are Ready", async () => {
    const on = await world({ seed: 5, detachSeconds: 150 })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();
    await on.statefulSet("kafka", { replicas: 3 }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const drain = { volumeTimeoutSeconds: 60 };
    let gone: { pod: string; node: string } | undefined;
    const first = await runHandover(on, "first", {
      rollout: { health: { windowSeconds: 0 }, drain },
      onLine: ({ event, pod, node }) => {
        if (event !== "pod-gone") return;
        gone = { pod: String(pod).replace("default/", ""), node: String(node) };
        on.sessions[0]?.kill();
      },
    });
    assert.ok(first.crashed && gone);
    await on.clock.pass(200);
    leave(on, gone);
    const evicted: string[] = [];
    const second = await runHandover(on, "second", {
      rollout: { health: { windowSeconds: 0 }, drain },
      onLine: ({ event, pod }) => {
        if (event === "evict") evicted.push(String(pod));
      },
    });
    assert.match(
      second.error?.message ?? "it succeeded",
      /volume \S+ of pod \S*kafka-\d is still attached to node .* after 60 s/,
    );
    assert.deepEqual(evicted, []);
  });

  it("and the set's pods that are never asked because of it say so, where its node is drained already", async () => {
    const on = await world({ seed: 5, detachSeconds: 150 })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();
    await on.statefulSet("kafka", { replicas: 3 }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    let gone: { pod: string; node: string } | undefined;
    const first = await runHandover(on, "first", {
      onLine: ({ event, message, pod, node }) => {
        if (event === "pod-gone") gone = { pod: String(pod).replace("default/", ""), node: String(node) };
        if (event === "health" && message.startsWith("health window of")) on.sessions[0]?.kill();
      },
    });
    assert.ok(first.crashed && gone);
    await on.clock.pass(200);
    leave(on, gone);
    const second = await runHandover(on, "second", { rollout: { drain: { budgetTimeoutSeconds: 40 } } });
    assert.match(
      second.error?.message ?? "it succeeded",
      /could not be evicted within 40 s .*: volume pv-kafka-\d of pod \S*kafka-\d is still attached to node .*To go on: look at the CSI driver's controller/,
    );
  });
});
