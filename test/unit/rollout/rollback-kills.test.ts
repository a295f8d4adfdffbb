import assert from "node:assert/strict";
import { systemClock } from "../../../rollout/clock.ts";
import { gate } from "../../../rollout/gate.ts";
import { probed } from "../../../rollout/health/sources/probes.ts";
import { RunLog } from "../../../rollout/log.ts";
import type { Job } from "../../../rollout/run.ts";
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
import { errors, SimulatedSource, traffic } from "../../simulated/metrics.ts";
import type { World } from "../../simulated/world.ts";

/*
 * A green image on which requests fail, killed in the window that finds it out and after every single write of the rollback; then the
 * next run, with a good image or with the old one. Replay one with `CRASH_SEED=<seed> CRASH_AT=<n>` as the failure says.
 */
const SEED = Number(process.env["CRASH_SEED"] ?? 7);
const ONLY = process.env["CRASH_AT"] === undefined ? undefined : Number(process.env["CRASH_AT"]);
const FIXED = { generation: "cccccccc", image: "ami-0000000000000000c" };

type Workloads = "stay" | "return";

/** On the bad image 5 % of web's requests fail, wherever the handover is by then. */
function sick(on: World): NonNullable<RunOptions["measured"]> {
  const bad = new Set(on.nodes(GREEN.generation).map(({ metadata }) => metadata.name));
  const source = new SimulatedSource((pod, workload, question) =>
    traffic(1000, workload.name === "web" && bad.has(pod.node) ? 0.05 : 0.001, question),
  );
  return { sources: [source], metrics: [errors()] };
}

/** The bad run; at its window's beginning and at the rollback's it has made so many writes. */
interface Bad extends Ended {
  on: World;
  windowAt: number;
  rollbackAt: number;
}

const isWindow = ({ event, message }: { event: string; message: string }): boolean =>
  event === "health" && message.includes("window of");

/** @param kill how the first run is killed; undefined: not at all */
async function badRun(
  workloads: Workloads,
  kill: { afterWrite?: number; inWindow?: number } = {},
): Promise<Bad> {
  const on = await smallWorld(SEED);
  let windowAt = 0;
  let rollbackAt = 0;
  let session: Ended["client"]["session"] | undefined;
  const ended = await runHandover(on, "first", {
    rollout: {
      health: { windowSeconds: 20, sampleSeconds: 1, extensionSeconds: 10 },
      rollback: { workloads },
    },
    measured: sick(on),
    ...(kill.afterWrite !== undefined && { crashAfterWrite: kill.afterWrite }),
    onClient: (client) => (session = client.session),
    onLine: (line) => {
      const { event, message } = line;
      if (event === "rollback" && message.startsWith("rolling")) {
        on.turn();
        rollbackAt = session?.writes ?? 0;
      }
      const web = on
        .workloadPods(GREEN.generation)
        .some(({ metadata }) => metadata.labels?.["app"] === "web");
      if (!isWindow(line) || !web || windowAt > 0) return;
      windowAt = session?.writes ?? 0;
      if (kill.inWindow !== undefined)
        on.clock.after(kill.inWindow, "SIGKILL in the window", () => session?.kill());
    },
  });
  return { ...ended, on, windowAt, rollbackAt };
}

/** The next `up`, and what is wrong after it. */
async function next(on: World, image: "fixed" | "reverted", workloads: Workloads): Promise<string[]> {
  on.turn();
  const measured = sick(on); // the bad nodes stay bad
  const to = image === "fixed" ? FIXED : BLUE;
  if (image === "fixed") await on.pool("workers", { ...FIXED, perZone: 1 }).settled();
  const emptied = image === "fixed" ? [BLUE.generation, GREEN.generation] : [GREEN.generation];
  const second = await runHandover(on, "second", {
    to,
    rollout: {
      health: { windowSeconds: 20, sampleSeconds: 1, extensionSeconds: 10 },
      rollback: { workloads },
    },
    measured,
  });
  const problems: string[] = [];
  if (second.outcome === undefined)
    problems.push(`the next run did not succeed: ${second.error?.message}\n${story(on, second)}`);
  problems.push(...judge(on).violations);
  return [...problems, ...leftovers(on, { closed: emptied, empty: emptied })];
}

