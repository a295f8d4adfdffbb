import assert from "node:assert/strict";
import { judge } from "../../watcher/judge.ts";
import { newState } from "../../watcher/state.ts";
import { CLOUD, CONTROLLER, KUBECTL, PATCHGUARD, World } from "./world.ts";

interface Case {
  name: string;
  /** `kind object` of each violation, in order. */
  expect: string[];
  /** By whom, if it matters. */
  who?: string;
  play: (world: World) => void;
  requireLease?: boolean;
}

const taint = (key: string, effect: string) => (node: { spec?: { taints?: object[] } }) => {
  node.spec = { ...node.spec, taints: [...(node.spec?.taints ?? []), { key, value: "bbbbbbbb", effect }] };
};

/** Three web pods on blue-1, a budget of two. */
function web(world: World, spec: { minAvailable?: number | string; maxUnavailable?: number | string } = {}) {
  world.node("blue-1");
  world.node("blue-2");
  world.node("green-1", { generation: "bbbbbbbb" });
  const owner = { kind: "ReplicaSet", uid: world.workload("ReplicaSet", "web", 3) };
  world.budget("web", Object.keys(spec).length === 0 ? { minAvailable: 2 } : spec);
  for (const name of ["web-1", "web-2", "web-3"]) world.pod(name, "blue-1", owner);
  return owner;
}

/** Three Kafka pods with a volume each, on blue-1 to blue-3. */
function kafka(world: World, attached = true) {
  const owner = { kind: "StatefulSet", uid: world.workload("StatefulSet", "kafka", 3) };
  world.node("green-1", { generation: "bbbbbbbb" });
  for (const n of [0, 1, 2]) {
    world.node(`blue-${n}`);
    world.object("INITIAL", {
      kind: "PersistentVolumeClaim",
      metadata: world.meta(`data-kafka-${n}`, "shop"),
      spec: { volumeName: `pv-${n}` },
    });
    if (attached) world.attach(`pv-${n}`, `blue-${n}`, "INITIAL");
    kafkaPod(world, n, `blue-${n}`, owner);
  }
  return owner;
}

function kafkaPod(world: World, n: number, node: string, owner: { kind: string; uid: string }, ready = true) {
  world.pod(`kafka-${n}`, node, owner, (pod) => {
    pod.spec = {
      ...pod.spec,
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: `data-kafka-${n}` } }],
    };
    if (!ready) pod.status = { phase: "Pending" };
  });
}

