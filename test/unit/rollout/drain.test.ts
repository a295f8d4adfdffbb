import assert from "node:assert/strict";
import { BLUE, GREEN, runHandover, story } from "../../simulated/handovers.ts";
import { world } from "../../simulated/world.ts";

/** What each deadline of a drain is about, on a simulated cluster. */
describe("the time that a drain may take", () => {
  const SEED = 11;
  const blueOf = (options = {}) =>
    world({ seed: SEED, ...options })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();

  it("podTimeoutSeconds is a pod's, not a node's: many pods, one after the other, may take longer", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 12, budget: { maxUnavailable: 1 } }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const run = await runHandover(on, "only", { rollout: { drain: { podTimeoutSeconds: 8 } } });
    assert.ok(run.outcome, story(on, run));
    const [start, end] = ["node-start", "node-moved"].map((event) =>
      Date.parse(run.log.find((line) => line.event === event)?.time ?? ""),
    );
    assert.ok((end ?? 0) - (start ?? 0) > 8000, "the first node took longer than one pod may");
  });

  it("a pod that is about to go has its whole grace period all the same: a deletion's last write shows none", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 4, graceSeconds: 600, budget: { maxUnavailable: 1 } }).settled();
    on.behave("ReplicaSet", "web", { stopSeconds: 200 });
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const run = await runHandover(on, "only", { rollout: { drain: { terminationSlackSeconds: 1 } } });
    assert.ok(run.outcome, story(on, run));
  });

  it("budgetTimeoutSeconds is for a budget that stands still: many pods behind one budget may take longer", async () => {
    const on = await world({ seed: SEED })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();
    const slow = { replicas: 12, startSeconds: 15, budget: { maxUnavailable: 1 } };
    await on.deployment("web", slow).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const run = await runHandover(on, "only", { rollout: { drain: { budgetTimeoutSeconds: 40 } } });
    assert.ok(run.outcome, story(on, run));
  });

  it("a workload may have a podTimeoutSeconds of its own", async () => {
    const own = [
      { namespace: "default", podSelector: "app=other", podTimeoutSeconds: 1 },
      { namespace: "default", podSelector: "app=web", podTimeoutSeconds: 20 },
      { namespace: "default", podTimeoutSeconds: 2 },
    ];
    const runWith = async (overrides: object[]) => {
      const on = await blueOf();
      await on.deployment("web", { replicas: 3, startSeconds: 12, budget: { maxUnavailable: 1 } }).settled();
      await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
      return runHandover(on, "only", { rollout: { drain: { podTimeoutSeconds: 3, overrides } } });
    };
    assert.ok((await runWith(own)).outcome);
    const held = await runWith(own.slice(2));
    assert.match(
      held.error?.message ?? "",
      /not whole 2 s after .*\(rollout\.drain\.overrides\[0\]\.podTimeoutSeconds\)/,
    );
  });

  it("a budget that stands still ends in a hold at budgetTimeoutSeconds", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 6, budget: { maxUnavailable: 1 } }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const run = await runHandover(on, "only", {
      rollout: { drain: { budgetTimeoutSeconds: 40, podTimeoutSeconds: 600 } },
      onLine: ({ event }) => {
        if (event === "evict") on.behave("ReplicaSet", "web", { readyOn: () => false });
      },
    });
    const evicted = run.log.findLast(({ event }) => event === "evict");
    const held = run.log.find(({ event }) => event === "hold");
    assert.match(run.error?.message ?? "", /could not be evicted within 40 s/);
    const waited = Date.parse(held?.time ?? "") - Date.parse(evicted?.time ?? "");
    assert.ok(waited >= 40_000 && waited < 130_000, `held ${waited} ms after the last eviction`);
  });

  it("a volume has a deadline of its own, and the pod's begins when the volume is there", async () => {
    const on = await blueOf({ detachSeconds: 300 });
    await on.statefulSet("kafka", { replicas: 3, budget: { minAvailable: 2 } }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const run = await runHandover(on, "only", { rollout: { drain: { podTimeoutSeconds: 60 } } });
    assert.ok(run.outcome, story(on, run));
  });

  it("a volume that is never handed over ends in a hold that names it", async () => {
    const on = await blueOf({ detachSeconds: 300 });
    await on.statefulSet("kafka", { replicas: 3, budget: { minAvailable: 2 } }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const run = await runHandover(on, "only", { rollout: { drain: { volumeTimeoutSeconds: 90 } } });
    assert.match(
      run.error?.message ?? "",
      /volume \S+ of pod \S*kafka-\d is still attached to node .* after 90 s/,
    );
  });

  it("nor is the CSI driver to blame while the pod has no node: its own time runs, and the volume's begins when it is bound", async () => {
    const on = await blueOf();
    await on.statefulSet("kafka", { replicas: 3, budget: { minAvailable: 2 } }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const open = (unschedulable: boolean | null): void => {
      for (const { metadata } of on.nodes(GREEN.generation))
        on.store.patch("Node", metadata.name, undefined, { spec: { unschedulable } }, "somebody");
    };
    let closed = false;
    const overrides = [{ namespace: "default", podTimeoutSeconds: 400 }];
    const run = await runHandover(on, "only", {
      rollout: { health: { windowSeconds: 0 }, drain: { volumeTimeoutSeconds: 60, overrides } },
      onLine: ({ event }) => {
        if (event !== "evict" || closed) return;
        open((closed = true));
        on.clock.after(200_000, "somebody", () => open(null));
      },
    });
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
  });

  it("pods of a node that was lost do not count as Ready: the next node waits for their replacements", async () => {
    const on = await blueOf();
    await on.deployment("web", { replicas: 6, budget: { maxUnavailable: 1 } }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    let lost: string | undefined;
    const leftAtNextStart: number[] = [];
    const run = await runHandover(on, "only", {
      rollout: { health: { windowSeconds: 0 } },
      onLine: ({ event, node }) => {
        if (event === "evict" && lost === undefined) on.lose((lost = String(node)));
        if (event === "node-start" && lost !== undefined) leftAtNextStart.push(on.podsOn(lost).length);
      },
    });
    assert.ok(run.outcome, story(on, run));
    assert.deepEqual(leftAtNextStart, [0, 0]);
  });

  for (const [title, firstOrdinal] of [
    ["a sibling that recovers meanwhile does not stand in for the pod that was moved", 0],
    ["nor in a set whose ordinals begin at 5", 5],
  ] as const)
    it(title, async () => {
      const on = await blueOf();
      await on.statefulSet("kafka", { replicas: 3, firstOrdinal }).settled(); // no budget: nothing else would stop the next eviction
      await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
      const kafka = () => on.store.all("Pod").filter(({ metadata }) => metadata.labels?.["app"] === "kafka");
      const isReady = (pod: ReturnType<typeof kafka>[number] | undefined): boolean =>
        pod?.metadata.deletionTimestamp === undefined &&
        (pod?.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");
      const setReady = (name: string, status: string): void => {
        const pod = kafka().find(({ metadata }) => metadata.name === name);
        assert.ok(pod);
        const change = (draft: typeof pod): void => {
          for (const condition of draft.status?.conditions ?? [])
            if (condition.type === "Ready") condition.status = status;
        };
        on.store.update("Pod", pod, change, "kubelet");
      };
      const [last] = kafka()
        .map((pod) => [pod.spec?.nodeName ?? "", pod.metadata.name] as const)
        .toSorted(([a], [b]) => b.localeCompare(a));
      assert.ok(last);
      const moved: string[] = [];
      const tooSoon: string[] = [];
      const run = await runHandover(on, "only", {
        rollout: { health: { windowSeconds: 0 } },
        onLine: ({ event, pod }) => {
          if (event === "preflight") setReady(last[1], "False"); // before it would be a block
          if (event !== "evict" || !String(pod).includes("kafka-")) return;
          for (const name of moved)
            if (!isReady(kafka().find(({ metadata }) => metadata.name === name)))
              tooSoon.push(`${String(pod)} before ${name} was back`);
          moved.push(String(pod).split("/")[1] ?? "");
          if (moved.length === 1) setReady(last[1], "True");
        },
      });
      assert.ok(run.outcome, story(on, run));
      assert.equal(moved.length, 3);
      assert.deepEqual(tooSoon, []);
    });
});

describe("pods that rollout.drain.podSelector leaves out", () => {
  const SEED = 12;
  const leaving = { podSelector: "app!=ledger" };
  const made = async () => {
    const on = await world({ seed: SEED })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();
    await on
      .deployment("web", { replicas: 6, budget: { maxUnavailable: 2 } })
      .deployment("ledger", { replicas: 3, budget: { maxUnavailable: 3 } })
      .settled();
    return on.pool("workers", { ...GREEN, perZone: 1 }).settled();
  };
  const eventsOf = (run: Awaited<ReturnType<typeof runHandover>>): string[] =>
    run.log.flatMap(({ event, pod, message }) => {
      const name = typeof pod === "string" ? (pod.split("/")[1]?.split("-")[0] ?? "") : "";
      if (event === "evict" || event === "pod-moved") return [`${event} ${name}`];
      if (event === "node-drained") return [event];
      return event === "health" && message.includes("passed") ? ["window"] : [];
    });

  it("go when all others have gone, one at a time, each with a health window of its own", async () => {
    const on = await made();
    const run = await runHandover(on, "only", { rollout: { health: { windowSeconds: 20 }, drain: leaving } });
    assert.ok(run.outcome, story(on, run));
    const events = eventsOf(run);
    const first = events.indexOf("evict ledger");
    assert.ok(!events.slice(first).includes("evict web"), "all others first");
    const own = events.slice(first).filter((event) => event !== "node-drained");
    assert.deepEqual(own, Array(3).fill(["evict ledger", "pod-moved ledger", "window"]).flat());
    assert.equal(
      events.filter((event) => event === "node-drained").length,
      3,
      "each node once, when it is empty",
    );
    assert.equal(run.outcome.pods, 9);
  });

  it("go without a window where windows are off, still one at a time", async () => {
    const on = await made();
    const run = await runHandover(on, "only", { rollout: { health: { windowSeconds: 0 }, drain: leaving } });
    assert.ok(run.outcome, story(on, run));
    const events = eventsOf(run);
    assert.ok(events.indexOf("evict ledger") > events.lastIndexOf("evict web"), "all others first");
    const own = events.filter((event) => event.endsWith("ledger"));
    assert.deepEqual(own, Array(3).fill(["evict ledger", "pod-moved ledger"]).flat());
  });

  it("are left to the operator with excludedPods: hold, and the run holds when all else is moved", async () => {
    const on = await made();
    const drain = { ...leaving, excludedPods: "hold" };
    const run = await runHandover(on, "only", { rollout: { health: { windowSeconds: 0 }, drain } });
    assert.match(
      run.error?.message ?? "",
      /^3 pods that rollout\.drain\.podSelector leaves out are still on blue/,
    );
    assert.ok(!eventsOf(run).includes("evict ledger"));
    assert.ok(!eventsOf(run).includes("node-drained"), "no node is called drained while they are on it");
    assert.equal(eventsOf(run).filter((event) => event === "evict web").length, 6);
  });

  for (const excludedPods of ["last", "hold"]) {
    it(`may leave by another's hand before that (${excludedPods}): their nodes are drained when they are gone`, async () => {
      const on = await made();
      const operator = on.client("operator").cluster;
      let waiting = 0;
      const run = await runHandover(on, "only", {
        rollout: { health: { windowSeconds: 20 }, drain: { ...leaving, excludedPods } },
        onLine: ({ event, message }) => {
          if (event !== "node-moved" || !message.includes("leaves out") || ++waiting < 3) return;
          for (const { metadata } of on.workloadPods(BLUE.generation)) {
            const { name, namespace = "default", uid } = metadata;
            void operator.evict({ name, namespace, uid });
          }
        },
      });
      assert.ok(run.outcome, story(on, run));
      const events = eventsOf(run);
      assert.ok(!events.includes("evict ledger"));
      assert.equal(events.filter((event) => event === "node-drained").length, 3);
    });
  }
});
