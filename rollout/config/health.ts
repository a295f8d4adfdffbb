import { z } from "zod";
import { DEFAULTS } from "../names.ts";
import { dnsLabel, flag, nonEmpty, seconds, wholeNumber } from "./fields.ts";
import { prometheus } from "./health-prometheus.ts";
import { probes } from "./health-probes.ts";
import { positive } from "./health-rule.ts";
import { datadog, newRelic } from "./health-saas.ts";

/** `patchguard:rollout.health`: what a health window watches, and what its verdict leads to. */

/** metrics-server asks the kubelets every 15 s, and they measure over some 15 s more: a new pod shows after half a minute. */
export const METRICS_API_FLOOR_SECONDS = 60;

/** CPU and memory from metrics.k8s.io. */
const resource = (timesBaseline: number) =>
  z
    .strictObject({
      /** Share of the pod's own limit (0.9 = 90 %); pods without a limit are judged by `timesBaseline` alone. */
      limit: positive("a share of the pod's limit").default(0.9),
      timesBaseline: positive("so many times the baseline").default(timesBaseline),
      critical: flag().default(false),
    })
    .prefault({});

export const health = z.strictObject({
  /** The watch over rescheduled workloads after each node's drain. Seconds; default 300; 0 = off. */
  windowSeconds: seconds(0).default(DEFAULTS.healthWindowSeconds),
  /** How often each metric is asked for. Seconds; default 15. */
  sampleSeconds: seconds(1, 300).default(DEFAULTS.healthSampleSeconds),
  /** How much longer than `windowSeconds` a window may become while its samples decide nothing. Seconds; default 300. */
  extensionSeconds: seconds(0).default(DEFAULTS.healthExtensionSeconds),
  /** What follows when they still decide nothing: the run holds, rolls back, or goes on. Told in any case. Default: hold. */
  onInconclusive: z
    .enum(["hold", "rollback", "continue"], { error: () => "must be hold, rollback or continue" })
    .default("hold"),
  /** How many times in a row a source may fail before the run holds. Default: 4. */
  errorLimit: wholeNumber(0, 1000, "a number of failures").default(4),
  /** Workloads that need time after a move before their numbers mean anything (cold caches). Default: none. */
  warmUps: z
    .array(
      z.strictObject({
        namespace: dnsLabel(63),
        /** Of the workload: `Deployment`, `StatefulSet`, …. Default: any. */
        kind: nonEmpty("a kind such as Deployment").optional(),
        name: nonEmpty("the name of a workload"),
        /** Seconds of each window that do not count for it. */
        seconds: seconds(1, 3600),
      }),
    )
    .default([]),
  /** CPU and memory from the Metrics API: judged where it is served (`auto`), a must (`required`), or not asked (`off`). Default: auto. */
  metricsApi: z
    .enum(["auto", "required", "off"], { error: () => "must be auto, required or off" })
    .default("auto"),
  /** CPU of the pods. */
  cpu: resource(2),
  /** Memory of the pods. */
  memory: resource(2),
  /** Metrics from Prometheus. Default: none. */
  prometheus: prometheus.optional(),
  /** Metrics from Datadog. Default: none. */
  datadog: datadog.optional(),
  /** Metrics from New Relic. Default: none. */
  newRelic: newRelic.optional(),
  /** Health checks of your own: HTTP, TCP, gRPC, or a command's exit code. Default: none. */
  probes,
});
