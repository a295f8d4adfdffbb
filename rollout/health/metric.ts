/**
 * The words of a health window: what is measured, what a source answers, and what the judge is given. Types only; the sources
 * stand in rollout/health/sources/, the rules in judge.ts.
 */

/** One thing that is watched, of every workload in the window's scope. Made from the config, defaults filled in. */
export interface Metric {
  /** For people and for the evidence; unique in a stack: `errors`, `p99`. */
  name: string;
  /** The source that is asked: `prometheus`, `metrics-api`, … */
  source: string;
  /**
   * `level`: a number now (cores, bytes, seconds). `ratio`: counts of an interval, bad ones among all (errors among requests).
   * `histogram`: counts of an interval by upper bound, of which `quantile` is judged (seconds). `probe`: one probe, which went well (0)
   * or failed (1): a fact, no estimate, so that no failure is put down to noise.
   */
  measure: "level" | "ratio" | "histogram" | "probe";
  /** For messages: `cores`, `MiB`, `%`, `s`. */
  unit: string;
  /** Of a histogram: 0.99. */
  quantile?: number | undefined;
  /** How the levels of a workload's pods become one. Of a level only. */
  across?: "mean" | "sum" | "max" | undefined;
  /** Which direction is bad: errors rise, throughput falls. */
  worse: "higher" | "lower";
  /** Absolute limit, in the metric's unit (of a ratio: 0.01 is one in a hundred). Undefined: only the relative one counts. */
  limit?: number | undefined;
  /** Relative limit: so many times the baseline (2 = twice; with `worse: lower`, 0.5 = half). Undefined: only the absolute one counts. */
  timesBaseline?: number | undefined;
  /** Either limit is enough for a breach; else both must be breached. */
  critical: boolean;
  /** A baseline beyond `limit` is no reason not to start: nobody has set this limit, it is a default of ours. */
  onlyWarns?: boolean | undefined;
  /** Samples of a window that may be beyond the limits. Undefined: a quarter of them. */
  failureLimit?: number | undefined;
  /** Samples within the limits that a window must end with. */
  consecutiveSuccesses: number;
  /** Of ratio and histogram: fewer requests than this in a window say nothing (inconclusive). */
  minimumRequests: number;
  /** What the absence of an answer about a workload means: `none` = nothing is known, `zero` = nothing happened (of a counter that appears with its first event). */
  absent: "none" | "zero";
  /**
   * The only workload of which it speaks (`Deployment shop/web`); its own name where it speaks of none, and is judged in every window.
   * Undefined: it speaks of all that are watched.
   */
  about?: string | undefined;
}

/** What a reading is about. Sources that cannot tell pods apart speak of workloads; a probe speaks of what its metric is about. */
export type Subject =
  | { of: "pod"; namespace: string; name: string }
  | { of: "workload"; namespace: string; name: string }
  | { of: "all" };

/** Of ratio and histogram: counts of the asked interval alone, never running totals. */
export type Value =
  | { level: number }
  | { bad: number; total: number }
  /** Cumulative, as Prometheus has them: [upper bound in the metric's unit, count of all up to it], bounds rising, the last Infinity. */
  | { buckets: readonly (readonly [bound: number, count: number])[] }
  /** Of a probe: why it failed, in one line; undefined where it went well. */
  | { failed: string | undefined };

export interface Reading {
  subject: Subject;
  /** Milliseconds since the epoch of what was measured, by the source's clock: two readings with the same one are one sample. */
  at: number;
  value: Value;
}

/** A workload as a source is asked for it. */
export interface Watched {
  namespace: string;
  /** Of the object that people know: the Deployment, not its ReplicaSet. */
  kind: string;
  name: string;
  pods: readonly WatchedPod[];
}

export interface WatchedPod {
  name: string;
  uid: string;
  node: string;
  /** Of its node; undefined where the node belongs to no pool. */
  generation: "blue" | "green" | undefined;
  ip?: string | undefined;
  /** What its containers may use at most, all together, in cores and bytes; undefined where one of them has no limit. */
  limits: { cpu?: number | undefined; memory?: number | undefined };
}

/** One question to one source: one metric, one interval, all workloads. */
export interface Question {
  metric: Metric;
  workloads: readonly Watched[];
  /** The interval asked for, milliseconds since the epoch; already shifted by the source's lag. */
  from: number;
  to: number;
}

/** Where numbers come from. Stateless but for connections; never logs a credential. */
export interface Source {
  /** As in `Metric.source`; for messages. */
  readonly name: string;
  /** How far the source runs behind, seconds: both ends of every interval are shifted by it. */
  readonly lagSeconds: number;
  /** The shortest window and interval that it can answer for, seconds, and why (for the error about a shorter one). */
  readonly floor: { seconds: number; why: string };
  /** Longest that an answer may take, seconds. Undefined: what is usual. */
  readonly answerSeconds?: number;
  /**
   * Answers for all workloads at once, with a single request to its service. An empty answer is an answer; the caller decides what it means.
   * @throws SourceError in words: which source, what it said, what to do. Heeds the signal, which carries the deadline.
   */
  read(question: Question, signal: AbortSignal): Promise<Reading[]>;
}

/** A source did not answer, or not in a way that means anything. */
export class SourceError extends Error {
  override readonly name = "SourceError";
  /** It may answer the next time (network, overload), or will not until somebody acts (an expired key, a wrong query). */
  readonly passing: boolean;
  /** What a rate limit asked for. */
  readonly retryAfterSeconds: number | undefined;
  constructor(message: string, options: { passing: boolean; retryAfterSeconds?: number; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.passing = options.passing;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** What is known of one workload and metric in one interval, its pods put together. */
export interface Sample {
  /** End of the interval, milliseconds since the epoch. */
  at: number;
  /** In the metric's unit (of a ratio: bad / total). Undefined: no data. */
  value: number | undefined;
  /** Of ratio and histogram: how many events it rests on; of a ratio, how many were bad. */
  total?: number | undefined;
  bad?: number | undefined;
  /** Of a probe that failed: why. */
  why?: string | undefined;
}

/** What the judge is given for one workload and one metric. */
export interface Case {
  /** `Deployment shop/web`. */
  workload: string;
  metric: Metric;
  /** Before this drain, on blue where blue still serves; oldest first. */
  baseline: readonly Sample[];
  /** Before anything was closed, at the start of the whole run: a baseline cannot drift from it for ever. */
  first: readonly Sample[];
  /** After the drain: the pods on green; where the source cannot tell, the whole workload. */
  green: readonly Sample[];
  /** After the drain, at the same time: the pods that are still on blue. Empty where there are none, or the source cannot tell. */
  blue: readonly Sample[];
}

export type Outcome = "pass" | "fail" | "inconclusive" | "error";
