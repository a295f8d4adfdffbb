import assert from "node:assert/strict";
import type { Client } from "../../simulated/world.ts";
import { world, type World } from "../../simulated/world.ts";
import { SimulatedCrash } from "../../simulated/session.ts";
import { isServing } from "../../simulated/workloads.ts";

const BLUE = { image: "ami-a", generation: "aaaaaaaa" };
const GREEN = { image: "ami-b", generation: "bbbbbbbb" };
const nodeOf = (on: World, pod: string): string | undefined =>
  on.store.get("Pod", pod, "default")?.spec?.nodeName;
const zoneOf = (on: World, node: string | undefined): string | undefined =>
  on.store.get("Node", node ?? "")?.metadata.labels?.["topology.kubernetes.io/zone"];

async function evictAndWait(on: World, client: Client, name: string): Promise<void> {
  const pod = on.store.get("Pod", name, "default");
  assert.ok(pod);
  const answer = await on.run(client.cluster.evict({ name, namespace: "default", uid: pod.metadata.uid }));
  assert.equal(answer.outcome, "evicted");
  await on.clock.pass(0.5);
  await on.settled();
}

describe("simulated world: scheduler", () => {
  const cordon = (on: World, generation: string): void => {
    for (const { metadata } of on.nodes(generation))
      on.store.patch("Node", metadata.name, undefined, { spec: { unschedulable: true } }, "test");
  };
  const taint = (on: World, generation: string, effect: string): void => {
    for (const { metadata } of on.nodes(generation))
      on.store.patch("Node", metadata.name, undefined, { spec: { taints: [{ key: "x", effect }] } }, "test");
  };
  const placed = (on: World, generation: string): number => on.workloadPods(generation).length;

  for (const [name, close, onBlue] of [
    ["cordoned nodes get nothing", cordon, 0],
    [
      "nor do nodes tainted NoSchedule",
      (on: World, generation: string) => taint(on, generation, "NoSchedule"),
      0,
    ],
    [
      "PreferNoSchedule is a preference",
      (on: World, generation: string) => taint(on, generation, "PreferNoSchedule"),
      0,
    ],
    ["open nodes share the load", () => undefined, 3],
  ] as const) {
    it(name, async () => {
      const on = await world({ seed: 5 })
        .pool("workers", { ...BLUE, perZone: 1 })
        .pool("workers", { ...GREEN, perZone: 1 })
        .settled();
      close(on, BLUE.generation);
      await on.clock.pass(1);
      await on.deployment("web", { replicas: 6 }).settled();
      assert.equal(placed(on, BLUE.generation), onBlue);
    });
  }

  it("a full green and a PreferNoSchedule blue: the rest goes to blue; with NoSchedule it stays Pending, and says why", async () => {
    for (const [effect, onBlue] of [
      ["PreferNoSchedule", 2],
      ["NoSchedule", 0],
    ] as const) {
      const on = await world({ seed: 5 })
        .pool("workers", { ...BLUE, perZone: 1 })
        .pool("workers", { ...GREEN, perZone: 1, pods: 2 })
        .settled();
      taint(on, BLUE.generation, effect);
      on.deployment("web", { replicas: 8 });
      await on.clock.pass(10);
      assert.equal(placed(on, BLUE.generation), onBlue);
      assert.equal(placed(on, GREEN.generation), 6);
      const waiting = on.store.all("Pod").find(({ spec }) => spec?.nodeName === undefined);
      const why = waiting?.status?.conditions?.find(({ type }) => type === "PodScheduled")?.message;
      if (onBlue === 0)
        assert.equal(why, "0/6 nodes are available: 3 Too many pods, 3 node(s) had untolerated taint {x: }.");
    }
  });

  it("CPU, node selector, tolerations and anti-affinity", async () => {
    const on = await world({ seed: 5 })
      .pool("workers", { ...BLUE, perZone: 1, cpu: "2" })
      .pool("special", {
        image: "ami-s",
        generation: "cccccccc",
        zones: ["us-east-1a"],
        perZone: 1,
        taints: [{ key: "special", effect: "NoSchedule" }],
      })
      .settled();
    const tolerations = [{ key: "special", operator: "Exists" }];
    on.deployment("big", {
      replicas: 4,
      spec: { containers: [{ name: "c", resources: { requests: { cpu: "1500m" } } }] },
    });
    on.deployment("picky", {
      replicas: 2,
      spec: { nodeSelector: { "patchguard.dev/pool": "special" }, tolerations },
    });
    on.deployment("lonely", { replicas: 4, oneHostEach: true, spec: { tolerations } });
    await on.clock.pass(10);
    const ready = (app: string): number =>
      on.store.all("Pod").filter((pod) => pod.metadata.labels?.["app"] === app && isServing(pod)).length;
    assert.deepEqual([ready("big"), ready("picky"), ready("lonely")], [3, 2, 4]);
  });
});

