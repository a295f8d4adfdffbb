import { z } from "zod";
import type { NewRelicConfig, NewRelicMetric } from "../../config/health-saas.ts";
import type { Metric, Question, Reading, Source, SourceError, Subject, Value } from "../metric.ts";
import { filled, matcher, metricOf, type OneOf } from "./saas-query.ts";
import { Correspondent, parsed, secondsIn, type Environment, type Reply } from "./saas-request.ts";

/**
 * New Relic, by NRQL through NerdGraph (https://docs.newrelic.com/docs/apis/nerdgraph/examples/nerdgraph-nrql-tutorial/). Most errors
 * come with status 200, in `errors`.
 */

export const NEW_RELIC = "newrelic";

/** Environment variable of the user key. */
export const NEW_RELIC_KEY = "NEW_RELIC_API_KEY";

/** The most groups that NRQL gives back (LIMIT); so many, and there may be more. Named, so that it means the same tomorrow. */
export const FACET_LIMIT = 5000;

/** How long NerdGraph may work on a query: less than the sampler waits, so that New Relic says itself what took too long. Seconds; its default is 5. */
const QUERY_SECONDS = 8;

/** https://docs.newrelic.com/docs/apis/nerdgraph/get-started/introduction-new-relic-nerdgraph/#endpoints */
const ENDPOINTS = {
  us: "https://api.newrelic.com/graphql",
  eu: "https://api.eu.newrelic.com/graphql",
} as const;

const GRAPHQL = `query ($account: Int!, $nrql: Nrql!, $timeout: Seconds) {
  actor { account(id: $account) { nrql(query: $nrql, timeout: $timeout) {
    results metadata { facets messages timeWindow { begin end } }
  } } }
}`;

export interface NewRelicOptions {
  env?: Environment;
  /** In place of the region's own address, for tests. */
  url?: string;
}

export function newRelicSources(
  config: NewRelicConfig | undefined,
  options: NewRelicOptions = {},
): { sources: Source[]; metrics: Metric[] } {
  if (config === undefined) return { sources: [], metrics: [] };
  return {
    sources: [new NewRelic(config, options)],
    metrics: config.metrics.map((metric) => metricOf(NEW_RELIC, metric.measure, metric)),
  };
}

/** NRQL quotes text with ' and escapes with \. */
const oneOf: OneOf = (name, values) =>
  `${name} IN (${values.map((value) => `'${value.replace(/[\\']/g, "\\$&")}'`).join(", ")})`;

const errorSchema = z.object({
  message: z.string().default(""),
  extensions: z
    .object({ errorClass: z.string().nullish(), errorCode: z.union([z.string(), z.number()]).nullish() })
    .nullish(),
});

const rowSchema = z.record(z.string(), z.unknown());

const answerSchema = z.object({
  data: z
    .object({
      actor: z
        .object({
          account: z
            .object({
              nrql: z
                .object({
                  results: z.array(rowSchema),
                  metadata: z
                    .object({
                      facets: z.array(z.string()).nullish(),
                      messages: z.array(z.string()).nullish(),
                      timeWindow: z
                        .object({ begin: z.number().nullish(), end: z.number().nullish() })
                        .nullish(),
                    })
                    .nullish(),
                })
                .nullish(),
            })
            .nullish(),
        })
        .nullish(),
    })
    .nullish(),
  errors: z.array(errorSchema).nullish(),
});

type Answer = z.infer<typeof answerSchema>;
type Row = z.infer<typeof rowSchema>;

class NewRelic implements Source {
  readonly name = NEW_RELIC;
  readonly lagSeconds: number;
  readonly floor = { seconds: 15, why: "New Relic's Kubernetes integration samples every 15 s" };
  private readonly config: NewRelicConfig;
  private readonly url: string;
  private readonly env: Environment;

  constructor(config: NewRelicConfig, { env = process.env, url }: NewRelicOptions) {
    this.config = config;
    this.env = env;
    this.url = url ?? ENDPOINTS[config.region];
    this.lagSeconds = config.lagSeconds;
  }

  async read(question: Question, signal: AbortSignal): Promise<Reading[]> {
    const metric = this.config.metrics.find(({ name }) => name === question.metric.name);
    const newRelic = new Correspondent("New Relic", this.env);
    if (metric === undefined)
      throw newRelic.error(`health.newRelic.metrics has no ${question.metric.name}`, { passing: false });
    if (question.workloads.length === 0) return [];
    const key = newRelic.key(NEW_RELIC_KEY);
    const variables = {
      account: this.config.accountId,
      nrql: nrqlOf(metric, question),
      timeout: QUERY_SECONDS,
    };
    const reply = await newRelic.post(this.url, { "api-key": key }, { query: GRAPHQL, variables }, signal);
    const { results, metadata } = this.result(newRelic, metric, reply);
    const wrong = (message: string): SourceError =>
      newRelic.error(`metric ${metric.name}: ${message}`, { passing: false });
    if (results.length >= FACET_LIMIT)
      throw wrong(
        `the answer has ${results.length} groups, as many as New Relic gives at most: it may lack some. Narrow the query with WHERE {{pods}} or {{namespaces}}`,
      );
    const told = (metadata?.messages ?? []).filter((message) =>
      /limit|truncat|partial|incomplet|exceed/i.test(message),
    );
    if (told.length > 0)
      throw wrong(`the answer may not be whole: ${newRelic.said(told.join("; "))}. Narrow the query`);
    checkWindow(question, metadata?.timeWindow, wrong);
    return readings(results, metadata?.facets ?? [], metric, question, wrong);
  }

