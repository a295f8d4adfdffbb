import * as pulumi from "@pulumi/pulumi";
import { explain } from "../rollout/cluster/explain.ts";
import type { Config } from "../rollout/config/index.ts";
import { count, sentence } from "../rollout/finding.ts";
import { summary } from "../rollout/plan/plan-text.ts";
import { type Brief, brief } from "../rollout/report/brief.ts";
import { look } from "../rollout/report/look.ts";
import type { Report } from "../rollout/report/schema.ts";
import { urnOf } from "./gate.ts";

/** A preview is not held up for long by a cluster that does not answer. */
const REQUEST_TIMEOUT_SECONDS = 10;

/** Findings that are shown on a Handover's line; the rest is counted. `npm run preflight` shows all. */
const SHOWN = 20;

/**
 * Reads the cluster while the resources are being declared, and shows findings and plan: as diagnostics on each pool's Handover, and as
 * the value of the stack output `plan`. A provider cannot: preview calls only its check and diff.
 *
 * A cluster that cannot be read is one warning, and the preview goes on with the declarative part; an `up` is told by its Gate.
 */
export async function livePlan(config: Config): Promise<Brief> {
  if (!config.rollout.preflight.plan) return {};
  let report: Report;
  try {
    report = await look(config, pulumi.getStack(), REQUEST_TIMEOUT_SECONDS);
  } catch (error) {
    // a fault of ours must not send anybody to look at the cluster
    const ours = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
    const what = ours ? "PatchGuard has a bug (please report it)" : "the cluster could not be read";
    await pulumi.log.warn(
      `${what}, so there are no findings and no plan: ${ours ? error.stack : explain(error)}`,
    );
    return {};
  }
  for (const pool of report.pools) await show(pool);
  return brief(report);
}

async function show({ pool, findings, plan }: Report["pools"][number]): Promise<void> {
  if (plan === undefined) return;
  const on = handoverOf(pool);
  for (const finding of findings.slice(0, SHOWN)) {
    const says = finding.severity === "block" ? "blocks" : finding.severity === "wait" ? "waits" : "warns";
    await pulumi.log.warn(`${says}: ${sentence(finding)}`, on);
  }
  if (findings.length > SHOWN)
    await pulumi.log.warn(
      `and ${count(findings.length - SHOWN, "more finding")}: \`npm run preflight\` shows all`,
      on,
    );
  await pulumi.log.info(
    `${count(plan.evictions, "pod")} to move off ${count(plan.nodes.length, "node")}. ${summary(plan)}`,
    on,
  );
}

/**
 * The Handover as a log line's resource. Its own `urn` would do in a preview; in an `up` that is known only when the handover is over,
 * hours too late.
 */
const handoverOf = (pool: string): pulumi.Resource =>
  ({ urn: pulumi.output(urnOf(`${pool}-handover`)) }) as unknown as pulumi.Resource;
