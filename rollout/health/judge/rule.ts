import type { Case, Metric, Sample } from "../metric.ts";
import { type Counts, meanOf } from "./significance.ts";

/** The limits of one workload and metric: what the values are held against. */

/** A fresh baseline counts at most so many times the first one: a slow decay, node after node, must not become the new normal. */
const DRIFT = 2;

export interface Rule {
  /** What was before the drain, kept from drifting. Undefined: nothing is known. */
  baseline: number | undefined;
  /** The absolute and the relative limit put together. Undefined: neither can be applied. */
  limit: number | undefined;
}

/** Both limits are to be breached, so the laxer one counts; of a critical metric the stricter. */
export function ruleOf(one: Case): Rule {
  const { metric } = one;
  const baseline = baselineOf(one);
  const relative =
    metric.timesBaseline === undefined || baseline === undefined
      ? undefined
      : metric.timesBaseline * baseline;
  const limits = [metric.limit, relative].filter((it) => it !== undefined);
  if (limits.length === 0) return { baseline, limit: undefined };
  const highest = (metric.worse === "higher") !== metric.critical;
  return { baseline, limit: highest ? Math.max(...limits) : Math.min(...limits) };
}

export const isBeyond = ({ metric }: Case, value: number, limit: number): boolean =>
  metric.worse === "higher" ? value > limit : value < limit;

function baselineOf(one: Case): number | undefined {
  const fresh = valueOf(one, one.baseline);
  if (fresh === undefined) return valueOf(one, one.first);
  const cap = capOf(one);
  if (cap === undefined) return fresh;
  return one.metric.worse === "higher" ? Math.min(fresh, cap) : Math.max(fresh, cap);
}

/** How far the baseline may have drifted. Undefined: the first one says nothing about that. */
export function capOf(one: Case): number | undefined {
  const higher = one.metric.worse === "higher";
  if (one.metric.measure === "ratio") {
    const { bad, total } = countsOf(one.first);
    if (total === 0) return undefined;
    // one event more or less is chance: none among a thousand does not mean never
    return higher ? (DRIFT * (bad + 1)) / total : Math.max(0, bad - 1) / (DRIFT * total);
  }
  const first = valueOf(one, one.first);
  if (first === undefined || first <= 0) return undefined;
  return higher ? DRIFT * first : first / DRIFT;
}

/** Of a ratio all events together; else the mean of the samples. */
export function valueOf({ metric }: Case, samples: readonly Sample[]): number | undefined {
  if (metric.measure === "ratio") {
    const { bad, total } = countsOf(samples);
    return total > 0 ? bad / total : undefined;
  }
  const values = valuesOf(samples);
  return values.length > 0 ? meanOf(values) : undefined;
}

/** Samples beyond the limit that a window bears. Of probes one at least, unless somebody has said otherwise. */
export const failureLimitOf = ({ measure, failureLimit }: Metric, samples: number): number =>
  failureLimit ?? Math.max(measure === "probe" ? 1 : 0, Math.floor(samples / 4));

export function countsOf(samples: readonly Sample[]): Counts {
  let bad = 0;
  let total = 0;
  for (const sample of samples) {
    bad += sample.bad ?? 0;
    total += sample.total ?? 0;
  }
  return { bad, total };
}

export function valuesOf(samples: readonly Sample[]): number[] {
  const values: number[] = [];
  for (const { value } of samples) if (value !== undefined) values.push(value);
  return values;
}

/** The source said something, be it that there was no request. */
export const isAnswer = ({ value, total }: Sample): boolean => value !== undefined || total !== undefined;
