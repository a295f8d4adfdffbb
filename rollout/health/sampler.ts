import type { Clock } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { type Metric, type Reading, type Sample, type Source, SourceError, type Watched } from "./metric.ts";
import { type Interval, intervalsOf } from "./series.ts";

/** How a source has been doing. */
export interface SourceHealth {
  source: string;
  /** Failures in a row, up to now. */
  failures: number;
  /** The last failure, in its words. */
  why: string;
  /** It will not answer until somebody acts: an expired key, a wrong query. */
  lasting: boolean;
}

export interface SamplerOptions {
  clock: Clock;
  sources: readonly Source[];
  metrics: readonly Metric[];
  /** Seconds from one question to the next. */
  sampleSeconds: number;
  /** Seconds of samples that are kept. */
  keepSeconds: number;
  /** Whom to ask about, at this moment. */
  workloads: () => readonly Watched[];
  /** Told the first failure of a source, and its recovery. */
  onHealth: (health: SourceHealth) => void;
}

/** Longest that one answer is waited for, unless its source takes longer; at most until the next question is due. */
export const ANSWER_SECONDS = 10;

/**
 * Asks every source for every metric, once per interval and for all workloads together, from the start of a run to its end, and keeps
 * what they said for a while: a window's samples, and the baseline before the next drain, come from here. Never throws: a source that
 * does not answer is the verdict's matter.
 */
export class Sampler {
  private readonly options: SamplerOptions;
  private readonly series = new Map<string, Interval[]>();
  private readonly health = new Map<string, SourceHealth>();
  /** By metric and subject: when the last reading was measured; a second one of that moment is the same. */
  private readonly measuredAt = new Map<string, number>();
  private readonly listeners = new Set<() => void>();
  /** By source: not asked again before, milliseconds of the clock; it has asked for patience. */
  private readonly restUntil = new Map<string, number>();
  private readonly ended = new AbortController();
  private phase = new AbortController();
  private running: Promise<void> | undefined;
  /** Milliseconds of the clock at which the sampling began. */
  startedAt = Infinity;

  constructor(options: SamplerOptions) {
    this.options = options;
  }

  /** Seconds that the slowest source runs behind. */
  get lagSeconds(): number {
    return Math.max(0, ...this.options.sources.map(({ lagSeconds }) => lagSeconds));
  }

  get metrics(): readonly Metric[] {
    return this.options.metrics;
  }

  start(): void {
    if (this.options.metrics.length === 0 || this.running !== undefined) return;
    this.startedAt = this.options.clock.now();
    this.running = this.loop();
  }

  /** Ends the sampling; answers under way are given up. */
  async stop(): Promise<void> {
    this.ended.abort();
    this.phase.abort();
    await this.running;
  }

  /** Begins a new interval now: what is asked from here on says nothing about what was before. */
  align(): void {
    this.phase.abort();
  }

  /** After each round of answers. @returns unsubscribe */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Sources that failed the last time they were asked. */
  failing(): SourceHealth[] {
    return [...this.health.values()].filter(({ failures }) => failures > 0);
  }

  /** Workloads of which a metric was ever said anything. */
  workloadsWith(metric: Metric): Set<string> {
    const prefix = `${metric.name}\n`;
    return new Set(
      [...this.series].flatMap(([key, intervals]) =>
        key.startsWith(prefix) && intervals.some(({ all }) => all?.value !== undefined)
          ? [key.slice(prefix.length)]
          : [],
      ),
    );
  }

  /**
   * Samples of intervals that lie within this time, oldest first; one without a value where the source said nothing.
   * @param from milliseconds @param to milliseconds
   */
  samples(
    workload: string,
    metric: Metric,
    of: "all" | "green" | "blue",
    from: number,
    to: number,
  ): Sample[] {
    return (this.series.get(keyOf(metric, workload)) ?? [])
      .filter((it) => it.from >= from && it.to <= to)
      .map((it) => it[of] ?? { at: it.to, value: undefined });
  }

  /** The source speaks of this workload's pods, so that green and blue can be told apart. */
  isApart(workload: string, metric: Metric): boolean {
    return this.series.get(keyOf(metric, workload))?.some(({ apart }) => apart) ?? false;
  }

