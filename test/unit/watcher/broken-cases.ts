/** Streams that each break a promise. */
import type { Case } from "./scenes.ts";
import { free, kafka, kafkaPod, taint, web } from "./scenes.ts";
import { CLOUD, KUBECTL, PATCHGUARD } from "./world.ts";

export const broken: Case[] = [
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
    name: "an eviction long after its controller was given more replicas that are not there",
    expect: ["budget budget shop/web"],
    play: (world) => {
      const { uid } = web(world, { maxUnavailable: 1 });
      world.grow("ReplicaSet", "web", uid, 5);
      world.wait(10).evict(PATCHGUARD, "web-1");
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
    name: "two pods at once that no budget guards",
    expect: ["unguarded-overlap replicaset shop/free"],
    who: "patchguard",
    play: (world) => {
      free(world);
      world.evict(PATCHGUARD, "free-1");
      world.wait(3).evict(PATCHGUARD, "free-2");
    },
  },
  {
    name: "the same of an operator's pods, the first's successor not being Ready",
    expect: ["unguarded-overlap cluster shop/free"],
    play: (world) => {
      const owner = free(world, "Cluster");
      world.evict(PATCHGUARD, "free-1");
      world.wait(3).gone("free-1");
      world.pod("free-4", "green-1", owner, (pod) => (pod.status = { phase: "Pending" }));
      world.wait(3).evict(PATCHGUARD, "free-2");
    },
  },
  {
    name: "pods of two ReplicaSets of one Deployment at once, without a budget",
    expect: ["unguarded-overlap deployment shop/free"],
    play: (world) => {
      world.node("blue-1");
      const deployment = { kind: "Deployment", name: "free", uid: "d", controller: true };
      world.object("INITIAL", {
        kind: "Deployment",
        metadata: { name: "free", namespace: "shop", uid: "d" },
        spec: { replicas: 2 },
      });
      for (const n of [1, 2]) {
        const metadata = { ...world.meta(`free-${n}`, "shop"), ownerReferences: [deployment] };
        world.object("INITIAL", { kind: "ReplicaSet", metadata, spec: { replicas: 1 } });
        world.pod(`free-${n}`, "blue-1", { kind: "ReplicaSet", uid: metadata.uid });
      }
      world.evict(PATCHGUARD, "free-1");
      world.wait(3).evict(PATCHGUARD, "free-2");
    },
  },
  {
    name: "two at once long after their budget was deleted",
    expect: ["unguarded-overlap replicaset shop/web"],
    play: (world) => {
      web(world, { minAvailable: 0 });
      world.object("DELETED", {
        kind: "PodDisruptionBudget",
        metadata: { name: "web", namespace: "shop", uid: "b" },
      });
      world.wait(5).evict(PATCHGUARD, "web-1");
      world.wait(3).evict(PATCHGUARD, "web-2");
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
