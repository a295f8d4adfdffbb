import type { RolloutConfig } from "../config/index.ts";
import type { Finding } from "../finding.ts";
import { finding } from "../preflight/rules.ts";
import type { Target } from "../target.ts";
import type { Estimate } from "./plan.ts";
import { duration } from "./duration.ts";

/** Will the estimate exceed a limit that is known beforehand? @param before seconds that the pools before this one take in the same `up` */
export function tooLong(
  { pool }: Target,
  { seconds }: Estimate,
  config: RolloutConfig,
  before: number,
): Finding[] {
  const object = { kind: "Pool", name: pool };
  const about = `its handover takes about ${duration(seconds)}`;
  const { maxDurationSeconds, jobTimeoutSeconds } = config;
  if (maxDurationSeconds !== undefined && seconds > maxDurationSeconds) {
    return [
      finding(
        "too-long",
        object,
        `${about}, more than rollout.maxDurationSeconds allows (${duration(maxDurationSeconds)}): it will pause at a safe point`,
        "run `pulumi up` again when it has paused, or raise the limit",
      ),
    ];
  }
  if (before + seconds <= jobTimeoutSeconds) return [];
  const together =
    before === 0 ? about : `${about}, ${duration(before + seconds)} together with the pools before it`;
  return [
    finding(
      "too-long",
      object,
      `${together}, more than the CI job may (rollout.jobTimeoutSeconds, ${duration(jobTimeoutSeconds)}): it would be killed in mid-handover`,
      "set rollout.maxDurationSeconds below the job's limit, so that it pauses at a safe point, or run it where no job limit ends it",
    ),
  ];
}
