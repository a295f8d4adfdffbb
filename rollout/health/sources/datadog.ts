import { z } from "zod";
import type { DatadogConfig, DatadogMetric } from "../../config/health-saas.ts";
import type { Metric, Question, Reading, Source, SourceError, Subject } from "../metric.ts";
import { filled, matcher, metricOf, type OneOf } from "./saas-query.ts";
import { Correspondent, parsed, secondsIn, type Environment, type Reply } from "./saas-request.ts";

/**
 * Datadog, by POST /api/v2/query/timeseries (https://docs.datadoghq.com/api/latest/metrics/query-timeseries-data-across-multiple-products/):
 * several queries go in one request, in the body, and each value comes with its time, so that what began before the asked interval can
 * be left out. The scalar endpoint gives no times; v1 takes one query in the address.
 */

export const DATADOG = "datadog";

/** Environment variables of the two keys that a query needs. */
export const DATADOG_KEYS = { api: "DD_API_KEY", application: "DD_APP_KEY" } as const;

export interface DatadogOptions {
  env?: Environment;
  /** In place of the site's own address, for tests. */
  url?: string;
}

export function datadogSources(
  config: DatadogConfig | undefined,
  options: DatadogOptions = {},
): { sources: Source[]; metrics: Metric[] } {
  if (config === undefined) return { sources: [], metrics: [] };
  return {
    sources: [new Datadog(config, options)],
    metrics: config.metrics.map((metric) =>
      metricOf(DATADOG, metric.query === undefined ? "ratio" : "level", metric),
    ),
  };
}

/** https://docs.datadoghq.com/metrics/advanced-filtering/#boolean-filtered-queries */
const oneOf: OneOf = (name, values) =>
  values.length === 1 ? `${name}:${values[0]}` : `${name} IN (${values.join(",")})`;

const answerSchema = z.object({
  data: z
    .object({
      attributes: z.object({
        series: z.array(
          z.object({ group_tags: z.array(z.string()).nullish(), query_index: z.number().default(0) }),
        ),
        times: z.array(z.number()),
        values: z.array(z.array(z.number().nullable())),
      }),
    })
    .nullish(),
  errors: z.union([z.string(), z.array(z.string())]).nullish(),
});

type Attributes = NonNullable<z.infer<typeof answerSchema>["data"]>["attributes"];

/** What one series says: of which query it is, and its values in the asked interval with the time at which each step begins. */
interface Line {
  subject: Subject;
  query: number;
  points: readonly { at: number; value: number }[];
}

/** Whole steps of Datadog's grid, milliseconds since the epoch. */
interface Steps {
  from: number;
  to: number;
  step: number;
}

class Datadog implements Source {
  readonly name = DATADOG;
  readonly lagSeconds: number;
  readonly floor: { seconds: number; why: string };
  private readonly config: DatadogConfig;
  private readonly url: string;
  private readonly env: Environment;

  constructor(config: DatadogConfig, { env = process.env, url }: DatadogOptions) {
    this.config = config;
    this.env = env;
    this.url = url ?? `https://api.${config.site}`;
    // the last step that is read may end one step after the interval
    this.lagSeconds = config.lagSeconds + config.resolutionSeconds;
    this.floor = {
      seconds: config.resolutionSeconds,
      why: `Datadog is read in steps of health.datadog.resolutionSeconds (${config.resolutionSeconds} s)`,
    };
  }

  async read(question: Question, signal: AbortSignal): Promise<Reading[]> {
    const metric = this.config.metrics.find(({ name }) => name === question.metric.name);
    const datadog = new Correspondent("Datadog", this.env);
    if (metric === undefined)
      throw datadog.error(`health.datadog.metrics has no ${question.metric.name}`, { passing: false });
    if (question.workloads.length === 0) return [];
    const keys = {
      "dd-api-key": datadog.key(DATADOG_KEYS.api),
      "dd-application-key": datadog.key(DATADOG_KEYS.application),
    };
    const steps = wholeSteps(question, this.config.resolutionSeconds * 1000);
    const body = request(metric, question, steps);
    const reply = await datadog.post(`${this.url}/api/v2/query/timeseries`, keys, body, signal);
    const answer = this.attributes(datadog, metric, reply);
    if (answer === undefined) return [];
    const lines = linesOf(answer, metric, question, steps, (message) =>
      datadog.error(`metric ${metric.name}: ${message}`, { passing: false }),
    );
    return metric.query === undefined ? ratios(lines, steps) : levels(lines, steps);
  }

