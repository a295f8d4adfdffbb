import { z } from "zod";
import { ApiError, type Cluster } from "../../cluster/cluster.ts";
import type { PrometheusConfig } from "../../config/health-prometheus.ts";
import { messageOf } from "../../errors.ts";
import type { Measured } from "../measured.ts";
import type { Metric, Question, Reading, Source, Value, Watched } from "../metric.ts";
import { presetsOf } from "./presets.ts";
import { type Environment, Correspondent, parsed, secondsIn } from "./saas-request.ts";
import { matcher } from "./saas-query.ts";

export const PROMETHEUS = "prometheus";
/** Environment variable of a bearer token, where Prometheus wants one. */
export const PROMETHEUS_TOKEN = "PATCHGUARD_PROMETHEUS_TOKEN";

interface Asked {
  query: string;
  namespaceLabel: string;
  podLabel: string;
  workloadLabel: string | undefined;
}

const PRESET_LABELS = { namespaceLabel: "namespace", podLabel: "pod", workloadLabel: undefined };

/** @param cluster to reach a Service through the API server */
export function prometheusSources(
  config: PrometheusConfig | undefined,
  cluster: Pick<Cluster, "read">,
  env: Environment = process.env,
): Measured {
  if (config === undefined) return { sources: [], metrics: [] };
  const asked = new Map<string, Asked>();
  const metrics: Metric[] = [];
  for (const name of config.presets) {
    for (const { metric, query } of presetsOf(name, config.presets.length > 1)) {
      metrics.push({ ...metric, source: PROMETHEUS });
      asked.set(metric.name, { query, ...PRESET_LABELS });
    }
  }
  for (const it of config.metrics) {
    const { query, namespaceLabel, podLabel, workloadLabel, quantile, across, ...rest } = it;
    metrics.push({
      ...rest,
      source: PROMETHEUS,
      ...(rest.measure === "histogram" && { quantile }),
      ...(rest.measure === "level" && { across }),
    });
    asked.set(rest.name, { query, namespaceLabel, podLabel, workloadLabel });
  }
  return { sources: [new Prometheus(config, asked, cluster, env)], metrics };
}

/** https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries */
const answerSchema = z.object({
  status: z.enum(["success", "error"]),
  error: z.string().optional(),
  data: z
    .object({
      resultType: z.string(),
      result: z.array(
        z.object({
          metric: z.record(z.string(), z.string()),
          value: z.tuple([z.number(), z.string()]).optional(),
        }),
      ),
    })
    .optional(),
});

type Series = NonNullable<z.output<typeof answerSchema>["data"]>["result"];

class Prometheus implements Source {
  readonly name = PROMETHEUS;
  readonly lagSeconds: number;
  readonly floor = { seconds: 1, why: "its scrape interval" };
  private readonly config: PrometheusConfig;
  private readonly asked: ReadonlyMap<string, Asked>;
  private readonly cluster: Pick<Cluster, "read">;
  private readonly mail: Correspondent;

  constructor(
    config: PrometheusConfig,
    asked: ReadonlyMap<string, Asked>,
    cluster: Pick<Cluster, "read">,
    env: Environment,
  ) {
    this.config = config;
    this.lagSeconds = config.lagSeconds;
    this.asked = asked;
    this.cluster = cluster;
    this.mail = new Correspondent("Prometheus", env);
  }

  async read({ metric, workloads, from, to }: Question, signal: AbortSignal): Promise<Reading[]> {
    const asked = this.asked.get(metric.name);
    if (asked === undefined) return [];
    const query = filled(asked.query, workloads, Math.max(1, Math.round((to - from) / 1000)));
    const series = await this.series(metric.name, query, to, signal);
    const of = asked.workloadLabel === undefined ? "pod" : "workload";
    const match = matcher(workloads, of);
    const groups = new Map<string, { subject: Exclude<Reading["subject"], { of: "all" }>; series: Series }>();
    for (const one of series) {
      const name = one.metric[asked.workloadLabel ?? asked.podLabel];
      if (name === undefined)
        throw this.mail.error(
          `the answer to ${metric.name} has no label ${asked.workloadLabel ?? asked.podLabel}. Group the query by it`,
          { passing: false },
        );
      const subject = match(one.metric[asked.namespaceLabel], name);
      if (typeof subject === "string" || subject.of === "all") continue; // nobody's that is watched
      const key = `${subject.namespace}/${subject.name}`;
      const group = groups.get(key) ?? { subject, series: [] };
      group.series.push(one);
      groups.set(key, group);
    }
    return [...groups.values()].flatMap(({ subject, series: own }): Reading[] => {
      const value = valueOf(metric, own);
      return value === undefined ? [] : [{ subject, at: to, value }];
    });
  }

