import { announce } from "./alert.ts";
import { Blocked } from "./errors.ts";
import { count, type Finding, nameOf, sentence } from "./finding.ts";
import type { Inventory } from "./inventory.ts";
import { EVENT } from "./names.ts";
import { findings } from "./preflight/findings.ts";
import type { RunRecord } from "./run-state.ts";
import type { Job } from "./run.ts";
import { readContext, withContext } from "./snapshot.ts";
import { until } from "./wait.ts";

/** While it is blocked, what explains (Deployments, autoscalers, …) is read again this often; what moves is followed live. */
const CONTEXT_SECONDS = 10;

export const blocking = (found: Finding[]): Finding[] =>
  found.filter(({ severity }) => severity !== "warning");

/**
 * Waits until nothing blocks: pauses, alerts with each blocking object's name, namespace and reason, and goes on when it
 * clears. Touches nothing. The pods that an interrupted run left on their way get `podTimeoutSeconds` to arrive unreported.
 * @throws Blocked at `preflight.timeoutSeconds`.
 */
export async function passPreflight(
  job: Job,
  inventory: Inventory,
  resumed: RunRecord | undefined,
): Promise<Finding[]> {
  const { config, clock, signal, log } = job;
  const began = clock.now();
  const told = new Map<string, Finding>();
  let context = await readContext(job.cluster);
  let contextAt = began;
  const look = async (): Promise<Finding[]> => {
    if (clock.now() - contextAt >= CONTEXT_SECONDS * 1000) {
      context = await readContext(job.cluster);
      contextAt = clock.now();
    }
    const ownPodsHaveTime = clock.now() - began < config.drain.podTimeoutSeconds * 1000;
    return findings({
      picture: withContext(inventory, context),
      target: job.target,
      config,
      now: clock.now(),
      green: job.green,
      resumed: ownPodsHaveTime ? resumed : undefined,
    });
  };
  let now = await look();
  for (const finding of now.filter(({ severity }) => severity === "warning")) {
    // the program has shown them on the pool's Handover (components/plan.ts): said once on the terminal, kept in the run log
    log.info("finding", `pre-flight warns: ${sentence(finding)}`, { finding });
  }
  const check = async (): Promise<Finding[] | undefined> => {
    now = await look();
    const blocks = now.filter(({ severity }) => severity === "block");
    const keys = new Set(blocks.map(keyOf));
    for (const finding of blocks) {
      if (told.has(keyOf(finding))) continue;
      told.set(keyOf(finding), finding);
      await announce(job, {
        event: "blocked",
        reason: EVENT.blocked,
        object: finding.object,
        message: `paused before anything was touched: ${sentence(finding)}`,
        warning: true,
        fields: { finding, pool: job.target.pool },
      });
    }
    for (const [key, finding] of told) {
      if (keys.has(key)) continue;
      told.delete(key);
      await announce(job, {
        event: "unblocked",
        reason: EVENT.unblocked,
        object: finding.object,
        message: `${nameOf(finding.object)} no longer blocks pool ${job.target.pool}.`,
      });
    }
    return blocking(now).length === 0 ? now : undefined;
  };
  const passed = await until(
    {
      clock,
      signal,
      wakes: inventory,
      timeoutSeconds: config.preflight.timeoutSeconds,
      late: () =>
        new Blocked(
          `pre-flight of pool ${job.target.pool} was still blocked after ${config.preflight.timeoutSeconds} s (rollout.preflight.timeoutSeconds); nothing was touched. ` +
            blocking(now).map(sentence).join(" | "),
        ),
    },
    check,
  );
  const warned = passed.length === 0 ? "" : ` with ${count(passed.length, "warning")}`;
  log.info("preflight", `pre-flight of pool ${job.target.pool} passed${warned}`, { warnings: passed.length });
  return passed;
}

const keyOf = (finding: Finding): string => `${finding.rule} ${nameOf(finding.object)}`;
