import assert from "node:assert/strict";
import { leftovers } from "../../simulated/aftermath.ts";
import { BLUE, GREEN, smallWorld } from "../../simulated/handovers.ts";
import { judge } from "../../simulated/invariants.ts";
import type { Client, World } from "../../simulated/world.ts";

/** Doers that break one promise each: the judge has to notice. */
describe("simulated world: the judge can fail", () => {
  const SEED = 11;
  const violations = (on: World): string => judge(on, { pinnedImage: GREEN.image }).violations.join("\n");

  const close = (on: World): void => {
    for (const { metadata } of on.nodes(BLUE.generation))
      on.store.patch("Node", metadata.name, undefined, { spec: { unschedulable: true } }, "test");
  };
  const podsOf = (on: World, app: string): { name: string; namespace: string; uid: string }[] =>
    on
      .workloadPods(BLUE.generation)
      .filter(({ metadata }) => metadata.labels?.["app"] === app)
      .map(({ metadata }) => ({ name: metadata.name, namespace: "default", uid: metadata.uid }));
  async function move(on: World, client: Client, app: string, most = 1): Promise<void> {
    for (const pod of podsOf(on, app).slice(0, most)) {
      assert.equal((await on.run(client.cluster.evict(pod))).outcome, "evicted");
      await on.clock.pass(0.5);
      await on.settled();
    }
  }

  it("a patient doer breaks nothing", async () => {
    const on = await smallWorld(SEED);
    close(on);
    const us = on.client("us");
    await move(on, us, "kafka", 3);
    await move(on, us, "web", 4);
    assert.equal(violations(on), "");
    assert.equal(judge(on).moves.length, 7);
    await on.clock.pass(10); // the last ones finish
    assert.equal(on.workloadPods(BLUE.generation).length, 0);
  });

  it("a budget broken: the pod deleted past the Eviction API", async () => {
    const on = await smallWorld(SEED);
    on.client("us");
    for (const { metadata } of on
      .workloadPods()
      .filter((pod) => pod.metadata.labels?.["app"] === "web")
      .slice(0, 2)) {
      on.store.remove("Pod", on.store.get("Pod", metadata.name, "default") as never, "us");
    }
    assert.match(violations(on), /us evicted default\/web-\w+: budget web needs 3 healthy pods, 2 were left/);
  });

  it("two pods of a Deployment without a budget at once", async () => {
    const on = await smallWorld(SEED);
    await on.deployment("bare", { replicas: 3 }).settled();
    const us = on.client("us");
    const take = async (most: number): Promise<void> => {
      const pods = on.workloadPods().filter(({ metadata }) => metadata.labels?.["app"] === "bare");
      for (const { metadata } of pods.slice(0, most))
        await on.run(us.cluster.evict({ name: metadata.name, namespace: "default", uid: metadata.uid }));
      await on.clock.pass(0.5);
    };
    await take(1);
    await on.clock.pass(10);
    await on.settled();
    assert.equal(violations(on), "");
    await take(2);
    assert.match(
      violations(on),
      /us evicted default\/bare-\w+: no budget guards it, and default\/bare-\w+, which was taken away before, is not replaced: 2 of 3 served/,
    );
  });

  it("two pods of a StatefulSet at once", async () => {
    const on = await smallWorld(SEED);
    on.store.patch("PodDisruptionBudget", "kafka", "default", { spec: { minAvailable: 1 } }, "test");
    await on.clock.pass(1);
    const us = on.client("us");
    for (const pod of podsOf(on, "kafka").slice(0, 2)) await on.run(us.cluster.evict(pod));
    assert.match(
      violations(on),
      /disrupted default\/kafka-1 of StatefulSet kafka while kafka-0, which it took away, is still going/,
    );
  });

  it("the next pod of a StatefulSet before the volume is handed over", async () => {
    const on = await smallWorld(SEED);
    close(on);
    const us = on.client("us");
    await move(on, us, "kafka");
    const attachment = on.store
      .all("VolumeAttachment")
      .find(({ metadata }) => metadata.name.includes("kafka-0"));
    on.store.update(
      "VolumeAttachment",
      attachment as never,
      (draft) => (draft.status = { attached: false }),
      "test",
    );
    await on.run(us.cluster.evict(podsOf(on, "kafka")[0] as never));
    assert.match(violations(on), /volume pv-kafka-0 of kafka-0 is not attached yet/);
  });

  it("a pod moved twice, but not after a turn", async () => {
    for (const turn of [false, true]) {
      const on = await smallWorld(SEED);
      for (const { metadata } of on.nodes(GREEN.generation))
        on.store.patch("Node", metadata.name, undefined, { spec: { unschedulable: true } }, "test");
      const us = on.client("us");
      const before = new Set(podsOf(on, "web").map(({ uid }) => uid));
      await move(on, us, "web");
      if (turn) on.turn();
      const again = podsOf(on, "web").find(({ uid }) => !before.has(uid));
      assert.ok(again);
      await on.run(us.cluster.evict(again));
      if (turn) assert.equal(violations(on), "");
      else assert.match(violations(on), /moved default\/web-\w+ twice/);
    }
  });

  it("a daemon's pod evicted, a workload written, an old image launched, something done after a crash", async () => {
    const on = await smallWorld(SEED);
    const us = on.client("us");
    const daemon = on.store.all("Pod").find(({ metadata }) => metadata.labels?.["app"] === "agent")?.metadata;
    await on.run(
      us.cluster.evict({ name: daemon?.name ?? "", namespace: "kube-system", uid: daemon?.uid ?? "" }),
    );
    await on.run(us.cluster.patch("ReplicaSet", "web", "default", { metadata: { labels: { x: "y" } } }));
    on.lose(on.nodes(BLUE.generation)[0]?.metadata.name ?? "");
    us.session.kill();
    await on.clock.pass(5);
    on.store.remove("Pod", on.workloadPods()[0] as never, "us");
    const text = violations(on);
    assert.match(text, /evicted kube-system\/agent-\w+, a pod of DaemonSet agent/);
    assert.match(text, /us wrote MODIFIED ReplicaSet web/);
    assert.match(text, /launched i-\w+ with image ami-0000000000000000a/);
    assert.match(text, /after its crash/);
  });

  it("what is left behind is found: cordon, taint, annotation, suspension, size, pods, Lease", async () => {
    const on = await smallWorld(SEED);
    assert.deepEqual(leftovers(on), []);
    const [node, other] = on.nodes(BLUE.generation).map(({ metadata }) => metadata.name) as [string, string];
    on.store.patch(
      "Node",
      node,
      undefined,
      {
        spec: { unschedulable: true, taints: [{ key: "patchguard.dev/handover", effect: "NoSchedule" }] },
        metadata: { annotations: { "patchguard.dev/closed-by": "{}" } },
      },
      "us",
    );
    const { cloud, cluster } = on.client("us");
    const [group] = await on.run(cloud.groups("workers"));
    assert.ok(group);
    await on.run(Promise.all([cloud.suspend(group, ["Launch"]), cloud.setOwnership(group, "role=blue")]));
    await on.run(
      cluster.create("Lease", {
        metadata: { name: "patchguard", namespace: "kube-system" },
        spec: { holderIdentity: "us" },
      }),
    );
    const found = leftovers(on, { foreignCordons: [other], empty: [BLUE.generation] }).join("\n");
    for (const part of [
      "has a cordon",
      "taint patchguard.dev/handover",
      "annotation patchguard.dev/closed-by",
      "ownership tag",
      "suspended Launch",
      "Lease is still held",
      "lost the cordon",
      "is still on",
    ]) {
      assert.ok(found.includes(part), `${part} in:\n${found}`);
    }
    assert.doesNotMatch(leftovers(on, { closed: [BLUE.generation] }).join("\n"), /cordon|ownership/);
  });
});
