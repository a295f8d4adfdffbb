import assert from "node:assert/strict";
import { leftovers } from "../../simulated/aftermath.ts";
import {
  BLUE,
  type Ended,
  GREEN,
  restartOne,
  runHandover,
  type RunOptions,
  smallWorld,
  story,
} from "../../simulated/handovers.ts";
import { Interrupted } from "../../../rollout/errors.ts";
import type { Pod } from "../../../rollout/cluster/types.ts";
import { judge } from "../../simulated/invariants.ts";
import type { World } from "../../simulated/world.ts";

/** Web grows by a pod that needs a node with these labels. */
function grow(on: World, nodeSelector: Record<string, string>): void {
  const [set] = on.store.all("ReplicaSet");
  assert.ok(set);
  on.store.update(
    "ReplicaSet",
    set,
    ({ spec }) => {
      assert.ok(spec?.template?.spec);
      spec.replicas = 5;
      spec.template.spec.nodeSelector = nodeSelector;
    },
    "somebody",
  );
}

const taints = (on: World): (string | undefined)[] =>
  on
    .nodes(GREEN.generation)
    .map(({ spec }) => spec?.taints?.find(({ key }) => key === "patchguard.dev/handover")?.effect);

describe("the way back of a rollback", () => {
  for (const [what, labels, effect] of [
    ["closes green when blue has room for the pods that wait for a node", {}, "NoSchedule"],
    ["leaves green open when blue has none, and names them", { disk: "ssd" }, undefined],
  ] as const) {
    it(what, async function () {
      this.timeout(30_000);
      const on = await smallWorld(5);
      let begun = false;
      const run = await runHandover(on, "only", {
        rollout: { drain: { podTimeoutSeconds: 20 } },
        onLine: ({ event, message }) => {
          if (event !== "health" || !message.includes("window of") || begun) return;
          begun = true;
          grow(on, labels);
          on.clock.after(1000, "a container restarts", () => restartOne(on));
        },
      });
      assert.equal(run.error?.name, "Breach", story(on, run));
      assert.deepEqual([...new Set(taints(on))], [effect], run.error.message);
      const told =
        /green stays open to new pods, since blue has no room for 1 pod: default\/web-\w+ \(.*without the label disk=ssd\)/;
      assert.equal(told.test(run.error.message), effect === undefined, run.error.message);
    });
  }
});

/** A breach after the first node from which a pod of web has moved, with what it leaves. */
async function broken(
  on: World,
  options: RunOptions = {},
  sick: () => void = () => restartOne(on),
): Promise<Ended> {
  let begun = false;
  return runHandover(on, "only", {
    rollout: {
      rollback: { workloads: "return" },
      drain: { podTimeoutSeconds: 60, budgetTimeoutSeconds: 60 },
    },
    ...options,
    onLine: (line) => {
      options.onLine?.(line);
      if (line.event === "rollback" && line.message.startsWith("rolling")) on.turn();
      if (line.event !== "health" || !line.message.includes("window of") || begun) return;
      if (!on.workloadPods(GREEN.generation).some(({ metadata }) => metadata.labels?.["app"] === "web"))
        return;
      begun = true;
      on.clock.after(1000, "web is sick on green", sick);
    },
  });
}

