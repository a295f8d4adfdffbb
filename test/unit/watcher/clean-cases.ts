/** Streams that break no promise. */
import type { Case } from "./scenes.ts";
import { free, kafka, kafkaPod, taint, web } from "./scenes.ts";
import { CLOUD, CONTROLLER, KUBECTL, PATCHGUARD } from "./world.ts";

export const clean: Case[] = [
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
    name: "an eviction granted in the very moment in which its controller was given more replicas",
    expect: [],
    play: (world) => {
      const { uid } = web(world, { maxUnavailable: 1 });
      world.grow("ReplicaSet", "web", uid, 5);
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
    name: "pods that no budget guards, one after the other was replaced",
    expect: [],
    play: (world) => {
      const owner = free(world);
      for (const n of [1, 2, 3]) world.move(PATCHGUARD, `free-${n}`, `free-${n}x`, "green-1", owner);
    },
  },
  {
    name: "two at once under a budget that allows it, and one more in the moment in which the budget goes",
    expect: [],
    play: (world) => {
      web(world, { minAvailable: 0 });
      world.evict(PATCHGUARD, "web-1");
      world.evict(PATCHGUARD, "web-2");
      world.object("DELETED", {
        kind: "PodDisruptionBudget",
        metadata: { name: "web", namespace: "shop", uid: "b" },
      });
      world.wait(0.1).evict(PATCHGUARD, "web-3");
    },
  },
  {
    name: "an unguarded workload that somebody else takes from, that shrinks, that grows, and whose pods fail or end",
    expect: [],
    play: (world) => {
      const owner = free(world);
      const { uid } = owner;
      world.mark({ mark: "second-moves", why: "this is about another rule" });
      world.move(PATCHGUARD, "free-1", "free-4", "green-1", owner);
      world.remove(KUBECTL, "free-4"); // a person's
      world.wait(1).evict(PATCHGUARD, "free-2");
      world.wait(5).gone("free-2");
      world.pod("free-5", "green-1", owner);
      world.pod("free-6", "green-1", owner);
      world.grow("ReplicaSet", "free", uid, 5); // two are to come
      world.wait(1).evict(PATCHGUARD, "free-3");
      world.wait(5).gone("free-3");
      world.grow("ReplicaSet", "free", uid, 2);
      world.wait(1).evict(PATCHGUARD, "free-5");
      world.wait(5).gone("free-5");
      for (const n of [7, 8]) world.pod(`free-${n}`, "green-1", owner);
      world.crash("free-6");
      world.patchPod("free-7", (pod) => (pod.status = { phase: "Succeeded", conditions: [] }));
      world.wait(1).evict(PATCHGUARD, "free-8");
    },
  },
  {
    name: "a pod that is not Ready goes while another of its workload is away: it serves nobody",
    expect: [],
    play: (world) => {
      free(world);
      for (const n of [2, 3]) world.crash(`free-${n}`);
      world.wait(1).evict(PATCHGUARD, "free-2");
      world.wait(1).evict(PATCHGUARD, "free-1");
      world.wait(1).evict(PATCHGUARD, "free-3");
    },
  },
  {
    name: "pods of a Job: nobody waits for those",
    expect: [],
    play: (world) => {
      free(world, "Job");
      world.evict(PATCHGUARD, "free-1");
      world.evict(PATCHGUARD, "free-2");
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