const clean: Case[] = [
  {
    name: "an orderly handover",
    expect: [],
    play: (world) => {
      const owner = web(world);
      world.patchNode(PATCHGUARD, "blue-1", taint("patchguard.dev/handover", "NoSchedule"));
      world.cordon(PATCHGUARD, "blue-1");
      for (const n of [1, 2, 3]) world.move(PATCHGUARD, `web-${n}`, `web-${n}x`, "green-1", owner);
      world.wait(6).deleteNode(CLOUD, "blue-1");
    },
  },
  {
    name: "a crash during the drain, which nobody caused",
    expect: [],
    play: (world) => {
      web(world);
      world.evict(PATCHGUARD, "web-1");
      world.wait(3).crash("web-2");
    },
  },
  {
    name: "an eviction granted in the very moment of a crash",
    expect: [],
    play: (world) => {
      web(world);
      world.crash("web-2");
      world.wait(0.1).evict(PATCHGUARD, "web-1");
    },
  },
  {
    name: "a budget broken by somebody else's delete",
    expect: [],
    play: (world) => {
      web(world);
      world.remove(KUBECTL, "web-1");
      world.remove(KUBECTL, "web-2");
    },
  },
  {
    name: "an unready pod evicted: it counted for nothing",
    expect: [],
    play: (world) => {
      web(world);
      world.crash("web-1");
      world.wait(10).evict(PATCHGUARD, "web-1");
    },
  },
  {
    name: "a dry-run eviction by PatchGuard, then a delete by kubectl",
    expect: [],
    play: (world) => {
      web(world, { minAvailable: 3 });
      world.request(PATCHGUARD, "create", "pods/eviction", "shop/web-1", 201);
      world.wait(3).remove(KUBECTL, "web-1");
    },
  },
  {
    name: "DaemonSet, mirror and finished pods on a deleted node",
    expect: [],
    play: (world) => {
      world.node("blue-1");
      world.pod("agent-1", "blue-1", { kind: "DaemonSet", uid: "ds" });
      world.pod("static-1", "blue-1", undefined, (pod) => {
        pod.metadata.annotations = { "kubernetes.io/config.mirror": "x" };
      });
      world.pod(
        "job-1",
        "blue-1",
        { kind: "Job", uid: "job" },
        (pod) => (pod.status = { phase: "Succeeded" }),
      );
      world.deleteNode(CLOUD, "blue-1");
    },
  },
  {
    name: "a declared loss of a node",
    expect: [],
    play: (world) => {
      web(world);
      world.mark({ mark: "loss", nodes: ["blue-1"], why: "spot" });
      world.deleteNode(CLOUD, "blue-1");
    },
  },
  {
    name: "two pods of a StatefulSet, one after the other was handed over",
    expect: [],
    play: (world) => {
      const owner = kafka(world);
      world.evict(PATCHGUARD, "kafka-0");
      world.wait(5).gone("kafka-0");
      world.attach("pv-0", "blue-0", "DELETED");
      world.attach("pv-0", "green-1");
      kafkaPod(world, 0, "green-1", owner);
      world.wait(1).evict(PATCHGUARD, "kafka-1");
    },
  },
  {
    name: "a StatefulSet whose driver attaches nothing",
    expect: [],
    play: (world) => {
      const owner = kafka(world, false);
      world.evict(PATCHGUARD, "kafka-0");
      world.wait(5).gone("kafka-0");
      kafkaPod(world, 0, "green-1", owner);
      world.wait(1).evict(PATCHGUARD, "kafka-1");
    },
  },
  {
    name: "an eviction just before the kill takes effect, and one after the resume",
    expect: [],
    play: (world) => {
      web(world, { minAvailable: 0 });
      world.mark({ mark: "killed" });
      world.wait(2).evict(PATCHGUARD, "web-1");
      world.wait(60).mark({ mark: "resumed" });
      world.wait(1).evict(PATCHGUARD, "web-2");
    },
  },
  {
    name: "a pod moved there and, after a revert, back",
    expect: [],
    play: (world) => {
      const owner = web(world);
      world.move(PATCHGUARD, "web-1", "web-4", "green-1", owner);
      world.mark({ mark: "leg", name: "revert" });
      world.move(PATCHGUARD, "web-4", "web-5", "blue-1", owner);
    },
  },
  {
    name: "a new pod of a scale-out is not the replacement of one that was scaled away",
    expect: [],
    play: (world) => {
      const owner = web(world, { minAvailable: 1 });
      world.remove(`${CONTROLLER}replicaset-controller`, "web-3");
      world.wait(5).gone("web-3");
      world.move(PATCHGUARD, "web-1", "web-4", "green-1", owner);
      world.pod("web-5", "blue-2", owner);
      world.evict(PATCHGUARD, "web-5");
    },
  },
  {
    name: "a foreign cordon and a foreign uncordon",
    expect: [],
    play: (world) => {
      world.node("blue-1");
      world.cordon(KUBECTL, "blue-1");
      world.uncordon(KUBECTL, "blue-1");
    },
  },
  {
    name: "pre-flight blocked by a budget, which clears",
    expect: [],
    play: (world) => {
      web(world);
      world.budget("web", { minAvailable: 2 }, 0);
      world.mark({ mark: "preflight", state: "blocked", budget: "shop/web" });
      world.wait(60).budget("web", { minAvailable: 2 }, 1);
      world.cordon(PATCHGUARD, "blue-1");
    },
  },
  {
    name: "a budget at zero by design, declared",
    expect: [],
    play: (world) => {
      web(world);
      world.budget("primary", { minAvailable: 1 }, 0);
      world.mark({ mark: "exempt", budget: "shop/primary" });
      world.wait(60).cordon(PATCHGUARD, "blue-1");
    },
  },
  {
    name: "a lease held, let go, and taken by the next",
    expect: [],
    requireLease: true,
    play: (world) => {
      web(world);
      world.lease("one");
      world.wait(20).evict(PATCHGUARD, "web-1");
      world.lease("");
      world.lease("two");
    },
  },
  {
    name: "a run that ended on hold, reopened its nodes, and closes them again later",
    expect: [],
    play: (world) => {
      const owner = web(world);
      world.cordon(PATCHGUARD, "blue-1");
      for (const n of [1, 2, 3]) world.move(PATCHGUARD, `web-${n}`, `web-${n}x`, "green-1", owner);
      world.cordon(PATCHGUARD, "blue-2");
      world.uncordon(PATCHGUARD, "blue-2");
      world.uncordon(PATCHGUARD, "blue-1");
      world.wait(1).mark({ mark: "held" });
      world.cordon(PATCHGUARD, "blue-1");
    },
  },
];

