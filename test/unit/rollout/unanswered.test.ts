import assert from "node:assert/strict";
import type { EvictionResult } from "../../../rollout/cluster/cluster.ts";
import { BLUE, GREEN, runHandover, story } from "../../simulated/handovers.ts";
import { judge } from "../../simulated/invariants.ts";
import { type Client, groupsFor, world } from "../../simulated/world.ts";

const ZONES = ["us-east-1a"];
/** Nobody knows what has become of the pod: the answer was lost, or it is one of a server in trouble. */
const NO_ANSWER: EvictionResult = { outcome: "refused", status: 0, message: "no answer within the deadline" };
const IN_TROUBLE: EvictionResult = { outcome: "refused", status: 504, message: "request did not complete" };
const BUSY: EvictionResult = { outcome: "throttled", message: "too many requests" };

/** The first evictions are carried out, or not even asked for, and answered so. */
function answer(client: Client, answers: readonly { carriedOut: boolean; with: EvictionResult }[]): void {
  const { cluster } = client;
  const evict = cluster.evict.bind(cluster);
  let asked = 0;
  cluster.evict = async (pod, options) => {
    if (options?.dryRun) return evict(pod, options);
    const planned = answers[asked++];
    if (planned === undefined || planned.carriedOut) await evict(pod, options).then((it) => (last = it));
    return planned?.with ?? last;
  };
  let last: EvictionResult = NO_ANSWER;
}

describe("an eviction of which nobody knows whether it was carried out", () => {
  for (const [what, answers] of [
    ["its answer was lost", [{ carriedOut: true, with: NO_ANSWER }]],
    ["the server gave up", [{ carriedOut: true, with: IN_TROUBLE }]],
    [
      "it was lost, and then the server was busy",
      [
        { carriedOut: false, with: NO_ANSWER },
        { carriedOut: false, with: BUSY },
      ],
    ],
    ["it was lost itself", [{ carriedOut: false, with: NO_ANSWER }]],
  ] as const) {
    it(`keeps the other pods of its StatefulSet where they are: ${what}`, async () => {
      const on = await world({ seed: 11, watchDelay: { low: 100, high: 200 } })
        .pool("workers", { ...BLUE, zones: ZONES, perZone: 1 })
        .settled();
      await on.statefulSet("db", { replicas: 3, volumes: false }).settled();
      await on.pool("workers", { ...GREEN, zones: ZONES, perZone: 1 }).settled();
      const run = await runHandover(on, "only", {
        groups: groupsFor("workers", GREEN.generation, ZONES),
        onClient: (client) => answer(client, answers),
      });
      assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
      const { violations, moves } = judge(on);
      assert.deepEqual(violations, [], story(on, run));
      assert.equal(moves.length, 3);
    });
  }
});
