import { judge } from "../../../rollout/health/judge.ts";
import type { Case, Metric, Sample } from "../../../rollout/health/metric.ts";
import { METRICS, PLANNED, Services, type Sickness, type Traffic, WORKLOADS } from "./services.ts";

/** Simulated handovers: what the product does between the first baseline and the last window, without a cluster. */

/** Nodes of a handover, each with a window of its own. */
export const NODES = 100;
/** A drain, between the samples before it and those after it. Seconds. */
const DRAIN_SECONDS = 60;
/** Samples by which a window that decides nothing is lengthened. */
const EXTENSION = 20;

export interface Window {
  outcome: "pass" | "fail" | "inconclusive";
  /** Samples until the verdict. */
  looks: number;
  /** The metrics that failed, of the workloads that did. */
  failed: string[];
}

export interface Options {
  seed: number;
  /** Windows of this handover. */
  windows: number;
  sick?: Sickness | undefined;
  traffic?: Partial<Traffic> | undefined;
  /** Instead of the limits by default. */
  timesBaseline?: number | undefined;
}

/** One handover, every window of it, whatever the verdict of those before. */
export function* handover({ seed, windows, sick, traffic, timesBaseline }: Options): Generator<Window> {
  const metrics = METRICS.map((metric): Metric =>
    timesBaseline === undefined ? metric : { ...metric, timesBaseline },
  );
  const services = new Services(seed, traffic);
  const first = collect(services);
  for (let node = 0; node < windows; node++) {
    const baseline = node === 0 ? first : collect(services);
    services.skip(DRAIN_SECONDS);
    yield window(services, metrics, first, baseline, sick);
  }
}

/** As the health window does it: a look after each sample, the end at the first breach, or after the window, or its extension. */
function window(
  services: Services,
  metrics: readonly Metric[],
  first: readonly Sample[][],
  baseline: readonly Sample[][],
  sick: Sickness | undefined,
): Window {
  const green: Sample[][] = first.map(() => []);
  const cases = green.map((samples, at): Case => {
    const metric = metrics[at % metrics.length];
    if (metric === undefined) throw new Error("there is no metric");
    const workload = `Deployment shop/${Math.floor(at / metrics.length)}`;
    return {
      workload,
      metric,
      first: first[at] ?? [],
      baseline: baseline[at] ?? [],
      green: samples,
      blue: [],
    };
  });
  for (let looks = 1; ; looks++) {
    for (const [at, sample] of services.next(sick).entries()) green[at]?.push(sample);
    const last = looks === PLANNED + EXTENSION;
    const { outcome, judgements } = judge(cases, { planned: PLANNED, last });
    const failed = judgements.filter((it) => it.outcome === "fail").map(({ metric }) => metric);
    if (outcome === "fail") return { outcome, looks, failed };
    if (looks >= PLANNED && outcome !== "open") return { outcome, looks, failed };
  }
}

/** A window's samples of every workload and metric. */
function collect(services: Services): Sample[][] {
  const all: Sample[][] = Array.from({ length: WORKLOADS * METRICS.length }, () => []);
  for (let n = 0; n < PLANNED; n++)
    for (const [at, sample] of services.next().entries()) all[at]?.push(sample);
  return all;
}
