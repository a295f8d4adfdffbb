import assert from "node:assert/strict";
import type { Pod } from "../../../rollout/cluster/types.ts";
import { handover } from "../../../rollout/handover.ts";
import { BLUE, GREEN, runHandover, story } from "../../simulated/handovers.ts";
import { judge } from "../../simulated/invariants.ts";
import { world, type World } from "../../simulated/world.ts";

const GENERATION = "patchguard.dev/generation";
const OFF = { health: { windowSeconds: 0 } };

const blueOf = (): Promise<World> =>
  world({ seed: 11 })
    .pool("workers", { ...BLUE, perZone: 1 })
    .settled();
const greenTo = (on: World): Promise<World> => on.pool("workers", { ...GREEN, perZone: 1 }).settled();
const podsOf = (on: World, app: string): Pod[] =>
  on.store.all("Pod").filter(({ metadata }) => metadata.labels?.["app"] === app);
const inZone = (on: World, app: string, letter: string): Pod => {
  const pod = podsOf(on, app).find(({ spec }) => spec?.nodeName?.startsWith(`workers-${letter}`));
  assert.ok(pod, `no pod of ${app} in zone ${letter}`);
  return pod;
};
const setReady = (on: World, pod: Pod, status: "True" | "False"): void => {
  on.store.update(
    "Pod",
    pod,
    (draft) => {
      for (const condition of draft.status?.conditions ?? []) {
        if (condition.type !== "Ready") continue;
        condition.status = status;
        condition.lastTransitionTime = new Date(on.clock.now()).toISOString();
      }
    },
    "kubelet",
  );
};
const isReady = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined &&
  (status?.conditions ?? []).some((it) => it.type === "Ready" && it.status === "True");

/** A pod that an operator owns, on this node. */
const operatorPod = (on: World, name: string, owner: string, nodeName: string, kind = "Cluster"): Pod =>
  on.store.create<"Pod">(
    "Pod",
    {
      metadata: {
        name,
        namespace: "default",
        labels: { app: owner },
        ownerReferences: [{ apiVersion: "db.example/v1", kind, name: owner, uid: owner, controller: true }],
      },
      spec: { terminationGracePeriodSeconds: 30, nodeName },
      status: { phase: "Pending", conditions: [] },
    },
    "operator",
  );

const recordOf = (on: World): string =>
  on.store.get("ConfigMap", "patchguard-workers", "kube-system")?.data?.["record"] ?? "";

