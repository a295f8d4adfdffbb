import type { Case } from "./metric.ts";
import { assess, type Assessment } from "./judge/assess.ts";
import { sentence } from "./judge/sentence.ts";
import { corrected } from "./judge/significance.ts";
import type { Judgement, Look, Verdict } from "./verdict.ts";

/**
 * How often a window over healthy workloads may call noise a breach, all its workloads, metrics and looks together, even if the limits
 * lie within the noise.
 */
export const WINDOW_ERROR = 0.01;

const WORST_FIRST = ["fail", "inconclusive", "open"] as const;

/**
 * The verdict of a health window, as far as it is known: a pure function of its samples (docs/verdict.md says how it is made). A case
 * fails when it is beyond its limit whatever the rest of the window brings, is so much worse than its baseline that noise explains
 * none of it, and blue does not share it. It passes when a whole window with enough data was within the limit. Anything else is open,
 * and inconclusive when no further sample comes.
 */
export function judge(cases: readonly Case[], look: Look): Verdict {
  const assessments = cases.map((one) => assess(one, look));
  const chances = corrected(
    assessments.flatMap((it) => (it.state === "breach" ? [[it, it.chance ?? 0] as const] : [])),
    cases.length,
  );
  const judgements = assessments.map((it) => judgementOf(it, chances.get(it), look));
  const outcome = WORST_FIRST.find((worst) => judgements.some((it) => it.outcome === worst)) ?? "pass";
  return { outcome, judgements };
}

function judgementOf(it: Assessment, chance: number | undefined, { last }: Look): Judgement {
  const outcome = outcomeOf(it, chance) ?? (last ? "inconclusive" : "open");
  const noise = it.state === "breach" && outcome !== "fail";
  return {
    workload: it.case.workload,
    metric: it.case.metric.name,
    outcome,
    reason: sentence(
      it,
      noise ? "beyond the limit, but no further from the baseline than noise explains" : it.why,
    ),
    value: it.value,
    baseline: it.baseline,
    // of probes their number is limited, not their share
    limit: it.case.metric.measure === "probe" ? undefined : it.limit,
    blue: it.blue,
    requests: it.requests,
    chance,
    samples: it.case.green,
  };
}

function outcomeOf({ state }: Assessment, chance: number | undefined): "pass" | "fail" | undefined {
  if (state === "within") return "pass";
  return state === "breach" && (chance ?? 1) <= WINDOW_ERROR ? "fail" : undefined;
}
