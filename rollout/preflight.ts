import { announce } from "./alert.ts";
import { Blocked } from "./errors.ts";
import type { Pod } from "./cluster/types.ts";
import { count, type Finding, nameOf, type ObjectRef, sentence, sortFindings } from "./finding.ts";
import type { Inventory } from "./inventory.ts";
import type { Fields } from "./log.ts";
import { EVENT } from "./names.ts";
import type { Lacked } from "./owed.ts";
import { isTerminating, judgePod, workloadPodsOn } from "./pods.ts";
import type { CloudFacts } from "./cloud/facts.ts";
import { findings } from "./preflight/findings.ts";
import { rehearsalSeconds, rehearse } from "./preflight/rehearse.ts";
import type { RunRecord } from "./run-state.ts";
import type { Job } from "./run.ts";
import { readContext, withContext } from "./snapshot.ts";
import { isBlue } from "./target.ts";
import { until } from "./wait.ts";

/** While it is blocked, what explains (Deployments, autoscalers, …) is read again this often; what moves is followed live. */
const CONTEXT_SECONDS = 10;
/** A denied rehearsal is held again this often. */
const REHEARSE_SECONDS = 30;
/** A rehearsal that takes this long is announced, and the cluster is looked at once more behind it. */
const LONG_REHEARSAL_SECONDS = 5;
/** The cloud's limits are asked again this often while something blocks: an answer takes many calls. */
const LIMITS_SECONDS = 30;
/** All calls for the cloud's limits have this long. */
const LIMITS_TIMEOUT_SECONDS = 20;
/** A look at a large cluster takes a while: between two looks that long, times this, so that a pause does not keep a core busy. */
const REST = 4;

/** Warnings that a run logs one by one; a large cluster can have thousands (workloads without a budget). */
const LOGGED_WARNINGS = 100;

export const blocking = (found: Finding[]): Finding[] =>
  found.filter(({ severity }) => severity !== "warning");

/**
 * Waits until nothing blocks: pauses, alerts with each blocking object's name, namespace and reason, and goes on when it
 * clears. Touches nothing. The pods that an interrupted run left on their way get `podTimeoutSeconds` to arrive unreported.
 * @param owed what an earlier handover has left short (owed.ts)
 * @param made green's groups are there already: the limits for making them are no longer asked for
 * @throws Blocked at `preflight.timeoutSeconds`.
 */
