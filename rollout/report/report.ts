import type { CloudFacts } from "../cloud/facts.ts";
import type { RolloutConfig } from "../config/index.ts";
import { type Finding, sortFindings } from "../finding.ts";
import type { Picture } from "../picture.ts";
import { tooLong } from "../plan/limits.ts";
import { planOf } from "../plan/plan.ts";
import { findings } from "../preflight/findings.ts";
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
  /** In the order of the handovers. */
  pools: { target: Target; green: GreenSpec; cloud?: CloudFacts | undefined }[];
}

/** Findings and plan of every pool of a stack. Pure. */
export function reportOf({ stack, cluster, config, picture, now, pools }: Look): Report {
  const reports: PoolReport[] = [];
  let before = 0;
  for (const { target, green, cloud } of pools) {
    const question = { picture, target, config, now, green, cloud };
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
  return { version: 1, stack, cluster, verdict: overall(reports), pools: reports, notAsked: [NO_REHEARSAL] };
}

const NO_REHEARSAL =
  "dry-run evictions were not asked: that takes the right to evict, which a read-only look does not have. `pulumi up` asks every pod before it touches anything.";

const isBlock = ({ severity }: Finding): boolean => severity !== "warning";

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
