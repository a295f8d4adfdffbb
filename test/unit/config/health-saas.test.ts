import assert from "node:assert/strict";
import { datadog, newRelic } from "../../../rollout/config/health-saas.ts";
import { problemsOf } from "../../../rollout/config/problems.ts";

type Schema = typeof datadog | typeof newRelic;

const problems = (schema: Schema, value: unknown): string[] => {
  const result = schema.safeParse(value);
  return result.success ? [] : problemsOf(result.error, "h").map(({ path, reason }) => `${path}: ${reason}`);
};

describe("config: Datadog", () => {
  const BY = "by {kube_namespace,pod_name}";
  const metric = (change: object): unknown => ({ metrics: [{ name: "m", limit: 1, ...change }] });
  const refuses = (value: unknown, reason: RegExp): void =>
    assert.match(problems(datadog, value).join("\n"), reason);

  it("a level and a ratio are taken, with defaults", () => {
    const { site, lagSeconds, metrics } = datadog.parse(metric({ query: `avg:m{{{namespaces}}} ${BY}` }));
    assert.deepEqual([site, lagSeconds], ["datadoghq.com", 120]);
    assert.deepEqual(
      [metrics[0]?.podTag, metrics[0]?.across, metrics[0]?.worse],
      ["pod_name", "mean", "higher"],
    );
    const count = `sum:m{*} ${BY}.as_count()`;
    assert.deepEqual(
      problems(datadog, { site: "us5.datadoghq.com", ...(metric({ bad: count, total: count }) as object) }),
      [],
    );
  });

  it("a metric is a level or a ratio, is grouped, counts, and is judged", () => {
    const query = `avg:m{*} ${BY}`;
    refuses(metric({}), /h\.metrics\[0\]\.query: is missing: query \(a level\), or bad and total/);
    refuses(metric({ query, bad: query }), /query: is of a level/);
    refuses(metric({ bad: `${query}.as_count()` }), /total: is missing/);
    refuses(metric({ bad: query, total: query }), /bad: must end in \.as_count\(\)/);
    refuses(metric({ query: "avg:m{*} by {host}" }), /must be grouped by pod_name/);
    refuses(metric({ query, workloadTag: "service" }), /must be grouped by service/);
    refuses(metric({ query: `avg:m{{{pod}}} ${BY}` }), /\{\{pod\}\} is no placeholder/);
    refuses(metric({ query: `avg:m{{{workloads}}} ${BY}` }), /needs workloadTag/);
    refuses(
      metric({ query, limit: undefined }),
      /limit: is missing: a metric has limit, timesBaseline or both/,
    );
  });

  it("keys go to Datadog alone, and do not stand in the config", () => {
    const rest = metric({ query: `avg:m{*} ${BY}` }) as object;
    refuses({ ...rest, site: "app.datadoghq.com" }, /the site is what follows app\./);
    refuses({ ...rest, site: "datadoghq.com.evil.example" }, /is no Datadog site/);
    refuses({ ...rest, apiKey: "x" }, /apiKey: is not a setting/);
  });
});

describe("config: New Relic", () => {
  const FACET = "FACET k8s.namespaceName, k8s.podName";
  const metric = (query: string, change: object = {}): unknown => ({
    accountId: 1,
    metrics: [{ name: "m", limit: 1, measure: "level", query, ...change }],
  });
  const refuses = (value: unknown, reason: RegExp): void =>
    assert.match(problems(newRelic, value).join("\n"), reason);

  it("a level and a ratio are taken; quoted text and subqueries may say what they like", () => {
    const query = `SELECT max(x) AS value FROM T WHERE n = 'SINCE' AND a IN (SELECT a FROM U LIMIT 5) ${FACET}`;
    assert.deepEqual(problems(newRelic, metric(query)), []);
    const ratio = `SELECT sum(b) AS 'bad', count(*) AS total FROM T ${FACET}`;
    assert.deepEqual(problems(newRelic, metric(ratio, { measure: "ratio" })), []);
  });

  it("what PatchGuard adds, and what it could not read, is refused", () => {
    refuses(metric(`SELECT max(x) AS value FROM T ${FACET} SINCE 1 hour ago`), /must not say SINCE/);
    refuses(metric(`SELECT max(x) AS value FROM T ${FACET} LIMIT 10`), /must not say LIMIT/);
    refuses(metric(`SELECT max(x) AS value FROM T ${FACET} TIMESERIES`), /must not say TIMESERIES/);
    refuses(metric(`SELECT max(x) FROM T ${FACET}`), /… AS value/);
    refuses(metric(`SELECT count(*) AS total FROM T ${FACET}`, { measure: "ratio" }), /… AS bad/);
    refuses(metric("SELECT max(x) AS value FROM T"), /must end in FACET k8s\.namespaceName, k8s\.podName/);
    refuses(metric(`SELECT max(x) AS value FROM T WHERE {{workloads}} ${FACET}`), /needs workloadAttribute/);
  });

  it("an account is a number, a region one of two", () => {
    const { metrics } = metric(`SELECT max(x) AS value FROM T ${FACET}`) as { metrics: unknown };
    refuses({ metrics }, /h\.accountId: is missing/);
    refuses({ accountId: 1, region: "jp", metrics }, /must be us or eu/);
  });
});
