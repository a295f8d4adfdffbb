import type { PRESETS } from "../../config/health-prometheus.ts";
import type { Metric } from "../metric.ts";

/** What a preset is made of. */
interface Exporter {
  /** Counter of requests, and what selects the bad ones. */
  requests: string;
  bad: string;
  /** Histogram of durations, and its unit. */
  buckets: string;
  unit: "s" | "ms";
  /** What selects the server's side, where the client's is counted, too. */
  side?: string;
}

/** A preset's query is the metric's own, with holes; the labels are `namespace` and `pod`. */
export interface Preset {
  metric: Omit<Metric, "source">;
  query: string;
}

const EXPORTERS: Record<(typeof PRESETS)[number], Exporter> = {
  // promhttp and most client libraries: https://prometheus.io/docs/practices/naming/
  http: {
    requests: "http_requests_total",
    bad: 'code=~"5.."',
    buckets: "http_request_duration_seconds_bucket",
    unit: "s",
  },
  // Micrometer: https://docs.spring.io/spring-boot/reference/actuator/metrics.html#actuator.metrics.supported.spring-mvc
  "spring-boot": {
    requests: "http_server_requests_seconds_count",
    bad: 'status=~"5.."',
    buckets: "http_server_requests_seconds_bucket",
    unit: "s",
  },
  // https://istio.io/latest/docs/reference/config/metrics/
  istio: {
    requests: "istio_requests_total",
    bad: 'response_code=~"5..|0"',
    buckets: "istio_request_duration_milliseconds_bucket",
    unit: "ms",
    side: 'reporter="destination"',
  },
  // https://linkerd.io/2/reference/proxy-metrics/
  linkerd: {
    requests: "response_total",
    bad: 'classification="failure"',
    buckets: "response_latency_ms_bucket",
    unit: "ms",
    side: 'direction="inbound"',
  },
  // https://github.com/grpc-ecosystem/go-grpc-middleware/tree/main/providers/prometheus
  grpc: {
    requests: "grpc_server_handled_total",
    bad: 'grpc_code=~"Unknown|DeadlineExceeded|Internal|Unavailable|DataLoss"',
    buckets: "grpc_server_handling_seconds_bucket",
    unit: "s",
  },
};

/** Flagger's usual limits; both the absolute and the relative one must be breached. */
const ERRORS = 0.01;
const P99_SECONDS = 0.5;
const SAMPLES_AT_THE_END = 3;
const MINIMUM_REQUESTS = 100;

/** Errors, p99 and throughput of an exporter. @param several presets are used at once: their names tell them apart */
export function presetsOf(name: (typeof PRESETS)[number], several: boolean): Preset[] {
  const { requests, bad, buckets, unit, side } = EXPORTERS[name];
  const where = ['namespace=~"{{namespaces}}"', 'pod=~"{{pods}}"', ...(side === undefined ? [] : [side])];
  const named = (metric: string): string => (several ? `${name} ${metric}` : metric);
  const selected = (series: string, ...more: string[]): string =>
    grown(series, [...where, ...more].join(","));
  const common = {
    critical: false,
    consecutiveSuccesses: SAMPLES_AT_THE_END,
    minimumRequests: MINIMUM_REQUESTS,
    absent: "none" as const,
  };
  return [
    {
      metric: {
        name: named("errors"),
        measure: "ratio",
        unit: "%",
        worse: "higher",
        limit: ERRORS,
        timesBaseline: 2,
        ...common,
      },
      query:
        `label_replace(sum by (namespace, pod) (${selected(requests, bad)}), "patchguard", "bad", "", "")` +
        ` or label_replace(sum by (namespace, pod) (${selected(requests)}), "patchguard", "total", "", "")`,
    },
    {
      metric: {
        name: named("p99"),
        measure: "histogram",
        quantile: 0.99,
        unit,
        worse: "higher",
        limit: unit === "ms" ? P99_SECONDS * 1000 : P99_SECONDS,
        timesBaseline: 2,
        ...common,
      },
      query: `sum by (namespace, pod, le) (${selected(buckets)})`,
    },
    {
      metric: {
        name: named("throughput"),
        measure: "level",
        across: "sum",
        unit: "requests",
        worse: "lower",
        timesBaseline: 0.5,
        ...common,
      },
      query: `sum by (namespace, pod) (${selected(requests)})`,
    },
  ];
}

/**
 * How much a counter has grown in the interval, exactly and whatever the scrape interval: rate() and increase() need two scrapes in it,
 * and overlap or extrapolate. A series that was not there before has grown from nothing; one that was reset has not grown.
 */
function grown(series: string, where: string): string {
  const now = `${series}{${where}}`;
  return `clamp_min(${now} - (${now} offset {{interval}} or ${now} * 0), 0)`;
}
