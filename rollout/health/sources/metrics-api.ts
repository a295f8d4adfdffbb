import { z } from "zod";
import { ApiError, type Cluster } from "../../cluster/cluster.ts";
import { METRICS_API_FLOOR_SECONDS } from "../../config/health.ts";
import type { RolloutConfig } from "../../config/index.ts";
import { messageOf } from "../../errors.ts";
import { parseQuantity, thousandths } from "../../fit/quantities.ts";
import type { RunLog } from "../../log.ts";
import type { Measured } from "../measured.ts";
import {
  type Metric,
  type Question,
  type Reading,
  type Source,
  SourceError,
  type WatchedPod,
} from "../metric.ts";

export const METRICS_API = "metrics-api";
const PATH = "/apis/metrics.k8s.io/v1beta1";

/** Below this a pod without a limit is idle, and twice of nearly nothing says nothing: cores, bytes. */
const IDLE = { cpu: 0.1, memory: 100 * 2 ** 20 };

type Resource = "cpu" | "memory";

/**
 * CPU and memory of the pods. Pods with a limit of their own are judged by their share of it, others by what they use: two metrics of
 * each, since the units differ.
 * @throws Error where it is required and not served
 */
export async function metricsApiSources(
  health: RolloutConfig["health"],
  cluster: Pick<Cluster, "read">,
  log: RunLog,
): Promise<Measured> {
  const none = { sources: [], metrics: [] };
  const { metricsApi, windowSeconds } = health;
  if (metricsApi === "off") return none;
  if (metricsApi === "auto" && windowSeconds < METRICS_API_FLOOR_SECONDS) {
    log.info(
      "sources",
      `CPU and memory are not judged: the Metrics API needs windows of ${METRICS_API_FLOOR_SECONDS} s or more, and rollout.health.windowSeconds is ${windowSeconds}`,
    );
    return none;
  }
  if (metricsApi === "auto" && !(await isServed(cluster))) {
    log.info(
      "sources",
      "CPU and memory are not judged: this cluster serves no metrics.k8s.io (metrics-server)",
    );
    return none;
  }
  return {
    sources: [new MetricsApi(cluster)],
    metrics: (["cpu", "memory"] as const).flatMap((resource) => metricsOf(resource, health[resource])),
  };
}

/** Is the Metrics API there at all? One that is there and broken counts as there: its errors are told. */
export async function isServed(cluster: Pick<Cluster, "read">): Promise<boolean> {
  try {
    await cluster.read(PATH);
    return true;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 403)) return false;
    if (error instanceof ApiError && error.status === 503) return true;
    throw error;
  }
}

function metricsOf(resource: Resource, config: RolloutConfig["health"][Resource]): Metric[] {
  const common = {
    source: METRICS_API,
    measure: "level" as const,
    across: "mean" as const,
    worse: "higher" as const,
    timesBaseline: config.timesBaseline,
    critical: config.critical,
    onlyWarns: true,
    consecutiveSuccesses: 1,
    minimumRequests: 0,
    absent: "none" as const,
  };
  return [
    { name: resource, unit: "%", limit: config.limit, ...common },
    {
      name: `${resource} without a limit`,
      unit: resource === "cpu" ? "cores" : "bytes",
      ...common,
      limit: IDLE[resource],
      critical: false,
    },
  ];
}

/** https://github.com/kubernetes/metrics/blob/master/pkg/apis/metrics/v1beta1/types.go */
const answerSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), namespace: z.string() }),
      timestamp: z.string(),
      containers: z.array(z.object({ usage: z.object({ cpu: z.string(), memory: z.string() }) })),
    }),
  ),
});

type PodMetrics = z.output<typeof answerSchema>["items"];

class MetricsApi implements Source {
  readonly name = METRICS_API;
  readonly lagSeconds = 0;
  readonly floor = {
    seconds: METRICS_API_FLOOR_SECONDS,
    why: "metrics-server and the kubelets measure every 15 s, one after the other",
  };
  private readonly cluster: Pick<Cluster, "read">;
  /** The last answer: CPU and memory come in one. */
  private last: { to: number; path: string; items: Promise<PodMetrics> } | undefined;

  constructor(cluster: Pick<Cluster, "read">) {
    this.cluster = cluster;
  }

  async read({ metric, workloads, to }: Question): Promise<Reading[]> {
    const resource: Resource = metric.name.startsWith("cpu") ? "cpu" : "memory";
    const shares = metric.unit === "%";
    const namespaces = new Set(workloads.map(({ namespace }) => namespace));
    const [only] = namespaces;
    const path = namespaces.size === 1 ? `${PATH}/namespaces/${only}/pods` : `${PATH}/pods`;
    if (this.last?.to !== to || this.last.path !== path) this.last = { to, path, items: this.ask(path) };
    const pods = new Map<string, WatchedPod>(
      workloads.flatMap(({ namespace, pods: own }) =>
        own.map((pod) => [`${namespace}/${pod.name}`, pod] as const),
      ),
    );
    const readings: Reading[] = [];
    for (const { metadata, timestamp, containers } of await this.last.items) {
      const pod = pods.get(`${metadata.namespace}/${metadata.name}`);
      const limit = pod?.limits[resource];
      if (pod === undefined || (limit === undefined) === shares) continue;
      const used = containers.reduce((sum, { usage }) => sum + amount(usage[resource]), 0);
      readings.push({
        subject: { of: "pod", namespace: metadata.namespace, name: metadata.name },
        at: Date.parse(timestamp),
        value: { level: limit === undefined ? used : used / limit },
      });
    }
    return readings;
  }

  private async ask(path: string): Promise<PodMetrics> {
    let answer: unknown;
    try {
      answer = await this.cluster.read(path);
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 0;
      const forbidden = status === 403;
      throw new SourceError(
        `the Metrics API: ${messageOf(error)}. ` +
          (forbidden
            ? "Allow `list` on pods of metrics.k8s.io (docs/permissions.md)"
            : "See `kubectl get apiservice v1beta1.metrics.k8s.io`"),
        { passing: !forbidden && status !== 404 },
      );
    }
    const parsed = answerSchema.safeParse(answer);
    if (!parsed.success)
      throw new SourceError("the Metrics API: its answer is no list of PodMetrics", { passing: true });
    return parsed.data.items;
  }
}

/** In cores or bytes. A quantity in billionths (`12345678n`) is usual for CPU. */
const amount = (quantity: string): number => thousandths(parseQuantity(quantity)) / 1000;