/** After a rollback that nobody has cut short. */
function problemsOf({ on, error }: Bad, workloads: Workloads): string[] {
  const problems = [...judge(on).violations, ...leftovers(on, { closed: [GREEN.generation] })];
  if (error?.name !== "Breach") problems.push(`it ended with ${error?.name}: ${error?.message}`);
  const moved = on
    .workloadPods(GREEN.generation)
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined).length; // others only finish their grace period
  if (moved > 0 !== (workloads === "stay")) problems.push(`${moved} pods are on green`);
  return problems;
}

for (const workloads of ["stay", "return"] as const) {
  describe(`a rollback whose moved pods ${workloads}, killed`, () => {
    for (const image of ["fixed", "reverted"] as const) {
      const name = `after every write of it: the next run with the ${image} image ends in a whole cluster`;
      it(name, async function () {
        this.timeout(240_000);
        const clean = await badRun(workloads);
        assert.deepEqual(problemsOf(clean, workloads), [], story(clean.on, clean));
        assert.deepEqual(await next(clean.on, image, workloads), [], "without any kill");
        const { rollbackAt } = clean;
        const { writes } = clean.client.session;
        assert.ok(writes - rollbackAt > (workloads === "return" ? 15 : 10), "a rollback writes");
        const failures: string[] = [];
        for (let n = ONLY ?? rollbackAt + 1; n <= (ONLY ?? writes); n++) {
          const bad = await badRun(workloads, { afterWrite: n });
          assert.ok(bad.crashed, `no kill at write ${n}`);
          const problems = await next(bad.on, image, workloads).catch((error: unknown) => [String(error)]);
          if (problems.length > 0)
            failures.push(
              `killed after write ${n} (${bad.client.session.written.at(-1)}; CRASH_SEED=${SEED} CRASH_AT=${n} mocha ${import.meta.filename} -f "${workloads}, killed ${name}"):\n    ${problems.join("\n    ")}`,
            );
        }
        assert.equal(
          failures.length,
          0,
          `${failures.length} of ${writes - rollbackAt}:\n${failures.slice(0, 3).join("\n")}`,
        );
      });

      it(`in the window: the next run with the ${image} image ends in a whole cluster`, async function () {
        this.timeout(120_000);
        for (const milliseconds of [0, 500, 2000, 3000, 4000]) {
          const bad = await badRun(workloads, { inWindow: milliseconds });
          assert.ok(bad.crashed && bad.rollbackAt === 0, `the kill after ${milliseconds} ms came too late`);
          assert.deepEqual(await next(bad.on, image, workloads), [], `killed after ${milliseconds} ms`);
        }
      });
    }
  });
}

describe("pods that a rollback has left on a failed image", () => {
  for (const workload of ["ReplicaSet default/web", undefined]) {
    it(`a probe of ${workload ?? "nobody's"} that fails there stops neither the Gate nor the beginning of the next handover`, async function () {
      this.timeout(30_000);
      const on = await smallWorld(SEED);
      const bad = new Set(on.nodes(GREEN.generation).map(({ metadata }) => metadata.name));
      const isBad = (): boolean =>
        on
          .workloadPods()
          .some(({ spec, metadata }) => metadata.labels?.["app"] === "web" && bad.has(spec?.nodeName ?? ""));
      const measured = probed(
        { name: "front", workload, failureLimit: undefined, consecutiveSuccesses: 3 },
        0.5,
        () => Promise.resolve(isBad() ? "status 500" : undefined),
        new RunLog(systemClock, []),
      );
      const rollout = { health: { windowSeconds: 20, sampleSeconds: 1, extensionSeconds: 10 } };
      const first = await runHandover(on, "first", { rollout, measured });
      assert.equal(first.error?.name, "Breach", story(on, first));
      on.turn();
      const to = FIXED;
      const work = async (job: Job): Promise<never> => ({ ...(await gate(job)), pods: 0 }) as never;
      const gated = await runHandover(on, "gate", { to, rollout, measured, work });
      assert.ok(gated.outcome, gated.error?.message);
      await on.pool("workers", { ...FIXED, perZone: 1 }).settled();
      const second = await runHandover(on, "second", { to, rollout, measured });
      // the last of its pods there has yet to leave when the first window looks
      assert.doesNotMatch(second.error?.message ?? "", /before anything was moved/, story(on, second));
      assert.ok(
        second.log.some(({ event }) => event === "node-drained"),
        story(on, second),
      );
    });
  }
});
