import { announce } from "./alert.ts";
import { judgeBudget } from "./budgets.ts";
import type { RolloutConfig } from "./config/index.ts";
import { Blocked } from "./errors.ts";
import { type Finding, nameOf, sentence, sortFindings } from "./finding.ts";
import type { Inventory } from "./inventory.ts";
import { EVENT } from "./names.ts";
import { judgePod, workloadPodsOn } from "./pods.ts";
import type { RunRecord } from "./run-state.ts";
import type { Job } from "./run.ts";
import { isBlue, isReady, type Target } from "./target.ts";
import { until } from "./wait.ts";

/**
 * What stands in the way of emptying the pool's blue nodes, worked out from the inventory alone (no request).
 * Nothing to move: no findings.
 * @param resumed the record of an unfinished run: what its own half-moved pods cause is `wait`, not `block`.
 */
export function findings(
  inventory: Inventory,
  target: Target,
  config: RolloutConfig,
  now: number,
  resumed?: RunRecord,
): Finding[] {
  const blue = inventory.all("Node").filter((node) => isBlue(target, node));
  if (blue.length === 0) return [];
  const found: Finding[] = [];
  const moving = blue.flatMap((node) => workloadPodsOn(inventory, node.metadata.name));

  for (const pod of moving) {
    const object = {
      kind: "Pod",
      namespace: pod.metadata.namespace,
      name: pod.metadata.name,
      uid: pod.metadata.uid,
    };
    const where = `on node ${pod.spec?.nodeName}`;
    const verdict = judgePod(pod, config.drain);
    if (verdict.action === "refuse") {
      found.push({
        severity: "block",
        rule: verdict.rule,
        object,
        why: `${verdict.why} (${where})`,
        fix: verdict.fix,
      });
    }
    if (verdict.action === "excluded") {
      found.push({
        severity: "warning",
        rule: "pod-excluded",
        object,
        why: `rollout.drain.podSelector leaves it out (${where}), so its node cannot be emptied`,
        fix: "move it yourself before the handover ends, or widen the selector",
      });
    }
    const budgets = inventory.budgetsOf(pod);
    if (budgets.length > 1) {
      found.push({
        severity: "block",
        rule: "several-budgets",
        object,
        why: `${budgets.length} budgets select it (${budgets
          .map(({ metadata }) => metadata.name)
          .toSorted()
          .join(", ")}); the Eviction API then always refuses (${where})`,
        fix: "leave one PodDisruptionBudget per pod: narrow the others' selectors or delete them",
      });
    }
  }

  const concerned =
    config.preflight.scope === "pool"
      ? new Set(moving.flatMap((pod) => inventory.budgetsOf(pod)))
      : undefined;
  for (const budget of inventory.all("PodDisruptionBudget")) {
    if (concerned && !concerned.has(budget)) continue;
    const finding = judgeBudget(budget, config.preflight, now);
    if (finding === undefined) continue;
    const ours =
      finding.severity === "block" && resumed !== undefined && isOurDoing(inventory, budget, resumed);
    found.push(ours ? { ...finding, severity: "wait" } : finding);
  }
  for (const node of blue) {
    if (isReady(node)) continue;
    found.push({
      severity: "warning",
      rule: "node-not-ready",
      object: { kind: "Node", name: node.metadata.name },
      why: "it is not Ready; its pods may be stuck until it comes back or is gone",
      fix: `\`kubectl describe node ${node.metadata.name}\`, or terminate its instance`,
    });
  }
  return sortFindings(found);
}

/** A budget is short because of pods that the interrupted run had in hand. */
function isOurDoing(
  inventory: Inventory,
  budget: ReturnType<Inventory["budgetsOf"]>[number],
  record: RunRecord,
): boolean {
  const owners = new Set(
    Object.values(record.nodes)
      .filter(({ phase }) => phase === "in-hand")
      .flatMap(({ owners }) => owners),
  );
  return [...owners].some((uid) =>
    inventory.podsOf(uid).some((pod) => inventory.budgetsOf(pod).includes(budget)),
  );
}

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
  const look = (): Finding[] => {
    const ownPodsHaveTime = clock.now() - began < config.drain.podTimeoutSeconds * 1000;
    return findings(inventory, job.target, config, clock.now(), ownPodsHaveTime ? resumed : undefined);
  };
  let now = look();
  for (const finding of now.filter(({ severity }) => severity === "warning")) {
    log.warning("preflight", `pre-flight warns: ${sentence(finding)}`, { finding });
  }
  const check = async (): Promise<Finding[] | undefined> => {
    now = look();
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
  log.info("preflight", `pre-flight of pool ${job.target.pool} passed`, { warnings: passed.length });
  return passed;
}

const keyOf = (finding: Finding): string => `${finding.rule} ${nameOf(finding.object)}`;