  private result(newRelic: Correspondent, metric: NewRelicMetric, reply: Reply): NrqlResult {
    const answer = answerSchema.safeParse(parsed(reply.text));
    const errors = answer.success ? (answer.data.errors ?? []) : [];
    const said = newRelic.said(
      errors.length > 0 ? errors.map(({ message }) => message).join("; ") : reply.text,
    );
    if (reply.status !== 200) throw this.refusal(newRelic, metric, reply, said);
    if (!answer.success)
      throw newRelic.error(
        `metric ${metric.name}: the answer is not what NerdGraph documents (${said || "it is empty"}). Check that nothing stands in between, such as a proxy's page`,
        { passing: true },
      );
    // what came with an error may be a part: never taken for whole
    if (errors.length > 0) throw this.graphqlError(newRelic, metric, errors, said);
    const nrql = answer.data.data?.actor?.account?.nrql;
    if (nrql === undefined || nrql === null)
      throw newRelic.error(
        `account ${this.config.accountId} gave no answer. Check health.newRelic.accountId and region, and that the user of ${NEW_RELIC_KEY} may read that account`,
        { passing: false },
      );
    return nrql;
  }

  private refusal(newRelic: Correspondent, metric: NewRelicMetric, reply: Reply, said: string): SourceError {
    const { status } = reply;
    const told = `${status}${said === "" ? "" : `, ${said}`}`;
    const retryAfterSeconds = secondsIn(reply.header("retry-after"));
    if (status === 401 || status === 403) return this.badKey(newRelic, told);
    if (status === 429) return this.throttled(newRelic, told, retryAfterSeconds);
    if (status === 408 || status >= 500)
      return newRelic.error(`it cannot answer now (${told}). Look at status.newrelic.com if it goes on`, {
        passing: true,
        retryAfterSeconds,
      });
    return newRelic.error(
      `metric ${metric.name}: it refused the query (${told}). Correct it in health.newRelic.metrics`,
      { passing: false },
    );
  }

  private graphqlError(
    newRelic: Correspondent,
    metric: NewRelicMetric,
    errors: NonNullable<Answer["errors"]>,
    said: string,
  ): SourceError {
    const kinds = errors.map(({ extensions }) => extensions?.errorClass ?? "").filter((kind) => kind !== "");
    const codes = errors.map(({ extensions }) => extensions?.errorCode ?? "").filter((code) => code !== "");
    const told = [...kinds, ...codes, said].join(", ");
    const is = (pattern: RegExp): boolean => kinds.some((kind) => pattern.test(kind));
    if (is(/ACCESS_DENIED|UNAUTHORI[SZ]ED|UNAUTHENTICATED|FORBIDDEN/i) || /\bAPI[- ]key\b/i.test(said))
      return this.badKey(newRelic, told);
    if (is(/TOO_MANY|RATE|THROTTL/i)) return this.throttled(newRelic, told, undefined);
    if (is(/TIMEOUT/i))
      return newRelic.error(
        `metric ${metric.name}: the query took longer than ${QUERY_SECONDS} s (${told}). Narrow it with WHERE {{pods}} or {{namespaces}}`,
        { passing: true },
      );
    if (is(/INVALID|BAD_USER_INPUT|VALIDATION|SYNTAX/i) || /syntax/i.test(said))
      return newRelic.error(
        `metric ${metric.name}: it refused the query (${told}). Correct it in health.newRelic.metrics; the query builder shows where it is wrong`,
        { passing: false },
      );
    return newRelic.error(`metric ${metric.name}: the query failed (${told}). Try it in the query builder`, {
      passing: true,
    });
  }

  private badKey(newRelic: Correspondent, told: string): SourceError {
    return newRelic.error(
      `it refused the key (${told}). ${NEW_RELIC_KEY} must be a user key (NRAK-…) that is valid in region ${this.config.region} and may read account ${this.config.accountId}: renew it`,
      { passing: false },
    );
  }

  private throttled(
    newRelic: Correspondent,
    told: string,
    retryAfterSeconds: number | undefined,
  ): SourceError {
    const until = retryAfterSeconds === undefined ? "" : ` for another ${retryAfterSeconds} s`;
    return newRelic.error(`the rate limit is used up${until} (${told}). Raise health.sampleSeconds`, {
      passing: true,
      retryAfterSeconds,
    });
  }
}

