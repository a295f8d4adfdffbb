import type { Metric, Reading, Sample, Subject, Value, Watched, WatchedPod } from "./metric.ts";
import { labelOf } from "./scope.ts";

/** One workload and one metric in one interval, put together from what a source said of its pods. */
export interface Interval {
  /** Milliseconds since the epoch; the interval that was asked for, or from the oldest measurement in it if that is older. */
  from: number;
  to: number;
  /** The source speaks of pods, so green and blue can be told apart. */
  apart: boolean;
  /** The whole workload; its pods on green; those on blue. Undefined: the source said nothing about them. */
  all: Sample | undefined;
  green: Sample | undefined;
  blue: Sample | undefined;
}

/**
 * A source's readings of one metric, put together by workload (`Deployment shop/web`), or by what the metric is about. Pure. Where a source answers by workload, or the
 * levels of all pods are summed, green and blue cannot be told apart: green is the whole then.
 * @param to end of the interval
 */
export function intervalsOf(
  metric: Metric,
  readings: readonly Reading[],
  workloads: readonly Watched[],
  [from, to]: readonly [from: number, to: number],
): Map<string, Interval> {
  if (metric.about !== undefined) return new Map([[metric.about, undivided(metric, readings, [from, to])]]);
  const about = Map.groupBy(readings, ({ subject }) => keyOf(subject));
  const intervals = new Map<string, Interval>();
  for (const workload of workloads) {
    const { namespace, name, pods } = workload;
    const of = (which: (pod: WatchedPod) => boolean): Reading[] =>
      pods.filter(which).flatMap((pod) => about.get(keyOf({ of: "pod", namespace, name: pod.name })) ?? []);
    const whole = [
      ...(about.get(keyOf({ of: "workload", namespace, name })) ?? []),
      ...(about.get("all") ?? []),
    ];
    const sample = (own: readonly Reading[]): Sample | undefined =>
      sampleOf(
        metric,
        own.map(({ value }) => value),
        to,
      );
    const own = whole.length > 0 ? whole : of(() => true);
    const apart = own.length > 0 && whole.length === 0 && metric.across !== "sum";
    const all = sample(own);
    const hasGreen = pods.some(({ generation }) => generation === "green");
    intervals.set(labelOf(workload), {
      from: Math.min(from, ...own.map(({ at }) => at)),
      to,
      apart,
      all,
      // a pod that found its place on another pool's node has moved as well
      green: apart
        ? sample(of(({ generation }) => (hasGreen ? generation === "green" : generation !== "blue")))
        : all,
      blue: apart ? sample(of(({ generation }) => generation === "blue")) : undefined,
    });
  }
  return intervals;
}

function undivided(
  metric: Metric,
  readings: readonly Reading[],
  [from, to]: readonly [number, number],
): Interval {
  const values = readings.map(({ value }) => value);
  const all = sampleOf(metric, values, to);
  return { from, to, apart: false, all, green: all, blue: undefined };
}

const keyOf = (subject: Subject): string =>
  subject.of === "all" ? "all" : `${subject.of} ${subject.namespace}/${subject.name}`;

/** @returns undefined where nothing was said and silence is no answer */
function sampleOf(metric: Metric, values: readonly Value[], at: number): Sample | undefined {
  if (values.length === 0 && metric.absent === "none") return undefined;
  switch (metric.measure) {
    case "level": {
      const levels = values.flatMap((value) => ("level" in value ? value.level : []));
      return {
        at,
        value: levels.length === 0 && metric.absent === "zero" ? 0 : together(levels, metric.across),
      };
    }
    case "ratio": {
      let bad = 0;
      let total = 0;
      for (const value of values) {
        if (!("total" in value)) continue;
        bad += value.bad;
        total += value.total;
      }
      return { at, value: total > 0 ? bad / total : undefined, bad, total };
    }
    case "probe": {
      const [failed] = values.flatMap((value) =>
        "failed" in value && value.failed !== undefined ? value.failed : [],
      );
      return { at, value: failed === undefined ? 0 : 1, ...(failed !== undefined && { why: failed }) };
    }
    case "histogram": {
      const buckets = merged(values.flatMap((value) => ("buckets" in value ? [value.buckets] : [])));
      return { at, value: quantileOf(buckets, metric.quantile ?? 0.99), total: buckets.at(-1)?.[1] ?? 0 };
    }
  }
}

function together(levels: readonly number[], across: Metric["across"]): number | undefined {
  if (levels.length === 0) return undefined;
  if (across === "max") return Math.max(...levels);
  const sum = levels.reduce((total, level) => total + level, 0);
  return across === "sum" ? sum : sum / levels.length;
}

type Buckets = readonly (readonly [bound: number, count: number])[];

/** Cumulative counts of several pods, added. Pods whose bounds differ are read at every bound: the count up to it, or up to the next lower one of theirs. */
export function merged(all: readonly Buckets[]): Buckets {
  const bounds = [...new Set(all.flatMap((buckets) => buckets.map(([bound]) => bound)))].toSorted(
    (a, b) => a - b,
  );
  return bounds.map((bound) => [
    bound,
    all.reduce((sum, buckets) => sum + (buckets.findLast(([own]) => own <= bound)?.[1] ?? 0), 0),
  ]);
}

/**
 * As Prometheus' histogram_quantile does: linear within the bucket; in the last, open one its lower bound.
 * @param buckets cumulative, rising @returns undefined without a single observation
 */
export function quantileOf(buckets: Buckets, quantile: number): number | undefined {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (!(total > 0)) return undefined;
  const rank = quantile * total;
  const at = buckets.findIndex(([, count]) => count >= rank);
  const [bound, count] = buckets[at] ?? [Infinity, total];
  const [below, countBelow] = buckets[at - 1] ?? [0, 0];
  if (!Number.isFinite(bound)) return below;
  if (count === countBelow) return bound;
  return below + ((bound - below) * (rank - countBelow)) / (count - countBelow);
}

/** Of a ratio that of all events together; else of the samples. */
export function meanOf(samples: readonly Sample[]): number | undefined {
  const known = samples.filter(({ value }) => value !== undefined);
  if (known.length === 0) return undefined;
  const total = known.reduce((sum, it) => sum + (it.bad === undefined ? 0 : (it.total ?? 0)), 0);
  if (total > 0) return known.reduce((sum, it) => sum + (it.bad ?? 0), 0) / total;
  return known.reduce((sum, { value = 0 }) => sum + value, 0) / known.length;
}