  private async loop(): Promise<void> {
    const { clock, sampleSeconds } = this.options;
    let began = clock.now();
    while (!this.ended.signal.aborted) {
      this.phase = new AbortController();
      const { signal } = this.phase;
      await clock.sleep(began + sampleSeconds * 1000 - clock.now(), signal);
      const now = clock.now();
      if (signal.aborted) {
        began = now;
        continue;
      }
      const from = began;
      began = now;
      await this.ask(from, now);
    }
  }

  /** One round: every metric once. Rounds never overlap; a slow source makes the next interval longer. */
  private async ask(from: number, to: number): Promise<void> {
    const { metrics, sources } = this.options;
    const workloads = this.options.workloads();
    if (workloads.length === 0) return;
    const failed = new Map<string, { why: string; lasting: boolean }>();
    const resting = new Set([...this.restUntil].flatMap(([name, until]) => (to < until ? [name] : [])));
    await Promise.all(
      metrics.map(async (metric) => {
        const source = sources.find(({ name }) => name === metric.source);
        if (source === undefined || resting.has(source.name)) return;
        const lag = source.lagSeconds * 1000;
        try {
          const readings = await this.read(source, metric, workloads, from - lag, to - lag);
          this.keep(metric, readings, workloads, from - lag, to - lag);
        } catch (error) {
          const lasting = error instanceof SourceError && !error.passing;
          failed.set(source.name, { why: messageOf(error), lasting });
          if (error instanceof SourceError && error.retryAfterSeconds !== undefined)
            this.restUntil.set(source.name, to + error.retryAfterSeconds * 1000);
        }
      }),
    );
    if (this.ended.signal.aborted) return;
    for (const { name } of sources) if (!resting.has(name)) this.note(name, failed.get(name));
    for (const listener of [...this.listeners]) listener();
  }

  private async read(
    source: Source,
    metric: Metric,
    workloads: readonly Watched[],
    from: number,
    to: number,
  ): Promise<Reading[]> {
    const { clock, sampleSeconds } = this.options;
    const late = new AbortController();
    const seconds = Math.min(source.answerSeconds ?? ANSWER_SECONDS, sampleSeconds);
    const answered = new AbortController();
    void clock.sleep(seconds * 1000, answered.signal).then(() => {
      late.abort(new Error(`source ${source.name} did not answer within ${seconds} s about ${metric.name}`));
    });
    const signal = AbortSignal.any([late.signal, this.ended.signal]);
    const given = new Promise<never>((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
    try {
      return await Promise.race([source.read({ metric, workloads, from, to }, signal), given]);
    } finally {
      answered.abort();
    }
  }

  private keep(
    metric: Metric,
    readings: readonly Reading[],
    workloads: readonly Watched[],
    from: number,
    to: number,
  ): void {
    const fresh = readings.filter(({ subject, at }) => {
      const key = `${metric.name}\n${JSON.stringify(subject)}`;
      if (this.measuredAt.get(key) === at) return false;
      this.measuredAt.set(key, at);
      return true;
    });
    if (fresh.length === 0 && readings.length > 0) return; // nothing new was measured: no sample, and no gap either
    const oldest = this.options.clock.now() - this.options.keepSeconds * 1000;
    for (const [workload, interval] of intervalsOf(metric, fresh, workloads, [from, to])) {
      const key = keyOf(metric, workload);
      const kept = (this.series.get(key) ?? []).filter((it) => it.from >= oldest);
      this.series.set(key, [...kept, interval]);
    }
  }

  private note(source: string, failure: { why: string; lasting: boolean } | undefined): void {
    const before = this.health.get(source)?.failures ?? 0;
    const health = {
      source,
      failures: failure === undefined ? 0 : before + 1,
      why: failure?.why ?? "",
      lasting: failure?.lasting ?? false,
    };
    this.health.set(source, health);
    if ((before === 0) !== (health.failures === 0)) this.options.onHealth(health);
  }
}

const keyOf = (metric: Metric, workload: string): string => `${metric.name}\n${workload}`;