describe("a drain at its edges", () => {
  it("a set's pod that was unready when it went and never comes back: no second one is moved", async () => {
    const on = await blueOf();
    await on.statefulSet("kafka", { replicas: 3 }).settled();
    const elsewhere = (labels: Record<string, string>): boolean =>
      labels["topology.kubernetes.io/zone"] !== "us-east-1a" || labels[GENERATION] !== GREEN.generation;
    on.behave("StatefulSet", "kafka", { readyOn: elsewhere });
    await greenTo(on);
    const run = await runHandover(on, "only", {
      rollout: { ...OFF, drain: { podTimeoutSeconds: 30 } },
      onLine: ({ event }) => {
        if (event === "preflight") setReady(on, inZone(on, "kafka", "a"), "False");
      },
    });
    assert.deepEqual(judge(on).violations, [], `${run.error?.message}\n${story(on, run)}`);
    assert.match(run.error?.message ?? "", /kafka.* was not whole 30 s/);
  });

  it("minReadySeconds counts for the pod that was moved, also when a sibling that was missing has recovered", async () => {
    const on = await blueOf();
    await on.statefulSet("kafka", { replicas: 3, minReadySeconds: 60 }).settled();
    await on.clock.pass(70);
    await greenTo(on);
    const at: number[] = [];
    const run = await runHandover(on, "only", {
      rollout: OFF,
      onLine: ({ event, time }) => {
        if (event === "preflight") setReady(on, inZone(on, "kafka", "c"), "False");
        if (event !== "evict") return;
        at.push(Date.parse(time));
        if (at.length === 1) setReady(on, inZone(on, "kafka", "c"), "True");
      },
    });
    const gaps = at.slice(1).map((time, index) => (time - (at[index] ?? 0)) / 1000);
    assert.ok(gaps.length > 0 && gaps.every((gap) => gap > 60), `${gaps.join()}\n${story(on, run)}`);
  });

  it("minReadySeconds is not cut short by a machine whose clock is ahead of the cluster's", async () => {
    const on = await blueOf();
    await on.statefulSet("kafka", { replicas: 3, minReadySeconds: 60 }).settled();
    await on.clock.pass(70);
    await greenTo(on);
    const at: number[] = [];
    const run = await runHandover(on, "ahead", {
      rollout: OFF,
      work: (job) => handover({ ...job, clock: { ...job.clock, now: () => job.clock.now() + 50_000 } }),
      onLine: ({ event }) => {
        if (event === "evict") at.push(on.clock.now());
      },
    });
    const gaps = at.slice(1).map((time, index) => (time - (at[index] ?? 0)) / 1000);
    assert.ok(gaps.length === 2 && gaps.every((gap) => gap > 60), `${gaps.join()}\n${story(on, run)}`);
  });

  it("a Deployment without a budget that was short at first and has recovered loses one replica at a time", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 6, startSeconds: 30 }).settled();
    for (const pod of podsOf(on, "web").slice(0, 4)) setReady(on, pod, "False");
    on.pool("workers", { ...GREEN, perZone: 1 });
    await on.clock.pass(30);
    let least = 6;
    const run = await runHandover(on, "only", {
      rollout: OFF,
      onLine: ({ event }) => {
        if (event === "close") for (const pod of podsOf(on, "web")) setReady(on, pod, "True");
        if (event === "evict") least = Math.min(least, podsOf(on, "web").filter(isReady).length);
      },
    });
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
    assert.ok(least >= 5, `only ${least} of 6 were Ready after an eviction`);
  });

  it("an operator's pods that came between two runs go one at a time", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 6, budget: { maxUnavailable: 1 } }).settled();
    await greenTo(on);
    const first = await runHandover(on, "first", {
      rollout: { ...OFF, drain: { podTimeoutSeconds: 20 } },
      onLine: ({ event }) => {
        if (event === "evict") on.behave("ReplicaSet", "web", { readyOn: () => false });
      },
    });
    assert.equal(first.error?.name, "Hold");
    on.behave("ReplicaSet", "web", { readyOn: () => true });
    for (const pod of podsOf(on, "web")) setReady(on, pod, "True");
    for (const [index, node] of on.nodes(BLUE.generation).entries())
      operatorPod(on, `pg-${index}`, "pg", node.metadata.name);
    await on.clock.pass(10);
    const evicted: string[] = [];
    await runHandover(on, "second", {
      rollout: OFF,
      onLine: ({ event, pod }) => {
        if (event === "evict" && String(pod).includes("/pg-")) evicted.push(String(pod));
      },
    });
    assert.equal(evicted.length, 1, "nobody has replaced it, so no other may go");
  });

  it("slow answers make nobody a latecomer", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 6, budget: { maxUnavailable: 1 } }).settled();
    await greenTo(on);
    let slow = false;
    const run = await runHandover(on, "only", {
      rollout: OFF,
      onClient: ({ cluster, clock }) => {
        const create = cluster.create.bind(cluster);
        cluster.create = async (kind, object) => {
          if (kind === "Event" && !slow && "reason" in object && object.reason === "PatchGuardDraining") {
            slow = true;
            await clock.sleep(10_000);
          }
          return create(kind, object);
        };
      },
    });
    assert.ok(slow);
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
  });

  it("a pod that was bound just after the cordon is in the run state before it is evicted", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 3, startSeconds: 10, budget: { maxUnavailable: 1 } }).settled();
    await greenTo(on);
    let late: string | undefined;
    let recorded: boolean | undefined;
    await runHandover(on, "only", {
      onLine: ({ event, node, pod }) => {
        if (event === "node-start" && late === undefined) {
          late = "";
          on.clock.after(500, "scheduler", () => {
            late = operatorPod(on, "late", "late-owner", String(node)).metadata.uid;
          });
        }
        if (event === "evict" && String(pod).endsWith("/late"))
          recorded = recordOf(on).includes(String(late));
      },
    });
    assert.equal(recorded, true);
  });

  it("blue is closed again when the pod that waited for room has gone in the health window", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 6, startSeconds: 25, budget: { maxUnavailable: 1 } }).settled();
    await greenTo(on);
    const [first] = on.nodes(BLUE.generation).filter(({ metadata }) => metadata.name.startsWith("workers-a"));
    operatorPod(on, "batch-1", "batch", first?.metadata.name ?? "", "Job");
    await on.clock.pass(5);
    let relaxed = 0;
    let started = 0;
    const effects: (string | undefined)[] = [];
    const run = await runHandover(on, "only", {
      rollout: { health: { windowSeconds: 30 }, drain: { relaxAfterSeconds: 5 } },
      onLine: ({ event, pod, message }) => {
        if (event === "evict" && String(pod).endsWith("batch-1")) waitingForRoom(on);
        if (event === "relax") relaxed++;
        if (event === "health" && message.includes("window of")) {
          const waiting = on.store.get("Pod", "batch-2", "default");
          if (waiting) on.store.finalize("Pod", waiting, "somebody");
        }
        if (event === "node-start" && ++started > 1)
          on.clock.after(3000, "look", () => {
            for (const { spec } of on.nodes(BLUE.generation))
              if (spec?.unschedulable !== true) effects.push(spec?.taints?.[0]?.effect);
          });
      },
    });
    assert.equal(relaxed, 1, story(on, run));
    assert.ok(effects.length > 0);
    assert.deepEqual([...new Set(effects)], ["NoSchedule"]);
  });

  it("a canary moves one replica of each, however often `up` is run", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 6, budget: { maxUnavailable: "50%" } }).settled();
    on.behave("ReplicaSet", "web", { readyOn: (labels) => labels[GENERATION] === BLUE.generation });
    await greenTo(on);
    const evicted: string[] = [];
    const errors: string[] = [];
    for (const name of ["one", "two", "three"]) {
      const run = await runHandover(on, name, {
        rollout: { drain: { canary: true, podTimeoutSeconds: 20 } },
        onLine: ({ event, pod }) => {
          if (event === "evict") evicted.push(`${name}: ${String(pod)}`);
        },
      });
      errors.push(run.error?.message ?? "it succeeded");
    }
    assert.equal(evicted.length, 1, `${evicted.join("; ")}\n${errors.join("\n")}`);
    assert.match(errors[2] ?? "", /web, of which the canary has moved a pod, was not whole 20 s later/);
  });

  it("a workload's own podTimeoutSeconds counts on a resume, too", async () => {
    const on = await blueOf();
    await on.deployment("db", { replicas: 3, startSeconds: 100 }).settled();
    await greenTo(on);
    const overrides = [{ namespace: "default", podTimeoutSeconds: 300 }];
    const rollout = { ...OFF, drain: { podTimeoutSeconds: 40, overrides } };
    const first = await runHandover(on, "first", {
      rollout,
      onLine: ({ event }) => {
        if (event === "pod-gone") on.sessions[0]?.kill();
      },
    });
    assert.ok(first.crashed);
    const second = await runHandover(on, "second", { rollout });
    assert.ok(second.outcome, `${second.error?.message}\n${story(on, second)}`);
  });

  it("no eviction is begun after an answer that holds", async () => {
    const zones = ["us-east-1a"];
    const on = await world({ seed: 5 })
      .pool("workers", { ...BLUE, zones, perZone: 1, pods: 500 })
      .settled();
    on.deployment("aaa", { replicas: 1 });
    for (let index = 0; index < 200; index++) on.deployment(`web${index}`, { replicas: 1 });
    await on.settled();
    await on.pool("workers", { ...GREEN, zones, perZone: 1, pods: 500 }).settled();
    let heldAt = Infinity;
    let after = 0;
    const run = await runHandover(on, "only", {
      groups: [{ kind: "eks-managed", name: "workers-a-bbbbbbbb", zone: "us-east-1a" }],
      rollout: OFF,
      onClient: ({ cluster }) => {
        const evict = cluster.evict.bind(cluster);
        cluster.evict = (pod, options) => {
          if (options?.dryRun) return evict(pod, options);
          if (pod.name.startsWith("aaa")) {
            heldAt = on.clock.now();
            return Promise.resolve({ outcome: "refused", status: 403, message: "no" });
          }
          if (on.clock.now() > heldAt + 20) after++; // what was under way at that moment may end
          return evict(pod, options);
        };
      },
    });
    assert.match(run.error?.message ?? "", /may not be evicted/);
    assert.equal(after, 0);
  });
});

/** A Job's second pod, for which there is no room. */
function waitingForRoom(on: World): void {
  on.store.create(
    "Pod",
    {
      metadata: {
        name: "batch-2",
        namespace: "default",
        labels: { app: "batch" },
        ownerReferences: [
          { apiVersion: "db.example/v1", kind: "Job", name: "batch", uid: "batch", controller: true },
        ],
      },
      spec: { terminationGracePeriodSeconds: 30, nodeSelector: { nowhere: "yes" } },
      status: {
        phase: "Pending",
        conditions: [
          {
            type: "PodScheduled",
            status: "False",
            lastTransitionTime: new Date(on.clock.now()).toISOString(),
            message: "0/6 nodes are available: Insufficient cpu",
          },
        ],
      },
    },
    "job-controller",
  );
}
