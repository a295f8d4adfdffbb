import assert from "node:assert/strict";
import { GREEN, restartOne, runHandover, smallWorld, story } from "../../simulated/handovers.ts";
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
