import type { CloudFacts } from "../cloud/facts.ts";
import type { RolloutConfig } from "../config/index.ts";
import { type Finding, sortFindings } from "../finding.ts";
import type { Lacked } from "../owed.ts";
import type { Picture } from "../picture.ts";
import { tooLong } from "../plan/limits.ts";
import { planOf } from "../plan/plan.ts";
import { findings } from "../preflight/findings.ts";
import { statefulFacts } from "../preflight/stateful.ts";
import type { RunRecord } from "../run-state.ts";
import { imageText, type Target } from "../target.ts";
import type { GreenSpec } from "../targets.ts";
import type { PoolReport, Report } from "./schema.ts";

/** What a report is made from. */
export interface Look {
  stack: string;
  cluster: string;
  config: RolloutConfig;
  picture: Picture;
  /** Milliseconds. */
  now: number;
  /** What was not asked, and why: one sentence each. */
  notAsked: string[];
  /** In the order of the handovers. */
  pools: {
    target: Target;
    green: GreenSpec;
    cloud?: CloudFacts | undefined;
    /** The record of an unfinished run: the pods that it has in hand are waited for, not reported as a block. */
    resumed?: RunRecord | undefined;
    /** What an earlier handover has left short: waited for, too. */
    owed?: Lacked | undefined;
  }[];
}

/** Findings and plan of every pool of a stack. Pure. */
export function reportOf({ stack, cluster, config, picture, now, pools, notAsked }: Look): Report {
  const reports: PoolReport[] = [];
  let before = 0;
  for (const { target, green, cloud, resumed, owed: lacked } of pools) {
    const owed = lacked && { lacked, inTime: true };
    const question = { picture, target, config, now, green, cloud, resumed, owed };
    const plan = planOf(question);
    const found = [
      ...findings(question),
      ...(plan === undefined ? [] : tooLong(target, plan.estimate, config, before)),
    ];
    before += plan?.estimate.seconds ?? 0;
    reports.push({
      pool: target.pool,
      generation: target.generation,
      image: imageText(target.image),
      verdict: plan === undefined ? "nothing to move" : found.some(isBlock) ? "blocked" : "clear",
      findings: sortFindings(found).map(plain),
      plan,
    });
  }
  const verdict = overall(reports);
  const moves = verdict !== "nothing to move";
  return {
    version: 1,
    stack,
    cluster,
    verdict,
    pools: reports,
    ...(moves ? { statefulSets: statefulFacts(picture) } : {}),
    notAsked,
  };
}

/** `wait` clears by itself, or is a block by the next look. */
const isBlock = ({ severity }: Finding): boolean => severity === "block";

const plain = ({
  severity,
  rule,
  object: { kind, namespace, name },
  why,
  fix,
}: Finding): PoolReport["findings"][number] => ({
  severity,
  rule,
  object: { kind, ...(namespace === undefined ? {} : { namespace }), name },
  why,
  fix,
});

function overall(pools: readonly PoolReport[]): Report["verdict"] {
  if (pools.some(({ verdict }) => verdict === "blocked")) return "blocked";
  return pools.some(({ verdict }) => verdict === "clear") ? "clear" : "nothing to move";
}
