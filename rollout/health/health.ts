import { Hold } from "../errors.ts";
import { count } from "../finding.ts";
import { mayAct, type Run } from "../run.ts";
import { until } from "../wait.ts";
import type { Workload } from "../whole.ts";
import { type Baseline, firstOf, loadBaseline, saveBaseline } from "./baseline.ts";
import type { Measured } from "./measured.ts";
import { failureLimitOf } from "./judge/rule.ts";
import type { Metric, Sample } from "./metric.ts";
import { Sampler } from "./sampler.ts";
import { meanOf } from "./series.ts";
import { isSpoilt, watchedOf, workloadsOn, workloadsOnBlue } from "./scope.ts";
import { healthWindow, sampleSecondsOf, type Scope } from "./window.ts";
import { type Judge, shown } from "./verdict.ts";

/** How much of the past is kept: the window before a drain, the drain itself, and the window after it at its longest. */
const KEEP_WINDOWS = 4;

/** A probe that failed so many times in a row, at the end of the baseline, is ill. */
const ILL_AT_LAST = 3;

/**
 * The watch over a handover's workloads, from before anything is closed to its end: the baseline, and a window after each drain. Metrics
 * are sampled all the time, so that the window before a drain costs no time of its own.
 */
export class Health {
  private readonly run: Run;
  private readonly sampler: Sampler;
  private readonly judge: Judge;
  private workloads: Workload[];
  private baseline: Baseline | undefined;

  constructor(run: Run, { sources, metrics }: Measured, judge: Judge) {
    const { clock, log, config } = run;
    const { windowSeconds, extensionSeconds } = config.health;
    const on = windowSeconds > 0;
    this.run = run;
    this.judge = judge;
    this.workloads = workloadsOnBlue(run);
    this.sampler = new Sampler({
      clock,
      sources: on ? sources : [],
      metrics: on ? metrics : [],
      sampleSeconds: sampleSecondsOf(config.health),
      keepSeconds: KEEP_WINDOWS * (windowSeconds + extensionSeconds),
      workloads: () => watchedOf(run, this.workloads),
      onHealth: ({ source, failures, why }) => {
        if (failures > 0) log.warning("sources", `source ${source} does not answer: ${why}`, { source });
        else log.info("sources", `source ${source} answers again`, { source });
      },
    });
  }

  /** Begins to sample: as early as possible, so that the baseline is there when green is. */
  start(): void {
    this.sampler.start();
  }

  async stop(): Promise<void> {
    await this.sampler.stop();
  }

  /**
   * The metric baseline, of at least one window, before anything is closed. A run that goes on keeps the one that it began with.
   * @throws Hold when a source is offline, when a metric says nothing of any workload, or when one is beyond its limit already
   */
  async takeBaseline(): Promise<void> {
    const { run, sampler } = this;
    const { metrics } = sampler;
    if (metrics.length === 0) return;
    const { target, cluster, config, clock } = run;
    this.baseline = resumed(run) ? await loadBaseline(cluster, target.pool, target.generation) : undefined;
    if (this.workloads.length === 0) return; // nobody is asked about nothing: what arrives later is judged without a baseline
    const { windowSeconds } = config.health;
    const sampleSeconds = sampleSecondsOf(config.health);
    const needed = this.baseline === undefined ? windowSeconds : sampleSeconds;
    const until = sampler.startedAt + (needed + sampler.lagSeconds + sampleSeconds) * 1000;
    if (until > clock.now()) {
      run.log.info(
        "sources",
        `recording the baseline of ${count(metrics.length, "metric")} over ${needed} s: ${Math.ceil((until - clock.now()) / 1000)} s to go`,
      );
    }
    await this.sampledUntil(until);
    const [failing] = sampler.failing();
    if (failing !== undefined) {
      throw new Hold(
        `source ${failing.source} does not answer (${failing.why}), and without it no health window could be judged. Blue was not touched. ` +
          `To go on: bring ${failing.source} back, then run \`pulumi up\` again.`,
      );
    }
    for (const metric of metrics) {
      if (sampler.workloadsWith(metric).size > 0) continue;
      throw new Hold(
        `metric ${metric.name}: source ${metric.source} returned nothing about any of the ${count(this.workloads.length, "workload")} that would move. Blue was not touched. ` +
          `To go on: mend its query, or take it out of rollout.health, then run \`pulumi up\` again.`,
      );
    }
    if (this.baseline !== undefined) return;
    const from = sampler.startedAt;
    const samples: Baseline["samples"] = {};
    for (const metric of metrics) {
      for (const workload of sampler.workloadsWith(metric))
        (samples[workload] ??= {})[metric.name] = sampler.samples(workload, metric, "all", from, clock.now());
    }
    const spoilt = await this.withoutFailed(samples);
    const baseline = { generation: target.generation, windowSeconds, samples };
    this.refuseIfBreached(baseline, metrics, spoilt);
    mayAct(run);
    await saveBaseline(cluster, target.pool, baseline);
    this.baseline = baseline;
    if (spoilt.size > 0)
      run.log.warning(
        "sources",
        `${count(spoilt.size, "workload")} with pods on an image to which a handover failed: their baseline is from before that (${[...spoilt].slice(0, 3).join(", ")})`,
      );
    run.log.info(
      "sources",
      `the baseline is recorded: ${count(metrics.length, "metric")} of ${count(Object.keys(samples).length, "workload")}`,
      { metrics: metrics.map(({ name }) => name) },
    );
  }