type NrqlResult = NonNullable<
  NonNullable<NonNullable<NonNullable<Answer["data"]>["actor"]>["account"]>["nrql"]
>;

/** SINCE is inclusive, UNTIL is not; both in milliseconds since the epoch. */
function nrqlOf(metric: NewRelicMetric, { workloads, from, to }: Question): string {
  const names = {
    namespace: metric.namespaceAttribute,
    pod: metric.podAttribute,
    workload: metric.workloadAttribute,
  };
  const query = filled(metric.query, workloads, names, oneOf).trim().replace(/;$/, "");
  return `${query} LIMIT ${FACET_LIMIT} SINCE ${Math.round(from)} UNTIL ${Math.round(to)}`;
}

/** New Relic widens the interval of rolled-up metrics to their steps (metric query snapping): what was before the drain must not get in. */
function checkWindow(
  { from, to }: Question,
  answered: { begin?: number | null | undefined; end?: number | null | undefined } | null | undefined,
  wrong: (message: string) => SourceError,
): void {
  const begin = answered?.begin ?? from;
  const end = answered?.end ?? to;
  const clock = (at: number): string => new Date(at).toISOString();
  if (begin < from - 1000 || end > to + 1000)
    throw wrong(
      `it answered for ${clock(begin)} to ${clock(end)}, asked for ${clock(from)} to ${clock(to)}: these data are rolled up in longer steps. Query events (Transaction, Span, K8sContainerSample) instead`,
    );
}

function readings(
  rows: readonly Row[],
  facets: readonly string[],
  metric: NewRelicMetric,
  { workloads, to }: Question,
  wrong: (message: string) => SourceError,
): Reading[] {
  const subjectName = metric.workloadAttribute ?? metric.podAttribute;
  const match = matcher(workloads, metric.workloadAttribute === undefined ? "pod" : "workload");
  const found = new Map<string, Reading>();
  for (const row of rows) {
    const name = groupOf(row, facets, subjectName);
    if (name === undefined)
      throw wrong(`the answer is not grouped by ${subjectName}. Correct the query's FACET`);
    const subject: Subject | "other" | "several" = match(
      groupOf(row, facets, metric.namespaceAttribute),
      name,
    );
    if (subject === "other") continue;
    if (subject === "several")
      throw wrong(
        `${subjectName} ${name} is in more than one of the namespaces that are watched, and the answer has no ${metric.namespaceAttribute}. Add it to the query's FACET`,
      );
    const value = metric.measure === "level" ? levelIn(row, wrong) : ratioIn(row, wrong);
    if (value === undefined) continue;
    const key = subject.of === "all" ? "all" : `${subject.namespace}/${subject.name}`;
    const before = found.get(key)?.value;
    found.set(key, {
      subject,
      at: to,
      value: before === undefined ? value : added(before, value, key, wrong),
    });
  }
  return [...found.values()];
}

/** `facet` is one text, or a list in the order of the FACET clause; the attributes stand beside it under their own names, too. */
function groupOf(row: Row, facets: readonly string[], attribute: string): string | undefined {
  const listed = Array.isArray(row["facet"]) ? (row["facet"] as unknown[]) : [row["facet"]];
  const place = facets.indexOf(attribute);
  const value = place === -1 ? row[attribute] : (listed[place] ?? row[attribute]);
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** `percentile(duration, 99) AS value` comes as `{"99": 0.2}`, the other functions as a number, null where nothing was measured. */
function levelIn(row: Row, wrong: (message: string) => SourceError): Value | undefined {
  const value = row["value"];
  if (value === null) return undefined;
  if (typeof value === "number") return { level: value };
  const inner = typeof value === "object" ? Object.values(value) : [];
  const only: unknown = inner[0];
  if (inner.length === 1 && only === null) return undefined;
  if (inner.length === 1 && typeof only === "number") return { level: only };
  throw wrong(`value is ${JSON.stringify(value) ?? "missing"}, not one number. Select one number AS value`);
}

function ratioIn(row: Row, wrong: (message: string) => SourceError): Value | undefined {
  const count = (column: "bad" | "total"): number => {
    const value = row[column];
    if (value === null) return 0;
    if (typeof value === "number" && value >= 0) return value;
    throw wrong(
      `${column} is ${JSON.stringify(value) ?? "missing"}, not a count. Select a count AS ${column}`,
    );
  };
  const [bad, total] = [count("bad"), count("total")];
  if (bad > total)
    throw wrong(`bad is ${bad}, more than total, ${total}: total must count all, the bad ones, too`);
  return { bad, total };
}

function added(before: Value, value: Value, key: string, wrong: (message: string) => SourceError): Value {
  if ("total" in before && "total" in value)
    return { bad: before.bad + value.bad, total: before.total + value.total };
  throw wrong(
    `there are several rows of ${key}, and levels cannot be added up. FACET by namespace and name alone`,
  );
}
