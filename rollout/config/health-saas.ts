import { z } from "zod";
import { nonEmpty, seconds, wholeNumber } from "./fields.ts";
import { rule } from "./health-rule.ts";

/** `health.datadog` and `health.newRelic`. Their keys come from the environment when a window runs, never from here. */

/** Filled in when a metric is asked for, in the query language of the service. */
const PLACEHOLDERS = ["namespaces", "pods", "workloads"];

/** How far both run behind, seconds: what they show of the last minute or two is not yet whole. */
const LAG_SECONDS = 120;

const lagSeconds = seconds(0, 3600).default(LAG_SECONDS);

const common = {
  ...rule,
  /** For messages: `s`, `%`, `1/s`. Default: none. */
  unit: z.string({ error: () => "must be text: a unit such as s" }).default(""),
  /** How the levels of a workload's pods become one. Not of a ratio, whose counts are added up. Default: mean. */
  across: z.enum(["mean", "sum", "max"], { error: () => "must be mean, sum or max" }).default("mean"),
  /** What no answer about a workload means: nothing is known, or nothing happened. Default: none. */
  absent: z.enum(["none", "zero"], { error: () => "must be none or zero" }).default("none"),
};

const SITES = /^([a-z0-9-]+\.)?(datadoghq\.(com|eu)|ddog-gov\.com)$/;

/** Host names to which the keys may be sent: Datadog's own. https://docs.datadoghq.com/getting_started/site/ */
const site = nonEmpty("a Datadog site such as datadoghq.eu").superRefine((value, context) => {
  const wrong = (message: string): void => context.addIssue({ code: "custom", message });
  if (/^(https?:|(app|api)\.)/.test(value))
    wrong(`"${value}" is the address of a page; the site is what follows app. in it, such as datadoghq.com`);
  else if (!SITES.test(value))
    wrong(`"${value}" is no Datadog site such as datadoghq.com or us5.datadoghq.com`);
});

const tag = (what: string) =>
  nonEmpty(what).regex(/^[A-Za-z][A-Za-z0-9_.\-/]*$/, {
    error: (issue) => `${JSON.stringify(issue.input)} is not the key of a tag such as pod_name`,
  });

const datadogMetric = z
  .strictObject({
    ...common,
    /** Of a level: a metrics query with `by {…}`. */
    query: nonEmpty("a Datadog metrics query").optional(),
    /** Of a ratio: the query that counts what went wrong, and the one that counts all. Both end in `.as_count()`. */
    bad: nonEmpty("a Datadog metrics query").optional(),
    total: nonEmpty("a Datadog metrics query").optional(),
    /** Tag with the namespace. Default: kube_namespace. */
    namespaceTag: tag("the key of a tag such as kube_namespace").default("kube_namespace"),
    /** Tag with the pod. Default: pod_name. */
    podTag: tag("the key of a tag such as pod_name").default("pod_name"),
    /** Tag with the workload's name, for metrics that do not know pods; then `podTag` is not read. Default: none. */
    workloadTag: tag("the key of a tag such as kube_deployment").optional(),
  })
  .superRefine((metric, context) => {
    const wrong = (field: string, message: string): void =>
      context.addIssue({ code: "custom", message, path: [field] });
    limits(metric, wrong);
    const { query, bad, total } = metric;
    if (query !== undefined && (bad !== undefined || total !== undefined))
      wrong("query", "is of a level, bad and total are of a ratio: a metric is one of them");
    else if (query === undefined && bad === undefined && total === undefined)
      wrong("query", "is missing: query (a level), or bad and total (a ratio)");
    else if (query === undefined && bad === undefined) wrong("bad", "is missing: a ratio has bad and total");
    else if (query === undefined && total === undefined)
      wrong("total", "is missing: a ratio has bad and total");
    const subject = metric.workloadTag ?? metric.podTag;
    for (const [field, text] of Object.entries({ query, bad, total })) {
      if (text === undefined) continue;
      placeholders(text, metric.workloadTag !== undefined, "workloadTag", (message) => wrong(field, message));
      const groups = [...text.matchAll(/\bby\s*\{([^{}]*)\}/g)].flatMap(([, keys = ""]) => keys.split(","));
      if (!groups.some((key) => key.trim() === subject))
        wrong(field, `must be grouped by ${subject}: … by {${metric.namespaceTag},${subject}}`);
      if (field !== "query" && !/\.as_count\(\s*\)/.test(text))
        wrong(field, "must end in .as_count(): a ratio is made of counts, not of rates");
    }
  });

export const datadog = z.strictObject({
  /** Where the account is: the host name of its pages without `app.`. Default: datadoghq.com. */
  site: site.default("datadoghq.com"),
  /** How far it runs behind. Seconds; default 120. */
  lagSeconds,
  /** Length of the steps in which counts and levels are read. Seconds; default 15. */
  resolutionSeconds: seconds(10, 300).default(15),
  metrics: z.array(datadogMetric).min(1, { error: () => "must name at least one metric" }),
});

