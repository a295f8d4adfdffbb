import assert from "node:assert/strict";
import { Interrupted } from "../../../rollout/errors.ts";
import { handoverTaint } from "../../../rollout/ownership.ts";
import { BLUE, type Ended, GREEN, runHandover, smallWorld, story } from "../../simulated/handovers.ts";
import { judge } from "../../simulated/invariants.ts";
import type { World } from "../../simulated/world.ts";

/** A run that the operator interrupts right after its n-th eviction. */
async function interruptedAt(on: World, n: number): Promise<Ended> {
  const stop = new AbortController();
  let evictions = 0;
  return runHandover(on, "first", {
    signal: stop.signal,
    onLine: ({ event }) => {
      if (event !== "evict" || ++evictions !== n) return;
      stop.abort(new Interrupted("interrupted by the operator"));
    },
  });
}

const closed = (on: World): string[] =>
  on.store
    .all("Node")
    .filter((node) => node.spec?.unschedulable === true || handoverTaint(node) !== undefined)
    .map(({ metadata }) => metadata.name);

describe("a handover that is interrupted", () => {
  it("reopens at once, wherever it was, and the next run finishes it with each pod moved once", async function () {
    this.timeout(120_000);
    const total = (await smallWorld(7)).workloadPods(BLUE.generation).length;
    for (let n = 1; n <= total; n++) {
      const on = await smallWorld(7);
      // what takes longer to stop than the engine leaves time may land on blue again, and has to move once more
      on.behave("StatefulSet", "kafka", { stopSeconds: 1 });
      const first = await interruptedAt(on, n);
      assert.equal(first.error?.name, "Interrupted", story(on, first));
      assert.deepEqual(closed(on), [], `interrupted after eviction ${n}`);
      assert.equal(first.log.filter(({ event }) => event === "evict").length <= n + 1, true);
      const second = await runHandover(on, "second");
      assert.ok(second.outcome, story(on, second));
      const { violations, moves } = judge(on, { pinnedImage: GREEN.image });
      assert.deepEqual(violations, []);
      assert.equal(
        moves.length,
        total,
        `interrupted after eviction ${n}: ${moves.length} moves of ${total} pods`,
      );
    }
  });
});