describe("simulated world: stateful sets and volumes", () => {
  it("a pod keeps name and zone; its volume is detached before it is attached; it is Ready only then", async () => {
    const on = await world({ seed: 6 })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();
    await on.statefulSet("db", { budget: { minAvailable: 2 } }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    for (const { metadata } of on.nodes(BLUE.generation))
      on.store.patch("Node", metadata.name, undefined, { spec: { unschedulable: true } }, "test");
    const before = nodeOf(on, "db-1");
    await evictAndWait(on, on.client("us"), "db-1");
    const after = nodeOf(on, "db-1");
    assert.notEqual(after, before);
    assert.equal(zoneOf(on, after), zoneOf(on, before));
    const events = on.happenings.flatMap((it) => (it.what === "change" ? [it.change] : []));
    const gone = events.find(
      ({ kind, type, object }) =>
        kind === "VolumeAttachment" && type === "DELETED" && object.metadata.name.includes("db-1"),
    );
    const attached = events.findLast(
      ({ kind, object }) =>
        kind === "VolumeAttachment" && object.metadata.name.includes(`db-1-${after ?? ""}`),
    );
    const ready = events.findLast(
      ({ kind, object }) => kind === "Pod" && object.metadata.name === "db-1" && isServing(object as never),
    );
    assert.ok(gone && attached && ready && gone.at < attached.at && attached.at < ready.at);
  });

  it("OrderedReady: a pod that is not Ready holds up the ones after it", async () => {
    const on = await world({ seed: 6 })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();
    on.statefulSet("db", { readyOn: () => false });
    await on.clock.pass(60);
    assert.deepEqual(
      on.store.all("Pod").map(({ metadata }) => metadata.name),
      ["db-0"],
    );
  });
});

describe("simulated world: cloud and nodes", () => {
  it("a lost instance is replaced from the template, unless Launch is suspended; its pods live on for a while", async () => {
    for (const suspended of [false, true]) {
      const on = await world({ seed: 8 })
        .pool("workers", { ...BLUE, perZone: 1 })
        .settled();
      await on.deployment("web", { replicas: 3 }).settled();
      const client = on.client("us");
      const [group] = await on.run(client.cloud.groups("workers"));
      assert.ok(group);
      if (suspended) await on.run(client.cloud.suspend(group, ["Launch"]));
      const victim = on.nodes().find(({ spec }) => spec?.providerID?.endsWith(group.instances[0]?.id ?? "?"))
        ?.metadata.name as string;
      const pods = on.podsOn(victim).length;
      on.lose(victim);
      await on.clock.pass(20);
      assert.equal(on.nodes().length, suspended ? 2 : 3);
      assert.equal(on.podsOn(victim).length, pods);
      await on.clock.pass(60);
      assert.equal(on.podsOn(victim).length, 0);
    }
  });

  it("sizes that do not fit together are refused; EKS takes its time and refuses a second change meanwhile", async () => {
    const on = await world({ seed: 8 })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();
    const { cloud } = on.client("us");
    const [group] = await on.run(cloud.groups("workers"));
    assert.ok(group);
    await assert.rejects(on.run(cloud.resize(group, { min: 5, max: 4 })), /do not fit/);
    const both = Promise.allSettled([
      cloud.resize(group, { min: 1, max: 1 }),
      cloud.resize(group, { max: 3 }),
    ]);
    const outcomes = (await on.run(both)).map(({ status }) => status).toSorted();
    assert.deepEqual(outcomes, ["fulfilled", "rejected"]);
  });
});

describe("simulated world: crash, faults, repetition", () => {
  const patch = (client: Client, value: string): Promise<unknown> =>
    client.cluster.create("ConfigMap", { metadata: { name: value, namespace: "kube-system" }, data: {} });

  it("the n-th write is carried out, nothing after it; sleeps of the dead never end", async () => {
    const on = world({ seed: 9 });
    const client = on.client("us", { crashAfterWrite: 2 });
    let woke = false;
    void client.clock.sleep(1000).then(() => (woke = true));
    const work = async (): Promise<void> => {
      for (const value of ["a", "b", "c"]) await patch(client, value);
    };
    await assert.rejects(on.run(work()), SimulatedCrash);
    await assert.rejects(on.run(client.session.crashed), /killed after its write 2/);
    await assert.rejects(on.run(client.cluster.list("Node")), SimulatedCrash);
    await on.clock.pass(10);
    assert.equal(woke, false);
    assert.deepEqual(
      on.store.all("ConfigMap").map(({ metadata }) => metadata.name),
      ["a", "b"],
    );
  });

  it("a lost answer is a write all the same", async () => {
    const on = world({ seed: 9 });
    const client = on.client("us", { faults: { answerLost: 1 } });
    await assert.rejects(on.run(patch(client, "a")), /no answer/);
    assert.equal(on.store.all("ConfigMap").length, 1);
  });

  it("the same seed gives the same trace, another one another", async () => {
    const trace = async (seed: number): Promise<string> => {
      const on = await world({ seed }).pool("workers", BLUE).settled();
      await on
        .deployment("web", { replicas: 6, budget: { maxUnavailable: 1 } })
        .statefulSet("db")
        .daemonSet("agent")
        .settled();
      const client = on.client("us", { faults: { throttle: 0.2 } });
      await on.run(
        Promise.allSettled(
          on
            .workloadPods()
            .map(({ metadata }) =>
              client.cluster.evict({ name: metadata.name, namespace: "default", uid: metadata.uid }),
            ),
        ),
      );
      await on.settled();
      return on.trace().join("\n");
    };
    const [first, again, other] = [await trace(1), await trace(1), await trace(2)];
    assert.equal(first, again);
    assert.notEqual(first, other);
  });
});