const attribute = (what: string) =>
  nonEmpty(what).regex(/^[A-Za-z_][A-Za-z0-9_.:]*$/, {
    error: (issue) => `${JSON.stringify(issue.input)} is not the name of an attribute such as k8s.podName`,
  });

/** Clauses that PatchGuard adds, or that make the answer one that it cannot read. */
const NOT_OURS = ["SINCE", "UNTIL", "LIMIT", "OFFSET", "TIMESERIES", "COMPARE WITH"];

const newRelicMetric = z
  .strictObject({
    ...common,
    /** `level`: the query selects … AS value. `ratio`: it selects counts, … AS bad and … AS total. */
    measure: z.enum(["level", "ratio"], { error: () => "must be level or ratio" }),
    /** NRQL with FACET, without SINCE, UNTIL and LIMIT. */
    query: nonEmpty("an NRQL query"),
    /** Attribute with the namespace. Default: k8s.namespaceName. */
    namespaceAttribute: attribute("an attribute such as k8s.namespaceName").default("k8s.namespaceName"),
    /** Attribute with the pod. Default: k8s.podName. */
    podAttribute: attribute("an attribute such as k8s.podName").default("k8s.podName"),
    /** Attribute with the workload's name, for data that does not know pods; then `podAttribute` is not read. Default: none. */
    workloadAttribute: attribute("an attribute such as k8s.deploymentName").optional(),
  })
  .superRefine((metric, context) => {
    const wrong = (field: string, message: string): void =>
      context.addIssue({ code: "custom", message, path: [field] });
    limits(metric, wrong);
    placeholders(metric.query, metric.workloadAttribute !== undefined, "workloadAttribute", (message) =>
      wrong("query", message),
    );
    const outer = withoutInner(metric.query);
    for (const clause of NOT_OURS)
      if (new RegExp(`\\b${clause.replace(" ", "\\s+")}\\b`, "i").test(outer))
        wrong("query", `must not say ${clause}: PatchGuard adds SINCE, UNTIL and LIMIT to each question`);
    for (const alias of metric.measure === "level" ? ["value"] : ["bad", "total"])
      if (!new RegExp(`\\bAS\\s+['\`]?${alias}\\b`, "i").test(metric.query))
        wrong("query", `must name what it selects: … AS ${alias}`);
    const subject = metric.workloadAttribute ?? metric.podAttribute;
    const facet = /\bFACET\b(.*)$/is.exec(outer)?.[1] ?? "";
    if (!facet.split(/[\s,`]+/).includes(subject))
      wrong("query", `must end in FACET ${metric.namespaceAttribute}, ${subject}`);
  });

export const newRelic = z.strictObject({
  /** Of the account that is asked. */
  accountId: wholeNumber(1, 2 ** 31 - 1, "the account's number"),
  /** Where the account is. Default: us. */
  region: z.enum(["us", "eu"], { error: () => "must be us or eu" }).default("us"),
  /** How far it runs behind. Seconds; default 120. */
  lagSeconds,
  metrics: z.array(newRelicMetric).min(1, { error: () => "must name at least one metric" }),
});

export type DatadogConfig = z.infer<typeof datadog>;
export type DatadogMetric = DatadogConfig["metrics"][number];
export type NewRelicConfig = z.infer<typeof newRelic>;
export type NewRelicMetric = NewRelicConfig["metrics"][number];

/** A metric that nothing judges would be asked for in vain, and trusted. */
function limits(
  { limit, timesBaseline }: { limit?: number | undefined; timesBaseline?: number | undefined },
  wrong: (field: string, message: string) => void,
): void {
  if (limit === undefined && timesBaseline === undefined)
    wrong("limit", "is missing: a metric has limit, timesBaseline or both, else nothing would judge it");
}

function placeholders(
  text: string,
  hasWorkloads: boolean,
  setting: string,
  wrong: (message: string) => void,
): void {
  for (const [whole, name = ""] of text.matchAll(/\{\{\s*(\w*)\s*\}\}/g))
    if (!PLACEHOLDERS.includes(name))
      wrong(
        `${whole} is no placeholder; there are ${PLACEHOLDERS.map((known) => `{{${known}}}`).join(", ")}`,
      );
    else if (name === "workloads" && !hasWorkloads) wrong(`{{workloads}} needs ${setting}`);
}

/** The query without quoted text and without what stands in parentheses: those may say SINCE and LIMIT for themselves. */
function withoutInner(query: string): string {
  let text = query.replace(/'(\\.|[^'\\])*'/g, "''");
  for (let before = ""; before !== text;) {
    before = text;
    text = text.replace(/\([^()]*\)/g, " ");
  }
  return text;
}