describe("the return of moved pods after a rollback", () => {
  it("brings them back under their budgets, blue open and green closed, and fails with the breach", async function () {
    this.timeout(30_000);
    const on = await smallWorld(5);
    const run = await broken(on);
    assert.equal(run.error?.name, "Breach", story(on, run));
    assert.match(run.error.message, /restarted.* — \d moved pods? returned to blue$/s);
    assert.deepEqual(on.workloadPods(GREEN.generation), [], story(on, run));
    assert.deepEqual(judge(on, { pinnedImage: GREEN.image }).violations, []);
    assert.deepEqual(leftovers(on, { closed: [GREEN.generation] }), []);
    assert.deepEqual([...new Set(taints(on))], ["NoSchedule"]);
    assert.ok(
      on.nodes(GREEN.generation).every(({ spec }) => spec?.unschedulable !== true),
      "green is tainted, not cordoned",
    );
  });

  it("leaves them where they are unless it is asked for", async function () {
    this.timeout(30_000);
    const on = await smallWorld(5);
    const run = await broken(on, { rollout: {} });
    assert.equal(run.error?.name, "Breach", story(on, run));
    assert.ok(on.workloadPods(GREEN.generation).length > 0);
    assert.doesNotMatch(run.error.message, /returned/);
  });

  const named = (app: string, pods: readonly Pod[]): Pod[] =>
    pods.filter(
      ({ metadata }) => metadata.labels?.["app"] === app && metadata.deletionTimestamp === undefined,
    );

  it("leaves a pod where it is that would find no node on blue, and names it with the reason", async function () {
    this.timeout(30_000);
    const on = await smallWorld(5);
    let kafka: string | undefined;
    const run = await broken(on, {}, () => {
      kafka = named("kafka", on.workloadPods(GREEN.generation))[0]?.metadata.uid;
      const [node] = on
        .nodes(BLUE.generation)
        .filter(({ metadata }) => metadata.labels?.["topology.kubernetes.io/zone"] === "us-east-1a");
      assert.ok(node);
      const repairs = { key: "repairs", effect: "NoSchedule" };
      on.store.update(
        "Node",
        node,
        ({ spec }) => void (spec && (spec.taints = [...(spec.taints ?? []), repairs])),
        "somebody",
      );
      restartOne(on);
    });
    assert.equal(run.error?.name, "Breach", story(on, run));
    assert.match(
      run.error.message,
      /\d moved pods? returned to blue; 1 pod stayed on green: default\/kafka-0 on workers-a-bbbbbbbb-\d \(.*out of reach of the volume/,
    );
    assert.deepEqual(
      named("kafka", on.workloadPods(GREEN.generation)).map(({ metadata }) => metadata.uid),
      [kafka],
    );
    assert.deepEqual(named("web", on.workloadPods(GREEN.generation)), []);
    assert.deepEqual(judge(on, { pinnedImage: GREEN.image }).violations, []);
  });

  it("moves no pod whose first home was green", async function () {
    this.timeout(30_000);
    const on = await smallWorld(5);
    let grown = false;
    const run = await broken(on, {
      onLine: ({ event }) => {
        if (event !== "node-drained" || grown) return;
        grown = true;
        grow(on, {});
      },
    });
    assert.equal(run.error?.name, "Breach", story(on, run));
    assert.equal(named("web", on.workloadPods(GREEN.generation)).length, 1, story(on, run));
    assert.equal(named("web", on.workloadPods(BLUE.generation)).length, 4);
  });

  it("takes those that are ill on green first, a StatefulSet's among them, and what goes last after all others", async function () {
    this.timeout(30_000);
    const on = await smallWorld(5);
    let sick = false;
    const run = await runHandover(on, "only", {
      rollout: {
        rollback: { workloads: "return" },
        drain: { podSelector: "app!=kafka", podTimeoutSeconds: 60, budgetTimeoutSeconds: 60 },
      },
      onLine: ({ event, message }) => {
        if (event === "rollback" && message.startsWith("rolling")) on.turn();
        const [kafka] = named("kafka", on.workloadPods(GREEN.generation));
        if (event !== "health" || !message.includes("window of") || kafka === undefined || sick) return;
        sick = true;
        on.setReady(kafka, false);
      },
    });
    assert.equal(run.error?.name, "Breach", story(on, run));
    assert.match(run.error.message, /5 moved pods returned to blue$/, story(on, run));
    assert.deepEqual(named("web", on.workloadPods(GREEN.generation)), []);
    assert.deepEqual(judge(on, { pinnedImage: GREEN.image }).violations, []);
    assert.deepEqual(leftovers(on, { closed: [GREEN.generation] }), []);
    const back = run.log.flatMap(({ event, message }) =>
      event === "evict" && message.includes(GREEN.generation)
        ? [message.slice("evicted default/".length)]
        : [],
    );
    assert.equal(back.length, 5);
    assert.match(back[4] ?? "", /^kafka/);
  });

  it("reports a second failure beside the breach, blue open and green closed", async function () {
    this.timeout(30_000);
    const on = await smallWorld(5);
    const run = await broken(on, {
      onLine: ({ event, message }) => {
        if (event === "rollback" && message.startsWith("rolling"))
          on.behave("ReplicaSet", "web", { readyOn: () => false });
      },
    });
    assert.equal(run.error?.name, "Breach", story(on, run));
    assert.match(
      run.error.message,
      /window .* was breached: .*the way back ended early: ReplicaSet default\/web was not whole 60 s after pod .* — rolled back, blue is open again and green is closed, but not whole: ReplicaSet default\/web/,
    );
    assert.ok(
      on
        .nodes(BLUE.generation)
        .every(({ spec }) => spec?.unschedulable !== true && (spec?.taints ?? []).length === 0),
    );
    assert.deepEqual([...new Set(taints(on))], ["NoSchedule"]);
    assert.ok(run.log.some(({ level, event }) => level === "error" && event === "rollback"));
  });

  it("ends at the operator's stop, and evicts nobody after it", async function () {
    this.timeout(30_000);
    const on = await smallWorld(5);
    const stop = new AbortController();
    let stoppedAt = Infinity;
    const run = await broken(on, {
      signal: stop.signal,
      onLine: ({ event, message }) => {
        if (event !== "evict" || !message.includes(GREEN.generation) || stoppedAt < Infinity) return;
        stoppedAt = on.clock.now();
        stop.abort(new Interrupted("an operator has stopped it"));
      },
    });
    assert.match(
      run.error?.message ?? "",
      /was breached.*the way back ended early: an operator has stopped it/,
      story(on, run),
    );
    const { moves, violations } = judge(on, { pinnedImage: GREEN.image });
    assert.deepEqual(
      moves.filter(({ at }) => at > stoppedAt + 1000),
      [],
    );
    assert.deepEqual(violations, []);
    assert.ok(on.nodes(BLUE.generation).every(({ spec }) => spec?.unschedulable !== true));
  });

  it("moves nobody while green has to stay open", async function () {
    this.timeout(30_000);
    const on = await smallWorld(5);
    const run = await broken(on, {}, () => {
      grow(on, { disk: "ssd" });
      on.clock.after(1000, "a container restarts", () => restartOne(on));
    });
    assert.equal(run.error?.name, "Breach", story(on, run));
    assert.match(run.error.message, /green stays open.*so no pod returns to blue/);
    assert.ok(!run.log.some(({ event, message }) => event === "evict" && message.includes(GREEN.generation)));
  });
});
