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
import { judge } from "../../simulated/invariants.ts";
import type { World } from "../../simulated/world.ts";

/*
 * A crash after every single write, enumerated: the process dies right after its n-th write (before it sees the answer), and
 * the next run must resume and keep every promise. Replay one with `CRASH_SEED=<seed> CRASH_AT=<n> npm run test:unit -- --grep crash`.
 */
const SEED = Number(process.env["CRASH_SEED"] ?? 7);
const ONLY = process.env["CRASH_AT"] === undefined ? undefined : Number(process.env["CRASH_AT"]);

const points = (writes: number): number[] =>
  ONLY === undefined ? Array.from({ length: writes }, (_, i) => i + 1) : [ONLY];

/** Runs every crash point; one assertion with all that failed, each with how to see it alone. */
async function enumerate(
  writes: number,
  name: string,
  attempt: (n: number) => Promise<string[]>,
): Promise<void> {
  const failures: string[] = [];
  for (const n of points(writes)) {
    const problems = await attempt(n).catch((error: unknown) => [String(error)]);
    if (problems.length > 0) {
      const replay = `CRASH_SEED=${SEED} CRASH_AT=${n} npm run test:unit -- --grep "${name}"`;
      failures.push(
        `crash after write ${n} of ${writes} (replay: ${replay}):\n    ${problems.join("\n    ")}`,
      );
    }
  }
  assert.equal(
    failures.length,
    0,
    `${failures.length} of ${writes} crash points break a promise:\n${failures.slice(0, 5).join("\n")}`,
  );
}

/**
 * Everything that must hold once a handover to green has succeeded.
 * @param restarted the operator restarted pods in between: where they landed on blue they move once more, rightly.
 */
function problemsOf(on: World, pods: string[], last: Ended, restarted = false): string[] {
  const problems: string[] = [];
  if (last.outcome === undefined)
    problems.push(`the last run did not succeed: ${last.error?.message ?? "?"}\n${story(on, last)}`);
  const { violations, moves } = judge(on, { pinnedImage: GREEN.image });
  problems.push(...violations);
  for (const uid of pods) {
    const times = moves.filter((move) => move.uid === uid).length;
    if (times !== 1) problems.push(`pod ${uid} was moved ${times} times`);
  }
  if (!restarted && moves.length !== pods.length)
    problems.push(`${moves.length} moves for ${pods.length} pods`);
  return [...problems, ...leftovers(on, { closed: [BLUE.generation], empty: [BLUE.generation] })];
}

/** Every node that was drained was also seen through its health window, in whichever run. */
function withoutVerdict(runs: Ended[]): string[] {
  const nodesOf = (event: string, says: string): Set<unknown> =>
    new Set(
      runs.flatMap(({ log }) =>
        log
          .filter((line) => line.event === event && line.message.includes(says))
          .flatMap((line) => line["nodes"] ?? line["node"]),
      ),
    );
  const judged = nodesOf("health", " passed");
  return [...nodesOf("node-drained", "")]
    .filter((node) => !judged.has(node))
    .map((node) => `node ${String(node)} never passed a health window`);
}

const uidsOn = (on: World, generation: string): string[] =>
  on.workloadPods(generation).map(({ metadata }) => metadata.uid);

