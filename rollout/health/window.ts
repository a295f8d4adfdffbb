import { announce } from "../alert.ts";
import type { RolloutConfig } from "../config/index.ts";
import { Breach, Hold } from "../errors.ts";
import { count } from "../finding.ts";
import { EVENT, runStateName, STATE_NAMESPACE } from "../names.ts";
import type { Run } from "../run.ts";
import { until, type Wakes } from "../wait.ts";
import type { Workload } from "../whole.ts";
import { type Baseline, firstOf } from "./baseline.ts";
import type { Case, Metric, Sample } from "./metric.ts";
import type { Sampler } from "./sampler.ts";
import { labelOf, topOf } from "./scope.ts";
import { Signs } from "./signs.ts";
import type { Judge, Judgement, Verdict } from "./verdict.ts";

/** What a health window follows. */
export interface Scope {
  /** In words: `node ip-10-0-0-4`, `the canary`. */
  after: string;
  nodes: readonly string[];
  /** When the drain that it follows began, milliseconds of the clock: the baseline is what was before. Undefined: in an earlier run. */
  since: number | undefined;
}

/** What a window judges by, besides the cluster itself. */
export interface Measures {
  sampler: Sampler;
  baseline: Baseline | undefined;
  judge: Judge;
}

/** How often the cluster is looked at without a change, seconds: deadlines pass by themselves. */
const LOOK_SECONDS = 1;

/** A verdict comes with the last answers; those may take this long. Seconds. */
const ANSWERS_SECONDS = 12;

/**
 * The health window after a node's drain, or a wave's (design section 4, step 6): what the cluster itself says about the moved
 * workloads (signs.ts), and what the metrics say, against the baseline. Ends with the first breach; without one after `windowSeconds`,
 * longer while the samples decide nothing.
 * @throws Breach naming workload, metric or pod, and what happened; Hold when nothing could be decided.
 */
export async function healthWindow(
  run: Run,
  scope: Scope,
  workloads: readonly Workload[],
  measures: Measures,
): Promise<void> {
  const { health } = run.config;
  const { sampler } = measures;
  if (health.windowSeconds === 0 || workloads.length === 0) return;
  const signs = new Signs(run.inventory, workloads);
  const labels = [...new Set(workloads.map((workload) => labelOf(topOf(run, workload))))];
  const began = run.clock.now();
  sampler.align();
  const measured = labels.filter((label) =>
    sampler.metrics.some((metric) => isMeasured(label, metric, measures)),
  );
  const own = sampler.metrics.filter(({ name, about }) => about === name).length;
  const known =
    sampler.metrics.length === own || measured.length === labels.length
      ? ""
      : `, ${measured.length === 0 ? "none" : measured.length} of which any metric knows`;
  const beside = own === 0 ? "" : `, and ${count(own, "probe")}`;
  run.log.info(
    "health",
    `health window of ${health.windowSeconds} s after ${scope.after}, over ${count(labels.length, "workload")}${known}${beside}`,
    { nodes: scope.nodes, windowSeconds: health.windowSeconds, workloads: labels },
  );
  const lag = sampler.lagSeconds;
  const planned = Math.max(1, Math.floor(health.windowSeconds / sampleSecondsOf(health)));
  const ends = (extra: number): number => began + (health.windowSeconds + lag + extra) * 1000;
  let extended = false;
  const verdict = await until(
    {
      clock: run.clock,
      signal: run.signal,
      wakes: both(run.inventory, sampler),
      timeoutSeconds: health.windowSeconds + health.extensionSeconds + lag + ANSWERS_SECONDS + 60,
      lookEverySeconds: LOOK_SECONDS,
      late: () => new Hold(`the health window after ${scope.after} did not end in time`),
    },
    () => {
      const now = run.clock.now();
      const bad = signs.breaches(now);
      if (bad.length > 0) throw breach(run, scope, "breached", bad, []);
      const failing = sampler
        .failing()
        .find(({ failures, lasting }) => lasting || failures > health.errorLimit);
      if (failing !== undefined) throw sourceError(run, scope, failing);
      if (sampler.metrics.length === 0) return now >= ends(0) ? NOTHING_MEASURED : undefined;
      const last = now >= ends(health.extensionSeconds);
      const look = measures.judge(casesOf(run, scope, labels, measures, began), { planned, last });
      if (look.outcome === "fail" || last) return look;
      if (now < ends(0)) return undefined;
      if (look.outcome === "pass") return look;
      if (!extended) {
        extended = true;
        const why = look.judgements.find(({ outcome }) => outcome !== "pass")?.reason ?? "too few samples";
        run.log.info(
          "health",
          `health window after ${scope.after} is lengthened by up to ${health.extensionSeconds} s: ${why}`,
          {
            nodes: scope.nodes,
          },
        );
      }
      return undefined;
    },
  );
  await conclude(run, scope, verdict);
}

const NOTHING_MEASURED: Verdict = { outcome: "pass", judgements: [] };