export async function passPreflight(
  job: Job,
  inventory: Inventory,
  { resumed, owed }: { resumed: RunRecord | undefined; owed: Lacked | undefined },
  made = false,
): Promise<Finding[]> {
  const { config, clock, signal, log } = job;
  const began = clock.now();
  const earlier = Object.keys(resumed?.nodes ?? {}).length;
  const untouched =
    earlier === 0
      ? "nothing was touched"
      : `nothing was touched by this run, but an earlier one had begun ${count(earlier, "node")}`;
  const told = new Map<string, Finding>();
  /** What an interrupted run left on its way: no alert, a line each. */
  const waited = new Set<string>();
  const paused =
    earlier === 0 ? "paused before anything was touched:" : "paused before anything more was touched:";
  let [context, cloud] = await Promise.all([readContext(job.cluster), limitsOf(job, made)]);
  let contextAt = began;
  let cloudAt = clock.now();
  /** Worked out from the picture alone. */
  const look = async (): Promise<Finding[]> => {
    if (clock.now() - contextAt >= CONTEXT_SECONDS * 1000) {
      context = await readContext(job.cluster);
      contextAt = clock.now();
    }
    if (clock.now() - cloudAt >= LIMITS_SECONDS * 1000) {
      cloud = await limitsOf(job, made);
      cloudAt = clock.now();
    }
    const ownPodsHaveTime = clock.now() - began < config.drain.podTimeoutSeconds * 1000;
    return findings({
      picture: withContext(inventory, context),
      target: job.target,
      config,
      now: job.cluster.serverTime(),
      green: job.green,
      cloud,
      resumed: ownPodsHaveTime ? resumed : undefined,
      owed: owed && { lacked: owed, inTime: ownPodsHaveTime },
    });
  };
  const warn = (found: Finding[]): void => {
    const warnings = found.filter(({ severity }) => severity === "warning");
    // the program has shown most on the pool's Handover (components/plan.ts): said once on the terminal, kept in the run log
    for (const finding of warnings.slice(0, LOGGED_WARNINGS))
      log.info("finding", `pre-flight warns: ${sentence(finding)}`, { finding });
    if (warnings.length > LOGGED_WARNINGS)
      log.info(
        "finding",
        `and ${count(warnings.length - LOGGED_WARNINGS, "more warning")}: \`npm run preflight\` shows all`,
      );
  };
  let now: Finding[] = [];
  let looked = false;
  let restUntil = 0;
  let rehearsed: Finding[] | undefined;
  let rehearseAt = 0;
  const check = async (): Promise<Finding[] | undefined> => {
    if (clock.now() < restUntil) return undefined;
    const lookAt = clock.now();
    now = await look();
    restUntil = clock.now() + (clock.now() - lookAt) * REST;
    if (!looked) warn(now);
    looked = true;
    if (blocking(now).length === 0) {
      if (rehearsed === undefined || clock.now() >= rehearseAt) {
        const first = rehearsed === undefined;
        const pods = toEvict(job, inventory);
        const seconds = rehearsalSeconds(pods.length);
        if (first && seconds >= LONG_REHEARSAL_SECONDS)
          log.info(
            "preflight",
            `${count(pods.length, "pod")} of pool ${job.target.pool} are asked by a dry-run eviction whether they may go: about ${seconds} s`,
          );
        const askedAt = clock.now();
        rehearsed = await rehearse(job, pods);
        rehearseAt = clock.now() + REHEARSE_SECONDS * 1000;
        if (first) warn(rehearsed);
        if (clock.now() - askedAt >= LONG_REHEARSAL_SECONDS * 1000) now = await look();
      }
      now = sortFindings([...now, ...rehearsed]);
    }
    for (const finding of now) {
      if (finding.severity !== "wait" || waited.has(keyOf(finding))) continue;
      waited.add(keyOf(finding));
      log.info("finding", `waiting before anything is touched: ${sentence(finding)}`, { finding });
    }
    const blocks = now.filter(({ severity }) => severity === "block");
    const keys = new Set(blocks.map(keyOf));
    for (const finding of blocks) {
      if (told.has(keyOf(finding))) continue;
      told.set(keyOf(finding), finding);
      await announce(job, {
        event: "blocked",
        reason: EVENT.blocked,
        object: finding.object,
        message: `${paused} ${sentence(finding)}`,
        warning: true,
        fields: { finding, pool: job.target.pool, ...standingOf(inventory, finding.object) },
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
        fields: { finding, pool: job.target.pool },
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
          `pre-flight of pool ${job.target.pool} was still blocked after ${config.preflight.timeoutSeconds} s (rollout.preflight.timeoutSeconds); ${untouched}. ` +
            blocking(now).map(sentence).join(" | "),
        ),
    },
    check,
  );
  const warned = passed.length === 0 ? "" : ` with ${count(passed.length, "warning")}`;
  log.info("preflight", `pre-flight of pool ${job.target.pool} passed${warned}`, { warnings: passed.length });
  return passed;
}

/** The pods that the drain will evict. */
const toEvict = ({ target, config }: Job, inventory: Inventory): Pod[] =>
  inventory
    .all("Node")
    .filter((node) => isBlue(target, node))
    .flatMap((node) => workloadPodsOn(inventory, node.metadata.name))
    .filter((pod) => judgePod(pod, config.drain).action === "evict" && !isTerminating(pod));

/** The cloud's limits for green; of a green that is made only what its nodes are like. Undefined where nobody knows what green is. */
async function limitsOf({ green, target, cloud }: Job, made: boolean): Promise<CloudFacts | undefined> {
  if (green === undefined) return undefined;
  const facts = await cloud.facts({ target, green, timeoutSeconds: LIMITS_TIMEOUT_SECONDS });
  if (!made) return facts;
  const { instanceTypes, launched, hopLimits } = facts;
  return { instanceTypes, launched, hopLimits, notAsked: [] };
}

/** For alerts: of a budget how many healthy pods it needs and has, of a pod where it is. */
function standingOf(inventory: Inventory, { kind, namespace, name }: ObjectRef): Fields {
  if (kind === "PodDisruptionBudget") {
    const status = inventory.get("PodDisruptionBudget", name, namespace)?.status;
    return { needs: status?.desiredHealthy, has: status?.currentHealthy };
  }
  if (kind === "Pod") return { node: inventory.get("Pod", name, namespace)?.spec?.nodeName };
  return {};
}

const keyOf = (finding: Finding): string => `${finding.rule} ${nameOf(finding.object)}`;