  private async series(name: string, query: string, to: number, signal: AbortSignal): Promise<Series> {
    const answer = answerSchema.safeParse(await this.ask(name, query, (to / 1000).toFixed(3), signal));
    if (!answer.success || (answer.data.status === "success" && answer.data.data === undefined))
      throw this.mail.error(`the answer to ${name} is none of Prometheus. Check what stands at its address`, {
        passing: true,
      });
    const { status, error = "", data } = answer.data;
    if (status === "error" || data === undefined)
      throw this.mail.error(`it refuses the query of ${name}: ${this.mail.said(error)}`, { passing: false });
    if (data.resultType !== "vector")
      throw this.mail.error(
        `the query of ${name} gives a ${data.resultType}. Write one that gives an instant vector, one series for each pod`,
        { passing: false },
      );
    return data.result;
  }

  private async ask(name: string, query: string, time: string, signal: AbortSignal): Promise<unknown> {
    const { url, service } = this.config;
    const form = new URLSearchParams({ query, time });
    if (service !== undefined) {
      const { namespace, name: of, port } = service;
      const path = `/api/v1/namespaces/${namespace}/services/${of}:${port}/proxy/api/v1/query?${form.toString()}`;
      try {
        return await this.cluster.read(path);
      } catch (error) {
        const status = error instanceof ApiError ? error.status : 0;
        throw this.mail.error(
          `Service ${namespace}/${of}:${port} did not answer through the API server about ${name} (${this.mail.said(messageOf(error))})`,
          { passing: status !== 400 && status !== 403 },
        );
      }
    }
    const token = this.mail.optionalKey(PROMETHEUS_TOKEN);
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const reply = await this.mail.post(`${url?.replace(/\/$/, "")}/api/v1/query`, headers, form, signal);
    const body = parsed(reply.text);
    if (reply.status === 200) return body;
    const said = this.mail.said(answerSchema.safeParse(body).data?.error ?? reply.text);
    if (reply.status === 401 || reply.status === 403)
      throw this.mail.error(
        `it refuses us (${reply.status} ${said}). Set ${PROMETHEUS_TOKEN} to a token that may query, where \`pulumi up\` runs`,
        { passing: false },
      );
    if (reply.status === 400 || reply.status === 422)
      throw this.mail.error(`it refuses the query of ${name}: ${said}. Try it in its own console`, {
        passing: false,
      });
    throw this.mail.error(`it answered ${reply.status} about ${name}: ${said}`, {
      passing: true,
      retryAfterSeconds: secondsIn(reply.header("retry-after")),
    });
  }
}

/** @returns undefined where no number was given (NaN of a division by nothing) */
function valueOf({ measure }: Metric, series: Series): Value | undefined {
  const numbers = series.flatMap(({ metric, value }) => {
    const number = Number(value?.[1]);
    return Number.isFinite(number) ? [{ metric, number }] : [];
  });
  if (numbers.length === 0) return undefined;
  if (measure === "level") return { level: numbers.reduce((sum, { number }) => sum + number, 0) };
  if (measure === "ratio") {
    const sum = (part: string): number =>
      numbers.reduce((total, it) => total + (it.metric["patchguard"] === part ? it.number : 0), 0);
    return { bad: sum("bad"), total: sum("total") };
  }
  const buckets = new Map<number, number>();
  for (const { metric, number } of numbers) {
    const bound = metric["le"] === "+Inf" ? Infinity : Number(metric["le"]);
    if (!Number.isNaN(bound)) buckets.set(bound, (buckets.get(bound) ?? 0) + number);
  }
  return { buckets: [...buckets].toSorted(([a], [b]) => a - b) };
}

/** A list of pods that is longer than this is left to the namespaces: addresses and queries have their limits. Characters. */
const LONGEST_LIST = 6000;

/** The query with its holes filled; names become alternatives of a regular expression within a PromQL string. */
export function filled(template: string, workloads: readonly Watched[], seconds: number): string {
  const oneOf = (names: readonly string[]): string => {
    const list = [...new Set(names)].sort().map(quoted).join("|");
    return list.length > LONGEST_LIST ? ".+" : list;
  };
  const fillings: Record<string, string> = {
    namespaces: oneOf(workloads.map(({ namespace }) => namespace)),
    pods: oneOf(workloads.flatMap(({ pods }) => pods.map(({ name }) => name))),
    workloads: oneOf(workloads.map(({ name }) => name)),
    interval: `${seconds}s`,
  };
  return template.replace(/\{\{\s*(\w+)\s*\}\}/g, (hole, name: string) => fillings[name] ?? hole);
}

/** Names of Kubernetes hold no other character that means something in a regular expression. */
const quoted = (name: string): string => name.replaceAll(".", "\\\\.");
