import { z } from "zod";
import { dnsLabel, httpUrl, nonEmpty, seconds, wholeNumber } from "./fields.ts";
import { rule } from "./health-rule.ts";

/** `health.prometheus`. A bearer token comes from the environment when a window runs, never from here. */

/** Metrics that are known by name: rollout/health/sources/presets.ts. */
export const PRESETS = ["http", "spring-boot", "istio", "linkerd", "grpc"] as const;

const labelName = (what: string) =>
  nonEmpty(what).regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, {
    error: (issue) => `${JSON.stringify(issue.input)} is not the name of a label such as pod`,
  });

const metric = z
  .strictObject({
    ...rule,
    /** PromQL. `{{namespaces}}`, `{{pods}}`, `{{workloads}}` become regular expressions, `{{interval}}` the time between two samples. */
    query: nonEmpty("a PromQL expression"),
    /** What the query gives: a number now, `patchguard="bad"` and `patchguard="total"` counts, or cumulative buckets with `le`. Default: level. */
    measure: z
      .enum(["level", "ratio", "histogram"], { error: () => "must be level, ratio or histogram" })
      .default("level"),
    /** Of a histogram. Default: 0.99. */
    quantile: z
      .number({ error: () => "must be a number such as 0.99" })
      .gt(0)
      .lt(1)
      .default(0.99),
    /** For messages: `s`, `1/s`. Default: none. */
    unit: z.string({ error: () => "must be text: a unit such as s" }).default(""),
    /** How the levels of a workload's pods become one. Default: mean. */
    across: z.enum(["mean", "sum", "max"], { error: () => "must be mean, sum or max" }).default("mean"),
    /** What no answer about a workload means: nothing is known, or nothing happened. Default: none. */
    absent: z.enum(["none", "zero"], { error: () => "must be none or zero" }).default("none"),
    /** Label with the namespace. Default: namespace. */
    namespaceLabel: labelName("the name of a label such as namespace").default("namespace"),
    /** Label with the pod. Default: pod. */
    podLabel: labelName("the name of a label such as pod").default("pod"),
    /** Label with the workload's name, for metrics that do not know pods; then `podLabel` is not read. Default: none. */
    workloadLabel: labelName("the name of a label such as deployment").optional(),
  })
  .superRefine(({ limit, timesBaseline, query }, context) => {
    const wrong = (field: string, message: string): void =>
      context.addIssue({ code: "custom", message, path: [field] });
    if (limit === undefined && timesBaseline === undefined)
      wrong("limit", "is missing: a metric has a limit, timesBaseline, or both");
    for (const [, name] of query.matchAll(/\{\{\s*(\w+)\s*\}\}/g))
      if (!["namespaces", "pods", "workloads", "interval"].includes(name ?? ""))
        wrong("query", `{{${name}}} is none of {{namespaces}}, {{pods}}, {{workloads}} and {{interval}}`);
  });

export const prometheus = z
  .strictObject({
    /** Of Prometheus or anything that speaks its HTTP API. A bearer token comes from PATCHGUARD_PROMETHEUS_TOKEN. */
    url: httpUrl().optional(),
    /** In place of `url`: a Service of the cluster, asked through the API server. */
    service: z
      .strictObject({
        namespace: dnsLabel(63),
        name: dnsLabel(63),
        port: wholeNumber(1, 65535, "a port"),
      })
      .optional(),
    /** How far it runs behind. Seconds; default 0. */
    lagSeconds: seconds(0, 3600).default(0),
    /** Metrics of common libraries and meshes. Default: none. */
    presets: z.array(z.enum(PRESETS, { error: () => `must be one of ${PRESETS.join(", ")}` })).default([]),
    /** Metrics of your own. */
    metrics: z.array(metric).default([]),
  })
  .superRefine(({ url, service, presets, metrics }, context) => {
    const wrong = (field: string, message: string): void =>
      context.addIssue({ code: "custom", message, path: [field] });
    if ((url === undefined) === (service === undefined))
      wrong("url", "is needed, or service in its place: one of the two");
    if (presets.length + metrics.length === 0)
      wrong("presets", "is empty, and so is metrics: nothing would be asked");
  });

export type PrometheusConfig = z.output<typeof prometheus>;
