import assert from "node:assert/strict";
import { BLUE, GREEN, runHandover, story } from "../../simulated/handovers.ts";
import { isServing } from "../../simulated/workloads.ts";
import { world, type World } from "../../simulated/world.ts";

const GENERATION = "patchguard.dev/generation";
const NEXT = { generation: "cccccccc", image: "ami-0000000000000000c" };
const OFF = { health: { windowSeconds: 0 } };

const blueOf = (): Promise<World> =>
  world({ seed: 11 })
    .pool("workers", { ...BLUE, perZone: 1 })
    .settled();
const greenTo = (on: World): Promise<World> => on.pool("workers", { ...GREEN, perZone: 1 }).settled();
const serving = (on: World, app: RegExp): number =>
  on.store.all("Pod").filter((pod) => app.test(pod.metadata.labels?.["app"] ?? "") && isServing(pod)).length;

describe("workloads without a budget, one pod at a time", () => {
  it("the two ReplicaSets of a Deployment in the middle of a roll-out are one workload", async () => {
    const on = await blueOf();
    await on
      .deployment("web-old", { replicas: 3, startSeconds: 20 })
      .deployment("web-new", { replicas: 3, startSeconds: 20 })
      .settled();
    for (const name of ["web-old", "web-new"]) {
      const set = on.store.get("ReplicaSet", name, "default");
      assert.ok(set);
      on.store.update(
        "ReplicaSet",
        set,
        ({ metadata }) => {
          metadata.ownerReferences = [
            { apiVersion: "apps/v1", kind: "Deployment", name: "web", uid: "web", controller: true },
          ];
        },
        "test",
      );
    }
    await greenTo(on);
    let least = 6;
    const run = await runHandover(on, "only", {
      rollout: OFF,
      onLine: ({ event }) => {
        if (event === "evict") least = Math.min(least, serving(on, /^web-/));
      },
    });
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
    assert.equal(least, 5);
  });

  it("a budget whose status keeps a pod that never went does not put the deadline off for ever", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 6, budget: { maxUnavailable: 1 } }).settled();
    await greenTo(on);
    let ghost: string | undefined;
    const haunt = (): void => {
      const budget = on.store.get("PodDisruptionBudget", "web", "default");
      if (ghost === undefined || budget === undefined || budget.status?.disruptedPods?.["ghost"] === ghost)
        return;
      const disruptedPods = { ghost };
      on.store.update(
        "PodDisruptionBudget",
        budget,
        (draft) => {
          draft.status = { ...draft.status, disruptionsAllowed: 0, disruptedPods };
        },
        "somebody",
      );
    };
    on.store.onChange(({ kind }) => {
      if (kind === "PodDisruptionBudget") haunt();
    });
    const run = await runHandover(on, "only", {
      limitSeconds: 1200,
      rollout: { ...OFF, drain: { budgetTimeoutSeconds: 40, podTimeoutSeconds: 60 } },
      onLine: ({ event }) => {
        if (event !== "pod-moved" || ghost !== undefined) return;
        ghost = new Date(on.clock.now()).toISOString();
        haunt();
      },
      onClient: ({ cluster }) => {
        const evict = cluster.evict.bind(cluster);
        const message = "The disruption budget web needs 5 healthy pods and has 5 currently";
        cluster.evict = (pod, options) =>
          ghost === undefined
            ? evict(pod, options)
            : Promise.resolve({ outcome: "budget", budget: "web", message });
      },
    });
    assert.match(run.error?.message ?? "", /could not be evicted within 40 s/, story(on, run, 6));
  });

  for (const again of ["another image after a hold", "the same image after a rollback"])
    it(`what an earlier run has left not Ready is waited for, or goes first: ${again}`, async () => {
      const on = await blueOf();
      await on.deployment("web", { replicas: 3 }).settled();
      await greenTo(on);
      const another = again.startsWith("another");
      const works = (labels: Record<string, string>): boolean => labels[GENERATION] !== GREEN.generation;
      if (another) on.behave("ReplicaSet", "web", { readyOn: works });
      let least = 3;
      const see = (): void => void (least = Math.min(least, serving(on, /^web$/)));
      const first = await runHandover(on, "first", {
        rollout: { health: { windowSeconds: another ? 0 : 30 }, drain: { podTimeoutSeconds: 20 } },
        onLine: ({ event, message }) => {
          if (event === "evict") see();
          if (event === "health" && message.includes("window of") && !another) failOnGreen(on, works);
        },
      });
      assert.equal(first.error?.name, another ? "Hold" : "Breach");
      on.turn();
      if (another) on.pool("workers", { ...NEXT, perZone: 1 });
      await on.clock.pass(30);
      assert.equal(serving(on, /^web$/), 2, "one is not Ready, by our doing");
      const second = await runHandover(on, "second", {
        ...(another && { to: NEXT }),
        rollout: { ...OFF, drain: { podTimeoutSeconds: 20, budgetTimeoutSeconds: 30 } },
        onLine: ({ event }) => {
          if (event === "evict") see();
        },
      });
      assert.equal(least, 2, `${second.error?.message}\n${story(on, second)}`);
      if (another) assert.ok(second.outcome, `${second.error?.message}\n${story(on, second)}`);
      if (another) return;
      assert.equal(second.error?.name, "Blocked");
      assert.match(
        second.error.message,
        /ReplicaSet default\/web: an earlier handover has left it with 2 of 3/,
      );
      assert.deepEqual(
        second.log.filter(({ event }) => event === "close"),
        [],
        "nothing was closed",
      );
      // Ready for long enough to pass pre-flight, and no longer
      setOnGreen(on, "True");
      const third = await runHandover(on, "third", {
        rollout: { ...OFF, drain: { podTimeoutSeconds: 20, budgetTimeoutSeconds: 30 } },
        onLine: ({ event }) => {
          if (event === "evict") see();
          if (event === "preflight") setOnGreen(on, "False");
        },
      });
      assert.equal(least, 2, `${third.error?.message}\n${story(on, third)}`);
      assert.match(third.error?.message ?? "", /ReplicaSet default\/web is not whole: pod default\/web-/);
    });
});

/** Its pods on green are no longer Ready, and no other will be. */
function failOnGreen(on: World, works: (labels: Record<string, string>) => boolean): void {
  on.behave("ReplicaSet", "web", { readyOn: works });
  setOnGreen(on, "False");
}

function setOnGreen(on: World, ready: "True" | "False"): void {
  const green = new Set(on.nodes(GREEN.generation).map(({ metadata }) => metadata.name));
  for (const pod of on.store.all("Pod")) {
    if (!green.has(pod.spec?.nodeName ?? "") || pod.metadata.labels?.["app"] !== "web") continue;
    on.store.update(
      "Pod",
      pod,
      ({ status }) => {
        for (const condition of status?.conditions ?? [])
          if (condition.type === "Ready") condition.status = ready;
      },
      "kubelet",
    );
  }
}
