import type { Case, Metric, Sample } from "../../../../rollout/health/metric.ts";

/** Cases for the judge's tests: windows of 20 samples, 15 s apart. */

export const PLANNED = 20;
export const AT_END = { planned: PLANNED, last: false };
export const LAST = { planned: PLANNED, last: true };

const COMMON = {
  source: "prometheus",
  worse: "higher",
  critical: false,
  consecutiveSuccesses: 3,
  minimumRequests: 100,
  absent: "none",
} as const;

export const ERRORS: Metric = {
  ...COMMON,
  name: "errors",
  measure: "ratio",
  unit: "%",
  limit: 0.01,
  timesBaseline: 2,
  absent: "zero",
};
export const P99: Metric = {
  ...COMMON,
  name: "p99",
  measure: "histogram",
  unit: "s",
  quantile: 0.99,
  timesBaseline: 2,
};
export const MEMORY: Metric = {
  ...COMMON,
  name: "memory",
  measure: "level",
  unit: "bytes",
  timesBaseline: 2,
};
export const THROUGHPUT: Metric = {
  ...COMMON,
  name: "throughput",
  measure: "level",
  unit: "requests/s",
  worse: "lower",
  timesBaseline: 0.5,
};

/** Noise without chance: a coefficient of variation of some 0.2 that repeats. */
const WAVE = [0, 0.25, 0.3, 0.1, -0.15, -0.3, -0.2, 0.05, 0.2, -0.25];
const wave = (at: number): number => 1 + (WAVE[at % WAVE.length] ?? 0);

type Shape = number | undefined | ((at: number) => number | undefined);
const of = (shape: Shape, at: number): number | undefined =>
  typeof shape === "function" ? shape(at) : shape;

export interface SeriesOptions {
  n?: number;
  /** Of ratio and histogram: requests of an interval. */
  requests?: number | ((at: number) => number | undefined);
  from?: number;
  /** Seconds from one sample to the next. */
  every?: number;
  flat?: boolean;
}

/** Samples of a metric about a value; undefined where the source said nothing. */
export function series(metric: Metric, shape: Shape, options: SeriesOptions = {}): Sample[] {
  const { n = PLANNED, requests = 750, from = 0, every = 15, flat = false } = options;
  return Array.from({ length: n }, (_, at): Sample => {
    const instant = from + (at + 1) * every * 1000;
    const level = of(shape, at);
    const total = of(requests, at);
    if (level === undefined || total === undefined) return { at: instant, value: undefined };
    if (metric.measure === "ratio") {
      const bad = Math.round(level * total);
      return { at: instant, value: total > 0 ? bad / total : undefined, bad, total };
    }
    const value = level * (flat ? 1 : wave(at));
    if (metric.measure === "level") return { at: instant, value };
    return { at: instant, value: total > 0 ? value : undefined, total };
  });
}

/** First and fresh baseline alike, then what came after the drain. */
export function caseOf(
  metric: Metric,
  usual: number,
  green: readonly Sample[],
  more: Partial<Case> = {},
): Case {
  return {
    workload: "Deployment shop/web",
    metric,
    first: series(metric, usual),
    baseline: series(metric, usual, { from: 3_600_000 }),
    green,
    blue: [],
    ...more,
  };
}

/** What the judge sees after the first n samples. */
export const after = (n: number, one: Case): Case => ({
  ...one,
  green: one.green.slice(0, n),
  blue: one.blue.slice(0, n),
});