  private attributes(datadog: Correspondent, metric: DatadogMetric, reply: Reply): Attributes | undefined {
    if (reply.status !== 200) throw this.refusal(datadog, metric, reply);
    const answer = answerSchema.safeParse(parsed(reply.text));
    if (!answer.success)
      throw datadog.error(
        `metric ${metric.name}: the answer is not what the API documents (${datadog.said(reply.text) || "it is empty"}). Check that nothing stands in between, such as a proxy's page`,
        { passing: true },
      );
    const { data, errors } = answer.data;
    const said = (typeof errors === "string" ? [errors] : (errors ?? [])).join("; ");
    // what came with an error may be a part: never taken for whole
    if (said !== "")
      throw datadog.error(
        `metric ${metric.name}: the query failed: ${datadog.said(said)}. Try it in the metrics explorer, and narrow it`,
        { passing: true },
      );
    return data?.attributes;
  }

  private refusal(datadog: Correspondent, metric: DatadogMetric, reply: Reply): SourceError {
    const { status } = reply;
    const said = datadog.said(errorsIn(reply.text));
    const told = `${status}${said === "" ? "" : `, ${said}`}`;
    if (status === 401 || status === 403)
      return datadog.error(
        `it refused the keys (${told}). ${DATADOG_KEYS.api} or ${DATADOG_KEYS.application} is wrong, expired or revoked, is of another site than ${this.config.site}, or lacks the permission timeseries_query`,
        { passing: false },
      );
    if (status === 429) {
      const retryAfterSeconds =
        secondsIn(reply.header("x-ratelimit-reset")) ?? secondsIn(reply.header("retry-after"));
      const limit = reply.header("x-ratelimit-limit");
      const period = reply.header("x-ratelimit-period");
      const bound = limit !== null && period !== null ? ` of ${limit} requests in ${period} s` : "";
      const until = retryAfterSeconds === undefined ? "" : ` for another ${retryAfterSeconds} s`;
      return datadog.error(
        `the rate limit${bound} is used up${until}. Raise health.sampleSeconds, or have Datadog raise the limit`,
        { passing: true, retryAfterSeconds },
      );
    }
    if (status === 408 || status >= 500)
      return datadog.error(`it cannot answer now (${told}). Look at status.datadoghq.com if it goes on`, {
        passing: true,
        retryAfterSeconds: secondsIn(reply.header("retry-after")),
      });
    return datadog.error(
      `metric ${metric.name}: it refused the query (${told}). Correct it in health.datadog.metrics; the metrics explorer shows where it is wrong`,
      { passing: false },
    );
  }
}

/** The steps that begin within the interval, whole ones: neighbouring intervals share none, and none began before its interval. */
function wholeSteps({ from, to }: Question, step: number): Steps {
  const first = Math.ceil(from / step) * step;
  return { from: first, to: Math.max(Math.ceil(to / step) * step, first + step), step };
}

function request(metric: DatadogMetric, question: Question, { from, to, step }: Steps): unknown {
  const names = { namespace: metric.namespaceTag, pod: metric.podTag, workload: metric.workloadTag };
  const queries = Object.entries(queriesOf(metric)).map(([name, template]) => ({
    data_source: "metrics",
    name,
    query: filled(template, question.workloads, names, oneOf),
  }));
  const formulas = queries.map(({ name }) => ({ formula: name }));
  return {
    data: { type: "timeseries_request", attributes: { formulas, queries, from, to, interval: step } },
  };
}

/** In the order in which `query_index` counts them. */
const queriesOf = ({ query, bad, total }: DatadogMetric): Record<string, string> =>
  query === undefined ? { bad: bad ?? "", total: total ?? "" } : { level: query };

