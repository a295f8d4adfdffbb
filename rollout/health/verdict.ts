import type { Case, Metric, Outcome, Sample } from "./metric.ts";

/** How far a window is. */
export interface Look {
  /** Samples that a window of its configured length has. */
  planned: number;
  /** No further sample is to come: a verdict is wanted, and `open` is none. */
  last: boolean;
}

/** What the samples of one workload and metric say. */
export interface Judgement {
  workload: string;
  metric: string;
  outcome: Outcome | "open";
  /** A sentence for people: value, baseline, limit, counts. */
  reason: string;
  value?: number | undefined;
  /** The same before the drain, as the limit counts it. */
  baseline?: number | undefined;
  /** The limit that was applied: absolute and relative put together. */
  limit?: number | undefined;
  /** The same value on blue, meanwhile. */
  blue?: number | undefined;
  /** Of ratio and histogram: requests on green. */
  requests?: number | undefined;
  /** Of a breach: how likely noise alone makes such a difference, corrected for the number of comparisons. */
  chance?: number | undefined;
  samples: readonly Sample[];
}

export interface Verdict {
  /** `open`: nothing is decided yet. The worst of the judgements decides: fail, then inconclusive, then open. */
  outcome: Exclude<Outcome, "error"> | "open";
  judgements: Judgement[];
}

export type Judge = (cases: readonly Case[], look: Look) => Verdict;

/** A value in the metric's unit, as people read it: `5.2 %`, `310 ms`, `1.4 cores`, `412 MiB`. */
export function shown(
  { measure, unit }: Pick<Metric, "measure" | "unit">,
  value: number | undefined,
): string {
  if (value === undefined) return "no data";
  if (measure === "ratio" || unit === "%") return `${digits(value * 100)} %`;
  if (unit === "s" && Math.abs(value) < 1) return `${digits(value * 1000)} ms`;
  if (unit === "bytes") return `${digits(value / 2 ** 20)} MiB`;
  return unit === "" ? digits(value) : `${digits(value)} ${unit}`;
}

const digits = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
