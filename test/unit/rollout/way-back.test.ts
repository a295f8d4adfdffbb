import assert from "node:assert/strict";
import { leftovers } from "../../simulated/aftermath.ts";
import {
  type Ended,
  GREEN,
  restartOne,
  runHandover,
  type RunOptions,
  smallWorld,
  story,
} from "../../simulated/handovers.ts";
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
});
