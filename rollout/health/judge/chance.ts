import type { Case, Sample } from "../metric.ts";
import { capOf, countsOf, valuesOf } from "./rule.ts";
import {
  type Counts,
  dispersionOf,
  higherByChance,
  meanOf,
  moreBadByChance,
  noiseOf,
  resemblance,
  riseByChance,
} from "./significance.ts";

/** How likely a case's breach is without any cause: against what was before, and against blue at the same time. */

/** Values below this share of what is usual are taken as this share: a logarithm knows no zero. */
const LEAST_SHARE = 0.01;

/**
 * @param reference a usual value: the baseline, or the limit where that is larger
 * @returns undefined where nothing is known of before
 */
export function chanceOfRise(one: Case, reference: number): number | undefined {
  const earlier = one.baseline.length > 0 ? one.baseline : one.first;
  const seen = new Set(earlier.map(({ at }) => at));
  const windows = [earlier, one.first.filter(({ at }) => !seen.has(at))];
  const least = resemblance(secondsApart(windows));
  const cap = capOf(one);
  if (one.metric.measure === "ratio") {
    const before = countsOf(earlier);
    if (before.total === 0) return undefined;
    const dispersion = dispersionOf(
      windows.map((samples) => eachOf(one, samples)),
      least,
    );
    return moreBadByChance(bad(one, countsOf(one.green)), bad(one, capped(one, before, cap)), dispersion);
  }
  const log = logarithm(one, reference);
  const before = valuesOf(earlier).map(log);
  const now = valuesOf(one.green).map(log);
  if (before.length === 0 || now.length === 0) return undefined;
  const mean = meanOf(before);
  return riseByChance(
    { mean: meanOf(now), n: now.length },
    { mean: cap === undefined ? mean : Math.min(mean, log(cap)), n: before.length },
    noiseOf(
      windows.map((samples) => valuesOf(samples).map(log)).filter(({ length }) => length > 1),
      least,
    ),
  );
}

/** How likely green's samples are, if green is no worse than blue at the same time. */
export function chanceBesideBlue(one: Case): number {
  const least = resemblance(secondsApart([one.green, one.blue]));
  if (one.metric.measure === "ratio")
    return moreBadByChance(
      bad(one, countsOf(one.green)),
      bad(one, countsOf(one.blue)),
      dispersionOf([eachOf(one, one.blue)], least),
    );
  const green = valuesOf(one.green);
  const blue = valuesOf(one.blue);
  return one.metric.worse === "higher"
    ? higherByChance(green, blue, least)
    : higherByChance(blue, green, least);
}

/** From one sample to the next, on average. */
function secondsApart(windows: readonly (readonly Sample[])[]): number {
  let milliseconds = 0;
  let steps = 0;
  for (const window of windows) {
    milliseconds += (window.at(-1)?.at ?? 0) - (window[0]?.at ?? 0);
    steps += Math.max(0, window.length - 1);
  }
  return steps === 0 ? 0 : milliseconds / steps / 1000;
}

const eachOf = (one: Case, samples: readonly Sample[]): Counts[] =>
  samples.map((it) => bad(one, { bad: it.bad ?? 0, total: it.total ?? 0 }));

/** Rising is bad: the logarithm of a value, or of its inverse where falling is. */
function logarithm({ metric }: Case, reference: number): (value: number) => number {
  const least = reference > 0 ? reference * LEAST_SHARE : Number.MIN_VALUE;
  const sign = metric.worse === "higher" ? 1 : -1;
  return (value) => sign * Math.log(Math.max(value, least));
}

/** Where falling is bad, the others are the bad ones. */
const bad = ({ metric }: Case, counts: Counts): Counts =>
  metric.worse === "higher" ? counts : { bad: counts.total - counts.bad, total: counts.total };

function capped({ metric }: Case, counts: Counts, cap: number | undefined): Counts {
  if (cap === undefined) return counts;
  const most = cap * counts.total;
  return {
    ...counts,
    bad: metric.worse === "higher" ? Math.min(counts.bad, most) : Math.max(counts.bad, most),
  };
}
