import type {
  Metric,
  Question,
  Reading,
  Source,
  Value,
  Watched,
  WatchedPod,
} from "../../rollout/health/metric.ts";

/** What a pod measures in an interval; undefined: nothing is said of it. */
export type Measure = (pod: WatchedPod, workload: Watched, question: Question) => Value | undefined;

/** A source that answers at once, by a function; remembers what it was asked. */
export class SimulatedSource implements Source {
  readonly name: string;
  readonly lagSeconds: number;
  readonly floor = { seconds: 1, why: "it is simulated" };
  readonly questions: Question[] = [];
  /** Thrown in place of an answer. */
  failure: Error | undefined;
  measure: Measure;

  constructor(measure: Measure, { name = "simulated", lagSeconds = 0 } = {}) {
    this.measure = measure;
    this.name = name;
    this.lagSeconds = lagSeconds;
  }

  read(question: Question): Promise<Reading[]> {
    this.questions.push(question);
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return Promise.resolve(
      question.workloads.flatMap((workload) =>
        workload.pods.flatMap((pod): Reading[] => {
          const value = this.measure(pod, workload, question);
          const subject = { of: "pod" as const, namespace: workload.namespace, name: pod.name };
          return value === undefined ? [] : [{ subject, at: question.to, value }];
        }),
      ),
    );
  }
}

/** Errors among requests: one in a hundred at most, and twice the baseline. */
export const errors = (more: Partial<Metric> = {}): Metric => ({
  name: "errors",
  source: "simulated",
  measure: "ratio",
  unit: "%",
  worse: "higher",
  limit: 0.01,
  timesBaseline: 2,
  critical: false,
  consecutiveSuccesses: 3,
  minimumRequests: 100,
  absent: "none",
  ...more,
});

/** So many requests a second, of which a share is bad. */
export const traffic = (perSecond: number, share: number, { from, to }: Question): Value => {
  const total = Math.round((perSecond * (to - from)) / 1000);
  return { bad: Math.round(total * share), total };
};