  /**
   * Pods that a failed handover has left on its image may be what is ill: of their workloads its own baseline counts, from before it began.
   * @param samples is changed @returns those workloads: what they measure now is no reason not to move them away
   */
  private async withoutFailed(samples: Baseline["samples"]): Promise<Set<string>> {
    const { cluster, target, state } = this.run;
    const { failed = [] } = state.record;
    const spoilt = failed.length === 0 ? new Set<string>() : workloadsOn(this.run, failed);
    if (spoilt.size === 0) return spoilt;
    const before = await loadBaseline(cluster, target.pool, ...failed);
    const own = this.sampler.metrics.flatMap((metric) => (isSpoilt(metric, spoilt) ? metric.name : []));
    for (const workload of [...spoilt, ...own]) {
      const earlier = before?.samples[workload];
      if (earlier !== undefined) samples[workload] = { ...samples[workload], ...earlier };
    }
    return spoilt;
  }

  private async sampledUntil(end: number): Promise<void> {
    const { run, sampler } = this;
    const { errorLimit } = run.config.health;
    const sampleSeconds = sampleSecondsOf(run.config.health);
    const patience = (errorLimit + 2) * sampleSeconds;
    const secondsLeft = Math.max(0, end - run.clock.now()) / 1000;
    await until(
      {
        clock: run.clock,
        signal: run.signal,
        wakes: sampler,
        timeoutSeconds: secondsLeft + patience,
        late: () => new Hold("the metric baseline could not be taken in time"),
      },
      () => {
        const failing = sampler.failing();
        if (failing.some(({ failures, lasting }) => lasting || failures > errorLimit)) return true;
        return run.clock.now() >= end && failing.length === 0 ? true : undefined;
      },
    ).catch((error: unknown) => {
      if (sampler.failing().length === 0) throw error; // else the caller names the source
    });
  }

  /** @throws Hold: a window could only fail, and a roll-back would not mend it */
  private refuseIfBreached(
    baseline: Baseline,
    metrics: readonly Metric[],
    spoilt: ReadonlySet<string>,
  ): void {
    for (const metric of metrics) {
      const { limit, worse } = metric;
      if (isSpoilt(metric, spoilt)) continue;
      if (metric.measure === "probe") this.refuseIfIll(metric, firstOf(baseline, metric.about ?? "", metric));
      if (metric.measure === "probe") continue;
      if (limit === undefined || metric.onlyWarns === true) continue;
      for (const workload of Object.keys(baseline.samples)) {
        const value = meanOf(firstOf(baseline, workload, metric));
        if (spoilt.has(workload)) continue;
        if (value === undefined || (worse === "higher" ? value <= limit : value >= limit)) continue;
        throw new Hold(
          `${workload}: ${metric.name} is ${shown(metric, value)} before anything was moved, beyond its limit of ${shown(metric, limit)}. Blue was not touched. ` +
            `To go on: mend the workload, or raise the metric's limit in rollout.health, then run \`pulumi up\` again.`,
        );
      }
    }
  }

  /** @throws Hold: the same that would be a breach in a window, or no better at the end */
  private refuseIfIll(metric: Metric, samples: readonly Sample[]): void {
    const failed = samples.filter(({ value }) => value === 1);
    const end = samples.slice(-ILL_AT_LAST);
    if (failed.length <= failureLimitOf(metric, samples.length) && end.some(({ value }) => value === 0))
      return;
    throw new Hold(
      `${metric.name} failed ${failed.length} of ${samples.length} times before anything was moved (at last: ${failed.at(-1)?.why ?? "no reason given"}). Blue was not touched. ` +
        `To go on: mend what it asks, or the probe in rollout.health.probes, then run \`pulumi up\` again.`,
    );
  }

  /** @param run whose signal ends the window @throws see window.ts */
  async window(run: Run, scope: Scope, workloads: readonly Workload[]): Promise<void> {
    this.watch(workloads);
    const { sampler, baseline, judge } = this;
    await healthWindow(run, scope, workloads, { sampler, baseline, judge });
  }

  /** Also of workloads that were not there at the start: an update made a new ReplicaSet, say. */
  private watch(workloads: readonly Workload[]): void {
    const known = new Set(this.workloads.map(({ uid }) => uid));
    this.workloads.push(...workloads.filter(({ uid }) => !known.has(uid)));
  }
}

const resumed = ({ state }: Run): boolean => Object.keys(state.record.nodes).length > 0;
