import type { Metric, Sample } from "../../../rollout/health/metric.ts";
import { autoregression, normals, poisson, uniforms } from "./noise.ts";

/** The services that are watched: 20 workloads with 4 metrics each, with the noise that issue 6 fixes. */

export const WORKLOADS = 20;
export const SAMPLE_SECONDS = 15;
/** Samples of a window of 300 s. */
export const PLANNED = 20;

const VARIATION = 0.2;
const AUTOCORRELATION = 0.6;
const SWING = 0.3;
const REQUESTS_A_SECOND = 50;
const ERROR_RATE = 0.001;

const COMMON = {
  source: "simulated",
  worse: "higher",
  critical: false,
  consecutiveSuccesses: 3,
  minimumRequests: 100,
  absent: "none",
} as const;

/** As configured by default: cpu and memory; errors and p99 as the presets have them, without an absolute limit for p99. */
export const METRICS: readonly Metric[] = [
  { ...COMMON, name: "cpu", measure: "level", unit: "cores", timesBaseline: 2 },
  { ...COMMON, name: "memory", measure: "level", unit: "bytes", timesBaseline: 2 },
  { ...COMMON, name: "errors", measure: "ratio", unit: "%", limit: 0.01, timesBaseline: 2, absent: "zero" },
  { ...COMMON, name: "p99", measure: "histogram", unit: "s", quantile: 0.99, timesBaseline: 2 },
];

const USUAL: Record<string, number> = { cpu: 0.5, memory: 3e8, p99: 0.2 };

/** A regression of one metric: its value, so many times its limit. */
export interface Sickness {
  workload: number;
  metric: string;
  timesLimit: number;
}

export interface Traffic {
  /** Requests a second of each workload. */
  requests: number;
}

/** One run's services: each sample continues where the last one ended. */
export class Services {
  private readonly uniform: () => number;
  private readonly normal: () => number;
  private readonly phase: number;
  private readonly requests: number;
  private readonly noise: (() => number)[] = [];
  private readonly load: (() => number)[] = [];
  private seconds = 0;

  constructor(seed: number, { requests = REQUESTS_A_SECOND }: Partial<Traffic> = {}) {
    this.uniform = uniforms(seed);
    this.normal = normals(this.uniform);
    this.phase = this.uniform() * 2 * Math.PI;
    this.requests = requests;
    for (let at = 0; at < WORKLOADS; at++) {
      this.load.push(autoregression(VARIATION, AUTOCORRELATION, this.normal));
      for (const _metric of METRICS) this.noise.push(autoregression(VARIATION, AUTOCORRELATION, this.normal));
    }
  }

  /** Time passes without a sample: the day goes on, the noise is another. */
  skip(seconds: number): void {
    this.seconds += seconds;
  }

  /** The next sample of every workload and metric, in the order of workloads and then METRICS. */
  next(sick?: Sickness): Sample[] {
    this.seconds += SAMPLE_SECONDS;
    const at = this.seconds * 1000;
    const day = 1 + SWING * Math.sin((2 * Math.PI * this.seconds) / 86_400 + this.phase);
    const samples: Sample[] = [];
    for (let workload = 0; workload < WORKLOADS; workload++) {
      const mean = this.requests * SAMPLE_SECONDS * day * (this.load[workload]?.() ?? 1);
      const total = poisson(mean, this.uniform, this.normal);
      for (const [index, metric] of METRICS.entries()) {
        const noise = this.noise[workload * METRICS.length + index]?.() ?? 1;
        const times =
          sick?.workload === workload && sick.metric === metric.name ? sick.timesLimit : undefined;
        if (metric.measure === "ratio") {
          const rate = times === undefined ? ERROR_RATE : times * (metric.limit ?? 1);
          const bad = Math.min(total, poisson(total * rate * noise, this.uniform, this.normal));
          samples.push({ at, value: total > 0 ? bad / total : undefined, bad, total });
          continue;
        }
        const factor = times === undefined ? 1 : times * (metric.timesBaseline ?? 1);
        const value = (USUAL[metric.name] ?? 1) * day * noise * factor;
        if (metric.measure === "level") samples.push({ at, value });
        else samples.push({ at, value: total > 0 ? value : undefined, total });
      }
    }
    return samples;
  }
}
