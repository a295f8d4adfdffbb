import assert from "node:assert/strict";
import { GREEN, restartOne, runHandover, smallWorld, story } from "../../simulated/handovers.ts";
import type { World } from "../../simulated/world.ts";

/** One more pod of web's, which waits for a node with these labels. */
function waiting(on: World, nodeSelector: Record<string, string>): void {
  const model = on.store.all("Pod").find(({ metadata }) => metadata.labels?.["app"] === "web");
  assert.ok(model);
  const { labels, ownerReferences } = model.metadata;
  on.store.create(
    "Pod",
    {
      metadata: { name: "web-more", namespace: "default", labels, ownerReferences },
      spec: { nodeSelector },
      status: {
        phase: "Pending",
        conditions: [
          {
            type: "PodScheduled",
            status: "False",
            message: "0/6 nodes are available: 6 node(s) didn't match Pod's node affinity/selector",
          },
        ],
      },
    } as never,
    "replicaset-controller",
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
          waiting(on, labels);
          restartOne(on);
        },
      });
      assert.equal(run.error?.name, "Breach", story(on, run));
      assert.deepEqual([...new Set(taints(on))], [effect]);
      const told =
        /green stays open to new pods, since blue has no room for 1 pod: default\/web-more \(.*without the label disk=ssd\)/;
      assert.equal(told.test(run.error.message), effect === undefined, run.error.message);
    });
  }
});