function linesOf(
  { series, times, values }: Attributes,
  metric: DatadogMetric,
  { workloads }: Question,
  { from, to, step }: Steps,
  wrong: (message: string) => SourceError,
): Line[] {
  if (values.length !== series.length || values.some((row) => row.length !== times.length))
    throw wrong(
      `the answer has ${series.length} series with ${values.length} rows of values for ${times.length} times: they do not fit together. Ask Datadog's support`,
    );
  const subjectTag = metric.workloadTag ?? metric.podTag;
  const match = matcher(workloads, metric.workloadTag === undefined ? "pod" : "workload");
  const lines: Line[] = [];
  let beside = 0;
  for (const [index, { group_tags: tags, query_index: query }] of series.entries()) {
    const name = valueOf(tags, subjectTag);
    if (name === undefined)
      throw wrong(
        `the answer is not grouped by ${subjectTag} (${(tags ?? []).join(", ") || "no group"}). Correct the query's by {…}`,
      );
    const subject = match(valueOf(tags, metric.namespaceTag), name);
    if (subject === "other") continue;
    if (subject === "several")
      throw wrong(
        `${subjectTag}:${name} is in more than one of the namespaces that are watched, and the answer has no ${metric.namespaceTag}. Add it to the query's by {…}`,
      );
    const known = times.flatMap((at, place) => {
      const value = values[index]?.[place];
      return typeof value === "number" && Number.isFinite(value) ? [{ at, value }] : [];
    });
    const points = known.filter(({ at }) => at >= from && at < to);
    beside += points.length === 0 ? known.length : 0;
    lines.push({ subject, query, points });
  }
  if (beside > 0 && lines.every(({ points }) => points.length === 0))
    throw wrong(
      `it answered in other steps than those of ${step / 1000} s that it was asked for, and none begins in the interval. Raise health.datadog.resolutionSeconds and health.sampleSeconds`,
    );
  const twice = metric.query === undefined ? undefined : repeated(lines.map(({ subject }) => keyOf(subject)));
  if (twice !== undefined)
    throw wrong(
      `there are several series of ${twice}, and levels cannot be added up. Group by ${metric.namespaceTag} and ${subjectTag} alone`,
    );
  return lines;
}

/** `pod_name:web-1` → `web-1`; Datadog says N/A where a series has no such tag. */
function valueOf(tags: readonly string[] | null | undefined, key: string): string | undefined {
  const value = tags?.find((tag) => tag.startsWith(`${key}:`))?.slice(key.length + 1);
  return value === "" ? undefined : value;
}

const keyOf = (subject: Subject): string =>
  subject.of === "all" ? "all" : `${subject.of} ${subject.namespace}/${subject.name}`;

const repeated = (keys: readonly string[]): string | undefined =>
  keys.find((key, index) => keys.indexOf(key) !== index);

/** The mean of a level's steps. `at` is the end of the last one that has a value: one that comes again is the same sample. */
function levels(lines: readonly Line[], { step }: Steps): Reading[] {
  return lines.flatMap(({ subject, points }) => {
    const last = points.at(-1);
    if (last === undefined) return [];
    const level = points.reduce((sum, { value }) => sum + value, 0) / points.length;
    return [{ subject, at: last.at + step, value: { level } }];
  });
}

/** Counts of all steps. No bad one among some is 0; bad ones beyond the total (the two run behind differently) are all there are. */
function ratios(lines: readonly Line[], { to }: Steps): Reading[] {
  const counts = new Map<string, { subject: Subject; bad: number; total: number; known: boolean }>();
  for (const { subject, query, points } of lines) {
    const key = keyOf(subject);
    const count = counts.get(key) ?? { subject, bad: 0, total: 0, known: false };
    counts.set(key, count);
    const sum = points.reduce((all, { value }) => all + value, 0);
    if (query === 0) count.bad += sum;
    else count.total += sum;
    count.known ||= points.length > 0;
  }
  return [...counts.values()].flatMap(({ subject, bad, total, known }) =>
    known ? [{ subject, at: to, value: { bad, total: Math.max(bad, total) } }] : [],
  );
}

/** `{"errors": ["Forbidden"]}`, or the text as it is. */
function errorsIn(text: string): string {
  const refusal = z.object({ errors: z.array(z.string()) }).safeParse(parsed(text));
  return refusal.success ? refusal.data.errors.join("; ") : text;
}