describe("a crash after every write", () => {
  it("of a handover: the next run finishes it, each pod moved once", async function () {
    this.timeout(120_000);
    const clean = await smallWorld(SEED);
    const all = uidsOn(clean, BLUE.generation);
    const whole = await runHandover(clean, "only");
    assert.deepEqual(problemsOf(clean, all, whole), [], "without any crash");
    await enumerate(whole.client.session.writes, "of a handover", async (n) => {
      const on = await smallWorld(SEED);
      const pods = uidsOn(on, BLUE.generation);
      const first = await runHandover(on, "first", { crashAfterWrite: n });
      assert.ok(first.crashed, `no crash at write ${n}`);
      const second = await runHandover(on, "second");
      return [...problemsOf(on, pods, second), ...withoutVerdict([first, second])];
    });
  });

  it("of a handover with pods that go last: each still moves once, and gets its health window", async function () {
    this.timeout(120_000);
    const rollout = { drain: { podSelector: "app!=kafka" }, health: { windowSeconds: 5 } };
    const kafkaWindows = (runs: Ended[]): number =>
      runs.flatMap(({ log }) =>
        log.filter(
          ({ event, message, workloads }) =>
            event === "health" &&
            message.includes("window of") &&
            String(workloads) === "StatefulSet default/kafka",
        ),
      ).length;
    const clean = await smallWorld(SEED);
    const all = uidsOn(clean, BLUE.generation);
    const whole = await runHandover(clean, "only", { rollout });
    assert.deepEqual(problemsOf(clean, all, whole), [], "without any crash");
    assert.equal(kafkaWindows([whole]), 3);
    await enumerate(whole.client.session.writes, "of a handover with pods that go last", async (n) => {
      const on = await smallWorld(SEED);
      const pods = uidsOn(on, BLUE.generation);
      const first = await runHandover(on, "first", { rollout, crashAfterWrite: n });
      assert.ok(first.crashed, `no crash at write ${n}`);
      const second = await runHandover(on, "second", { rollout });
      const windows = kafkaWindows([first, second]);
      return [
        ...problemsOf(on, pods, second),
        ...(windows < 3 ? [`${windows} windows for 3 pods that go last`] : []),
      ];
    });
  });

  it("of a handover in waves, behind a canary: each still moves once, the canary's window is not left out", async function () {
    this.timeout(120_000);
    const rollout = { drain: { maxParallel: "auto", canary: true }, health: { windowSeconds: 5 } };
    const canaryPassed = (runs: Ended[]): boolean =>
      runs.some(({ log }) => log.some(({ message }) => message === "health window after the canary passed"));
    const clean = await smallWorld(SEED, {}, 2);
    const all = uidsOn(clean, BLUE.generation);
    const whole = await runHandover(clean, "only", { rollout });
    assert.deepEqual(problemsOf(clean, all, whole), [], "without any crash");
    await enumerate(whole.client.session.writes, "of a handover in waves", async (n) => {
      const on = await smallWorld(SEED, {}, 2);
      const pods = uidsOn(on, BLUE.generation);
      const first = await runHandover(on, "first", { rollout, crashAfterWrite: n });
      assert.ok(first.crashed, `no crash at write ${n}`);
      const second = await runHandover(on, "second", { rollout });
      return [
        ...problemsOf(on, pods, second),
        ...withoutVerdict([first, second]),
        ...(canaryPassed([first, second]) ? [] : ["nobody waited out the canary's window"]),
      ];
    });
  });

  it("of a resumed handover: a second crash, too", async function () {
    this.timeout(120_000);
    const half = async (): Promise<{ on: World; pods: string[] }> => {
      const on = await smallWorld(SEED);
      const pods = uidsOn(on, BLUE.generation);
      await runHandover(on, "first", { crashAfterWrite: 27 });
      return { on, pods };
    };
    const { on: clean, pods: all } = await half();
    const whole = await runHandover(clean, "second");
    assert.deepEqual(problemsOf(clean, all, whole), [], "with one crash");
    await enumerate(whole.client.session.writes, "of a resumed handover", async (n) => {
      const { on, pods } = await half();
      await runHandover(on, "second", { crashAfterWrite: n });
      return problemsOf(on, pods, await runHandover(on, "third"));
    });
  });

  it("of a handover that holds: the next run, with the cause mended, finishes it", async function () {
    this.timeout(120_000);
    const rollout: RunOptions["rollout"] = { drain: { podTimeoutSeconds: 20 }, health: { windowSeconds: 5 } };
    const sick = async (): Promise<{ on: World; pods: string[] }> => {
      const on = await smallWorld(SEED);
      on.behave("StatefulSet", "kafka", {
        readyOn: (labels) => labels["patchguard.dev/generation"] !== GREEN.generation,
      });
      return { on, pods: uidsOn(on, BLUE.generation) };
    };
    const mend = async (on: World): Promise<void> => {
      on.behave("StatefulSet", "kafka", { readyOn: () => true });
      // what the operator does: the broken pod is started again
      for (const pod of on.store
        .all("Pod")
        .filter(
          ({ metadata, status }) =>
            metadata.labels?.["app"] === "kafka" &&
            status?.conditions?.some((it) => it.type === "Ready" && it.status === "False"),
        )) {
        on.store.remove("Pod", pod, "operator");
      }
      await on.clock.pass(30);
    };
    const { on: clean, pods: all } = await sick();
    const held = await runHandover(clean, "only", { rollout });
    assert.equal(held.error?.name, "Hold", story(clean, held));
    await mend(clean);
    assert.deepEqual(
      problemsOf(clean, all, await runHandover(clean, "next", { rollout }), true),
      [],
      "without any crash",
    );
    await enumerate(held.client.session.writes, "of a handover that holds", async (n) => {
      const { on, pods } = await sick();
      const first = await runHandover(on, "first", { rollout, crashAfterWrite: n });
      assert.ok(first.crashed, `no crash at write ${n}`);
      await runHandover(on, "second", { rollout }); // meets the same illness: holds
      await mend(on);
      return problemsOf(on, pods, await runHandover(on, "third", { rollout }), true);
    });
  });

  it("of a handover that rolls back: blue serves again, and a good run finishes it", async function () {
    this.timeout(120_000);
    /** The first pod that moved restarts as soon as its health window begins, in every run until it is mended. */
    const sick = (on: World): RunOptions => ({
      rollout: { health: { windowSeconds: 5 } },
      onLine: ({ event, message }) => {
        if (event === "health" && message.includes("health window of")) restartOne(on);
      },
    });
    const attempt = async (
      n: number | undefined,
    ): Promise<{ on: World; pods: string[]; first: Ended; problems: string[] }> => {
      const on = await smallWorld(SEED);
      const pods = uidsOn(on, BLUE.generation);
      const first = await runHandover(on, "first", {
        ...sick(on),
        ...(n !== undefined && { crashAfterWrite: n }),
      });
      const back = n === undefined ? first : await runHandover(on, "second", sick(on)); // meets the same illness
      const problems: string[] = [];
      if (back.error?.name === "Breach") {
        const open = on.store
          .all("Node")
          .filter(({ metadata }) => metadata.labels?.["patchguard.dev/generation"] === BLUE.generation);
        for (const { metadata, spec } of open) {
          if (spec?.unschedulable || (spec?.taints ?? []).length > 0)
            problems.push(`blue node ${metadata.name} is not open after the rollback`);
        }
      } else if (back.outcome === undefined)
        problems.push(`neither rolled back nor done: ${back.error?.message}\n${story(on, back)}`);
      return { on, pods, first, problems };
    };
    const clean = await attempt(undefined);
    assert.equal(clean.first.error?.name, "Breach", story(clean.on, clean.first));
    assert.deepEqual(clean.problems, []);
    assert.deepEqual(
      problemsOf(clean.on, clean.pods, await runHandover(clean.on, "next")),
      [],
      "without any crash",
    );
    await enumerate(clean.first.client.session.writes, "of a handover that rolls back", async (n) => {
      const { on, pods, first, problems } = await attempt(n);
      assert.ok(first.crashed, `no crash at write ${n}`);
      return [...problems, ...problemsOf(on, pods, await runHandover(on, "third"))];
    });
  });
});