const broken: Case[] = [
  {
    name: "a second eviction below the budget",
    expect: ["budget budget shop/web"],
    who: "patchguard",
    play: (world) => {
      web(world);
      world.evict(PATCHGUARD, "web-1");
      world.wait(3).evict(PATCHGUARD, "web-2");
    },
  },
  {
    name: "a percentage of the replicas wanted, counted by the controller and not by the pods there are",
    expect: ["budget budget shop/web"],
    play: (world) => {
      web(world, { maxUnavailable: "34%" }); // rounded up: 2 of 3
      world.remove(KUBECTL, "web-3");
      world.wait(5).gone("web-3");
      world.evict(PATCHGUARD, "web-1");
      world.wait(5).gone("web-1");
      world.evict(PATCHGUARD, "web-2");
    },
  },
  {
    name: "a crash long before the eviction",
    expect: ["budget budget shop/web"],
    play: (world) => {
      web(world);
      world.crash("web-2");
      world.wait(10).evict(PATCHGUARD, "web-1");
    },
  },
  {
    name: "a DELETE in place of an eviction",
    expect: ["not-an-eviction pod shop/web-1"],
    who: "patchguard",
    play: (world) => {
      web(world);
      world.remove(PATCHGUARD, "web-1");
    },
  },
  {
    name: "a delete of a whole collection",
    expect: ["not-an-eviction pod shop/*"],
    play: (world) => {
      web(world);
      world.request(PATCHGUARD, "deletecollection", "pods", "shop/");
    },
  },
  {
    name: "less grace than the pod asks for",
    expect: ["grace-shortened pod shop/web-1"],
    play: (world) => {
      web(world);
      world.evict(PATCHGUARD, "web-1", 5);
    },
  },
  {
    name: "a pod gone at once",
    expect: ["grace-shortened pod shop/web-1"],
    play: (world) => {
      web(world);
      world.request(PATCHGUARD, "create", "pods/eviction", "shop/web-1", 201);
      world.patchPod("web-1", (pod) =>
        pod.status?.conditions?.push({
          type: "DisruptionTarget",
          status: "True",
          reason: "EvictionByEvictionAPI",
        }),
      );
      world.gone("web-1");
    },
  },
  {
    name: "an eviction without a UID",
    expect: ["no-precondition pod shop/web-1"],
    play: (world) => {
      web(world);
      const by = (uid: object) => JSON.stringify({ deleteOptions: { preconditions: uid } });
      world.request(PATCHGUARD, "create", "pods/eviction", "shop/web-2", 429, by({ uid: "u9" }));
      world.request(PATCHGUARD, "create", "pods/eviction", "shop/web-1", 429, by({}));
    },
  },
  {
    name: "a finalizer stripped",
    expect: ["finalizer-stripped pod shop/web-1"],
    play: (world) => {
      web(world);
      world.patchPod("web-1", (pod) => (pod.metadata.finalizers = ["example.com/keep"]));
      world.request(PATCHGUARD, "patch", "pods", "shop/web-1");
      world.patchPod("web-1", (pod) => delete pod.metadata.finalizers);
    },
  },
  {
    name: "a budget edited",
    expect: ["bypass poddisruptionbudget shop/web"],
    play: (world) => world.request(PATCHGUARD, "patch", "poddisruptionbudgets", "shop/web"),
  },
  {
    name: "a node deleted by PatchGuard itself",
    expect: ["bypass node blue-1"],
    play: (world) => {
      world.node("blue-1");
      world.deleteNode(PATCHGUARD, "blue-1");
    },
  },
  {
    name: "a NoExecute taint",
    expect: ["bypass node blue-1"],
    play: (world) => {
      world.node("blue-1");
      world.patchNode(PATCHGUARD, "blue-1", taint("patchguard.dev/handover", "NoExecute"));
    },
  },
  {
    name: "a cordon, a taint, an eviction and a green node while pre-flight is blocked",
    expect: [
      "before-preflight node blue-1",
      "before-preflight node blue-2",
      "before-preflight pod shop/web-1",
      "before-preflight node green-2",
    ],
    play: (world) => {
      web(world);
      world.mark({ mark: "preflight", state: "blocked" });
      world.cordon(PATCHGUARD, "blue-1");
      world.patchNode(PATCHGUARD, "blue-2", taint("patchguard.dev/handover", "NoSchedule"));
      world.evict(PATCHGUARD, "web-1");
      world.node("green-2", { generation: "bbbbbbbb", late: true });
    },
  },
  {
    name: "a refused attempt while pre-flight is blocked",
    expect: ["before-preflight pod shop/web-1"],
    play: (world) => {
      web(world);
      world.mark({ mark: "preflight", state: "blocked" });
      world.request(PATCHGUARD, "create", "pods/eviction", "shop/web-1", 429);
    },
  },
  {
    name: "a first act while a budget stands at zero, nothing declared",
    expect: ["before-preflight node blue-1"],
    play: (world) => {
      web(world);
      world.budget("web", { minAvailable: 3 }, 0);
      world.wait(10).cordon(PATCHGUARD, "blue-1");
    },
  },
  {
    name: "a node deleted with pods, whoever did it",
    expect: ["pod-lost pod shop/web-1", "pod-lost pod shop/web-2", "pod-lost pod shop/web-3"],
    who: "machine-room",
    play: (world) => {
      web(world);
      world.deleteNode(CLOUD, "blue-1");
    },
  },
  {
    name: "a pod that the cloud evicts while it deletes or rolls a group",
    expect: ["pod-lost pod shop/web-1"],
    who: "machine-room",
    play: (world) => {
      web(world);
      world.evict(CLOUD, "web-1");
    },
  },
  {
    name: "a pod that still terminates on a deleted node",
    expect: ["pod-lost pod shop/web-1"],
    play: (world) => {
      web(world);
      world.pod("other-1", "blue-2");
      world.evict(PATCHGUARD, "web-1");
      world.gone("web-2");
      world.gone("web-3");
      world.deleteNode(CLOUD, "blue-1");
    },
  },
  {
    name: "another one's cordon taken away",
    expect: ["foreign-state-removed node blue-1"],
    play: (world) => {
      world.node("blue-1", { cordoned: true });
      world.uncordon(PATCHGUARD, "blue-1");
    },
  },
  {
    name: "an eviction long after a kill, refused or not",
    expect: ["evicted-after-kill pod shop/web-1", "evicted-after-kill pod shop/web-2"],
    play: (world) => {
      web(world);
      world.mark({ mark: "killed" });
      world.wait(6).request(PATCHGUARD, "create", "pods/eviction", "shop/web-1", 429);
      world.evict(PATCHGUARD, "web-2");
    },
  },
  {
    name: "an eviction on a node whose drain was over",
    expect: ["drained-again node blue-1"],
    play: (world) => {
      const owner = web(world);
      world.cordon(PATCHGUARD, "blue-1");
      for (const n of [1, 2, 3]) world.move(PATCHGUARD, `web-${n}`, `web-${n}x`, "green-1", owner);
      world.wait(10).pod("late-1", "blue-1");
      world.evict(PATCHGUARD, "late-1");
    },
  },
  {
    name: "a finished node reopened and closed again in one run",
    expect: ["drained-again node blue-1"],
    play: (world) => {
      const owner = web(world);
      world.cordon(PATCHGUARD, "blue-1");
      for (const n of [1, 2, 3]) world.move(PATCHGUARD, `web-${n}`, `web-${n}x`, "green-1", owner);
      world.wait(10).uncordon(PATCHGUARD, "blue-1");
      world.cordon(PATCHGUARD, "blue-1");
    },
  },
  {
    name: "a pod moved to another blue node and then again",
    expect: ["moved-twice pod shop/web-4"],
    play: (world) => {
      const owner = web(world);
      world.move(PATCHGUARD, "web-1", "web-4", "blue-2", owner);
      world.evict(PATCHGUARD, "web-4");
    },
  },
  {
    name: "a StatefulSet's pod moved twice",
    expect: ["moved-twice pod shop/kafka-0"],
    play: (world) => {
      const owner = kafka(world, false);
      world.evict(PATCHGUARD, "kafka-0");
      world.gone("kafka-0");
      kafkaPod(world, 0, "blue-1", owner);
      world.wait(3).evict(PATCHGUARD, "kafka-0");
    },
  },
  {
    name: "two pods of a StatefulSet at once",
    expect: ["statefulset-overlap statefulset shop/kafka"],
    play: (world) => {
      kafka(world);
      world.evict(PATCHGUARD, "kafka-0");
      world.wait(1).evict(PATCHGUARD, "kafka-1");
    },
  },
  {
    name: "the next pod of a StatefulSet before the last is Ready",
    expect: ["statefulset-overlap statefulset shop/kafka"],
    play: (world) => {
      const owner = kafka(world, false);
      world.evict(PATCHGUARD, "kafka-0");
      world.gone("kafka-0");
      kafkaPod(world, 0, "green-1", owner, false);
      world.wait(3).evict(PATCHGUARD, "kafka-1");
    },
  },
  {
    name: "the next pod of a StatefulSet while the old attachment is there",
    expect: ["statefulset-overlap statefulset shop/kafka"],
    play: (world) => {
      const owner = kafka(world);
      world.evict(PATCHGUARD, "kafka-0");
      world.gone("kafka-0");
      world.attach("pv-0", "green-1");
      kafkaPod(world, 0, "green-1", owner);
      world.wait(3).evict(PATCHGUARD, "kafka-1");
    },
  },
  {
    name: "the next pod of a StatefulSet before the volume is attached anew",
    expect: ["statefulset-overlap statefulset shop/kafka"],
    play: (world) => {
      const owner = kafka(world);
      world.evict(PATCHGUARD, "kafka-0");
      world.gone("kafka-0");
      world.attach("pv-0", "blue-0", "DELETED");
      kafkaPod(world, 0, "green-1", owner);
      world.wait(3).evict(PATCHGUARD, "kafka-1");
    },
  },
  {
    name: "an eviction without the lease, and one with a lease that ran out",
    expect: ["lease pod shop/web-1", "lease pod shop/web-2"],
    requireLease: true,
    play: (world) => {
      web(world, { minAvailable: 0 });
      world.evict(PATCHGUARD, "web-1");
      world.lease("one", 40);
      world.evict(PATCHGUARD, "web-2");
    },
  },
  {
    name: "a lease taken from a living holder",
    expect: ["lease lease kube-system/patchguard"],
    requireLease: true,
    play: (world) => {
      world.lease("one");
      world.wait(5).lease("two");
    },
  },
  {
    name: "a gap in the stream",
    expect: ["blind watcher"],
    play: (world) => world.feed({ type: "blind", at: world.at, what: "the watch on pods was too old" }),
  },
];

const run = (cases: Case[]): void => {
  for (const { name, expect, who, play, requireLease } of cases) {
    it(name, () => {
      const world = new World({ requireLease: requireLease ?? false });
      play(world);
      assert.deepEqual(world.told, expect);
      if (who !== undefined) for (const each of world.found) assert.equal(each.who, who);
    });
  }
};

describe("watcher: streams that break nothing", () => run(clean));

describe("watcher: each promise broken on purpose", () => run(broken));

describe("watcher: the judge is a function of the stream", () => {
  it("says the same of a recorded stream when it is played again", () => {
    for (const { play } of [...clean, ...broken]) {
      const world = new World();
      play(world);
      const again = newState({ requireLease: false });
      const found = world.seen.flatMap((observation) => judge(again, observation));
      assert.deepEqual(found, world.found);
    }
  });
});
