import assert from "node:assert/strict";
import type { Clock } from "../../../rollout/clock.ts";
import { takeLease } from "../../../rollout/lease.ts";
import { RunLog, type LogLine } from "../../../rollout/log.ts";
import { LEASE_NAME, STATE_NAMESPACE } from "../../../rollout/names.ts";
import { World } from "../../simulated/world.ts";

const SECOND = 1000;
const TIMES = { durationSeconds: 15, renewSeconds: 3 };
const STEP = 50;

describe("the Lease", () => {
  // a call takes 200 ms there and back, a renewal two calls: some of these moments lie in its middle
  it("is given back whatever the moment, in the middle of a renewal, too", async () => {
    for (let after = 2.5 * SECOND; after < 4.5 * SECOND; after += STEP) {
      const world = new World({ seed: 1 });
      const { cluster, clock } = world.client("run", { latency: { low: 100, high: 101 } });
      const lines: LogLine[] = [];
      const log = new RunLog(clock, [(line) => lines.push(line)]);
      const lost = (reason: Error): void => assert.fail(reason);
      const holder = { stack: "prod", run: "one" };
      const lease = await world.clock.run(takeLease(cluster, clock, log, holder, TIMES, lost));
      await world.clock.pass(after / SECOND);
      lease.assertHeld();
      await world.clock.run(lease.release());
      await world.clock.pass(TIMES.durationSeconds);
      const { spec } = world.store.get("Lease", LEASE_NAME, STATE_NAMESPACE) ?? {};
      assert.equal(spec?.holderIdentity, "", `released ${after} ms after it was taken`);
      assert.deepEqual(lines, [], "and nothing to complain about");
    }
  });

  it("of another stack is left to it while it is renewed, also by a machine whose clock is ahead", async () => {
    const world = new World({ seed: 1 });
    const none = (): void => undefined;
    const { cluster, clock } = world.client("theirs");
    const theirs = { stack: "other", run: "one" };
    await world.clock.run(takeLease(cluster, clock, new RunLog(clock, []), theirs, TIMES, none));
    const mine = world.client("mine");
    const ahead: Clock = {
      now: () => mine.clock.now() + 360 * SECOND,
      sleep: (milliseconds, signal) => mine.clock.sleep(milliseconds, signal),
    };
    const holder = { stack: "prod", run: "two" };
    await assert.rejects(
      world.clock.run(takeLease(mine.cluster, ahead, new RunLog(ahead, []), holder, TIMES, none)),
      /is held by other\/one/,
    );
  });
});
