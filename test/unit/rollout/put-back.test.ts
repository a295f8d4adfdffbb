import assert from "node:assert/strict";
import { Interrupted } from "../../../rollout/errors.ts";
import { handoverTaint } from "../../../rollout/ownership.ts";
import { restore } from "../../../rollout/restore.ts";
import { leftovers } from "../../simulated/aftermath.ts";
import {
  BLUE,
  type Ended,
  GREEN,
  runHandover,
  type RunOptions,
  smallWorld,
  story,
} from "../../simulated/handovers.ts";
import { judge } from "../../simulated/invariants.ts";
import type { World } from "../../simulated/world.ts";

const SEED = 5;
/** What Pulumi's engine leaves a provider after the second Ctrl-C. */
const ENGINE_LEAVES_SECONDS = 5;

/** A run that the operator interrupts so many seconds after the first line of an event. */
async function interruptedAfter(
  on: World,
  event: string,
  seconds: number,
): Promise<Ended & { took: number }> {
  const stop = new AbortController();
  let told = 0;
  const onLine: RunOptions["onLine"] = (line) => {
    if (line.event !== event || told++ > 0) return;
    on.clock.after(seconds * 1000, "Ctrl-C", () =>
      stop.abort(new Interrupted("interrupted by the operator")),
    );
    stop.signal.addEventListener("abort", () => (told = on.clock.now()));
  };
  const ended = await runHandover(on, "first", { signal: stop.signal, onLine });
  return { ...ended, took: (on.clock.now() - told) / 1000 };
}

const closedNodes = (on: World): string[] =>
  on
    .nodes()
    .filter((node) => node.spec?.unschedulable === true || handoverTaint(node) !== undefined)
    .map(({ metadata }) => metadata.name);

const breakGlass = (on: World): Promise<{ nodes: string[]; groups: string[] }> =>
  on.run(restore(on.client("restore"), ["workers"], { force: false }), 600);

describe("putting back while EKS takes a minute for each change", () => {
  for (const [what, event, seconds] of [
    ["while green is being protected", "green", 30],
    ["while blue is being frozen", "protect", 5],
    ["between two changes of blue", "protect", 61],
    ["while nodes are being drained", "node-start", 2],
  ] as const) {
    it(`an interrupt ${what} is over in the time that the engine leaves; the rest is recorded and named`, async () => {
      const on = await smallWorld(SEED, { updateSeconds: 60 });
      const first = await interruptedAfter(on, event, seconds);
      assert.equal(first.error?.name, "Interrupted", story(on, first));
      assert.ok(first.took < ENGINE_LEAVES_SECONDS, `it took ${first.took} s:\n${story(on, first)}`);
      assert.deepEqual(closedNodes(on), []);
      await on.clock.pass(120); // what EKS has accepted it carries out
      const left = leftovers(on).filter((problem) => problem.startsWith("group "));
      assert.ok(left.length > 0, "nothing was left to EKS");
      for (const group of on.cloud.groups.values()) {
        const isLeft = left.some((problem) => problem.startsWith(`group ${group.name} `));
        assert.equal(
          group.ownership !== undefined,
          isLeft,
          `${group.name}: recorded when, and only when, something is left`,
        );
        if (isLeft)
          assert.ok(
            first.error.message.includes(group.name),
            `${group.name} is not named: ${first.error.message}`,
          );
      }
      await breakGlass(on);
      assert.deepEqual(leftovers(on), []);
    });
  }

  it("the next run goes on from what an interrupt has left", async () => {
    const on = await smallWorld(SEED, { updateSeconds: 60 });
    await interruptedAfter(on, "protect", 5);
    const second = await runHandover(on, "second");
    assert.ok(second.outcome, story(on, second));
    assert.deepEqual(judge(on, { pinnedImage: GREEN.image }).violations, []);
    assert.deepEqual(leftovers(on, { closed: [BLUE.generation], empty: [BLUE.generation] }), []);
  });
});

describe("a group that EKS does not change", () => {
  it("launches again and keeps its record; the hold names it, and restore finishes it once EKS does", async () => {
    const on = await smallWorld(SEED);
    const group = on.cloud.must("workers-a-aaaaaaaa");
    on.behave("StatefulSet", "kafka", {
      readyOn: (labels) => labels["patchguard.dev/generation"] !== GREEN.generation,
    });
    const run = await runHandover(on, "first", {
      rollout: { drain: { podTimeoutSeconds: 20 } },
      onLine: ({ event }) => {
        if (event === "node-start") group.status = "DEGRADED";
      },
    });
    assert.equal(run.error?.name, "Hold", story(on, run));
    assert.match(
      run.error.message,
      /node group workers-a-aaaaaaaa is not as it was: its sizes \(min 0, max 4\) are not put back/,
    );
    assert.deepEqual(closedNodes(on), []);
    assert.deepEqual(group.suspended, []);
    assert.notEqual(group.ownership, undefined);
    group.status = "ACTIVE";
    await breakGlass(on);
    assert.deepEqual(group.size, { min: 0, max: 4, desired: 1 });
    assert.equal(group.ownership, undefined);
  });
});