async function conclude(run: Run, scope: Scope, { outcome, judgements }: Verdict): Promise<void> {
  const { onInconclusive } = run.config.health;
  const of = (which: Judgement["outcome"]): string[] =>
    judgements.filter((it) => it.outcome === which).map(({ reason }) => reason);
  if (outcome === "pass") {
    run.log.info("health", `health window after ${scope.after} passed`, {
      nodes: scope.nodes,
      verdict: "passed",
      judgements,
    });
    return;
  }
  if (outcome === "fail") throw breach(run, scope, "breached", of("fail"), judgements);
  const open = some([...of("inconclusive"), ...of("open")]);
  run.log.warning("health", `health window after ${scope.after} decided nothing: ${open}`, {
    nodes: scope.nodes,
    verdict: "inconclusive",
    judgements,
  });
  if (onInconclusive === "rollback")
    throw new Breach(`health window after ${scope.after} decided nothing: ${open}`);
  if (onInconclusive === "hold") {
    throw new Hold(
      `health window after ${scope.after} decided nothing: ${open}. ` +
        `To go on: see whether these metrics still have data and traffic, then run \`pulumi up\` again; or set rollout.health.onInconclusive: continue.`,
    );
  }
  await announce(run, {
    event: "health",
    reason: EVENT.inconclusive,
    object: { kind: "ConfigMap", namespace: STATE_NAMESPACE, name: runStateName(run.target.pool) },
    message: `health window after ${scope.after} decided nothing: ${open}; the handover of pool ${run.target.pool} goes on (rollout.health.onInconclusive: continue).`,
    warning: true,
  });
}

function breach(
  run: Run,
  scope: Scope,
  what: string,
  reasons: readonly string[],
  judgements: Judgement[],
): Breach {
  const message = `health window after ${scope.after} was ${what}: ${some(reasons)}`;
  run.log.warning("health", message, { nodes: scope.nodes, verdict: "failed", judgements });
  return new Breach(message);
}

function sourceError(
  run: Run,
  scope: Scope,
  { source, failures, why }: { source: string; failures: number; why: string },
): Hold {
  run.log.warning("health", `source ${source} failed ${failures} times in a row: ${why}`, {
    nodes: scope.nodes,
    verdict: "error",
  });
  return new Hold(
    `source ${source} failed ${failures} times in a row (${why}) in the health window after ${scope.after}: nobody knows how the workloads are. ` +
      `To go on: bring ${source} back, then run \`pulumi up\` again.`,
  );
}

const some = (reasons: readonly string[]): string =>
  `${reasons.slice(0, 3).join("; ")}${reasons.length > 3 ? ` and ${reasons.length - 3} more` : ""}`;

/** A window has one sample at least. */
export const sampleSecondsOf = ({ sampleSeconds, windowSeconds }: RolloutConfig["health"]): number =>
  Math.min(sampleSeconds, windowSeconds);

/** Of every workload and metric about which something was known before. */
function casesOf(
  run: Run,
  { since }: Scope,
  labels: readonly string[],
  { sampler, baseline }: Measures,
  began: number,
): Case[] {
  const { windowSeconds } = run.config.health;
  const sampleSeconds = sampleSecondsOf(run.config.health);
  const now = run.clock.now();
  return sampler.metrics.flatMap((metric) =>
    subjectsOf(metric, labels).flatMap((workload): Case[] => {
      if (!isMeasured(workload, metric, { sampler, baseline })) return [];
      const first = firstOf(baseline, workload, metric);
      const from = began + warmUpOf(run.config, workload) * 1000;
      const apart = sampler.isApart(workload, metric);
      return [
        {
          workload,
          metric,
          first,
          baseline: freshOf(sampler, workload, metric, since, windowSeconds, sampleSeconds) ?? first,
          green: sampler.samples(workload, metric, apart ? "green" : "all", from, now),
          blue: apart ? sampler.samples(workload, metric, "blue", from, now) : [],
        },
      ];
    }),
  );
}

/** Whom of these a metric is asked about: all, the one that it is about, or itself. */
const subjectsOf = ({ name, about }: Metric, labels: readonly string[]): readonly string[] =>
  about === undefined ? labels : about === name || labels.includes(about) ? [about] : [];

/** A metric that never said anything about a workload is not its metric; one that is about something always is. */
function isMeasured(
  workload: string,
  metric: Metric,
  { sampler, baseline }: Pick<Measures, "sampler" | "baseline">,
): boolean {
  if (metric.about !== undefined) return metric.about === workload;
  return baseline === undefined
    ? sampler.workloadsWith(metric).has(workload)
    : firstOf(baseline, workload, metric).some(hasValue);
}

const hasValue = ({ value }: Sample): boolean => value !== undefined;

/** The window before the drain, of the pods on blue where there are any; undefined where too little was measured. */
function freshOf(
  sampler: Sampler,
  workload: string,
  metric: Case["metric"],
  since: number | undefined,
  windowSeconds: number,
  sampleSeconds: number,
): Sample[] | undefined {
  if (since === undefined) return undefined;
  const enough = windowSeconds / sampleSeconds / 2;
  for (const part of ["blue", "all"] as const) {
    const samples = sampler
      .samples(workload, metric, part, since - windowSeconds * 1000, since)
      .filter(hasValue);
    if (samples.length >= enough) return samples;
  }
  return undefined;
}

/** Seconds after the drain that say nothing about this workload yet: its caches are cold. */
function warmUpOf({ health }: RolloutConfig, workload: string): number {
  const [kind, name] = workload.split(" ");
  return (
    health.warmUps.find((it) => `${it.namespace}/${it.name}` === name && (it.kind ?? kind) === kind)
      ?.seconds ?? 0
  );
}

/** Wakes for a change of either. */
const both = (...all: Wakes[]): Wakes => ({
  onChange(listener) {
    const unsubscribe = all.map((one) => one.onChange(listener));
    return () => {
      for (const end of unsubscribe) end();
    };
  },
});
