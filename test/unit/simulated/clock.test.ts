import assert from "node:assert/strict";
import { VirtualClock } from "../../simulated/clock.ts";

describe("virtual clock", () => {
  it("jumps from timer to timer, in order, without waiting", async () => {
    const clock = new VirtualClock();
    const start = clock.now();
    const seen: string[] = [];
    const walk = async (name: string, ...steps: number[]): Promise<void> => {
      for (const step of steps) {
        await clock.sleep(step);
        seen.push(`${name}@${clock.now() - start}`);
      }
    };
    const real = Date.now();
    await clock.run(Promise.all([walk("a", 3_600_000, 10), walk("b", 10, 3_600_000)]));
    assert.deepEqual(seen, ["b@10", "a@3600000", "b@3600010", "a@3600010"]);
    assert.ok(Date.now() - real < 1000);
  });

  it("an aborted sleep ends at once and does not move the time", async () => {
    const clock = new VirtualClock();
    const abort = new AbortController();
    const start = clock.now();
    const sleeping = clock.sleep(60_000, abort.signal);
    await clock.run(Promise.all([sleeping, clock.sleep(5).then(() => abort.abort())]));
    assert.equal(clock.now() - start, 5);
  });

  it("tells a deadlock", async () => {
    const clock = new VirtualClock();
    await assert.rejects(clock.run(new Promise(() => undefined)), /deadlock at \+0\.000s/);
  });

  it("tells a runaway, and who waits where", async () => {
    const clock = new VirtualClock();
    const forever = async (): Promise<never> => {
      for (;;) await clock.for("lease").sleep(1000);
    };
    await assert.rejects(
      clock.run(forever(), 60),
      /runaway: not done 60 s .*\n {2}lease: sleep at simulated\/clock\.test\.ts:\d+/,
    );
  });

  it("a killed owner's timers never fire; others' do", async () => {
    const clock = new VirtualClock();
    let woke = false;
    void clock
      .for("victim")
      .sleep(10)
      .then(() => (woke = true));
    clock.kill("victim");
    await clock.run(clock.sleep(100));
    void clock
      .for("victim")
      .sleep(10)
      .then(() => (woke = true));
    await clock.run(clock.sleep(100));
    assert.equal(woke, false);
  });
});
