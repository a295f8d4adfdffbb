import assert from "node:assert/strict";
import { datadog as schema } from "../../../../../rollout/config/health-saas.ts";
import { datadogSources } from "../../../../../rollout/health/sources/datadog.ts";
import { question, refused, SaasStandIn, watched, type Answer } from "./saas-stand-in.ts";

const KEYS = ["0123456789abcdef0123456789abcdef", "ddapp_fedcba9876543210fedcba98765432"] as const;
const ENV = { DD_API_KEY: KEYS[0], DD_APP_KEY: KEYS[1] };
const FROM = 1_800_000_000_000;

const ratio = {
  name: "errors",
  bad: "sum:requests{{{namespaces}} AND status:5xx} by {kube_namespace,pod_name}.as_count()",
  total: "sum:requests{{{namespaces}}} by {kube_namespace,pod_name}.as_count()",
  limit: 0.01,
};
const level = {
  name: "p99",
  query: "p99:duration{{{pods}}} by {kube_namespace,pod_name}",
  across: "max",
  limit: 0.5,
};
const byService = {
  name: "hits",
  query: "sum:hits{{{workloads}}} by {service}.as_rate()",
  workloadTag: "service",
  worse: "lower",
  timesBaseline: 0.8,
};

describe("Datadog", () => {
  const server = new SaasStandIn();
  let url = "";
  before(async () => (url = await server.start()));
  after(() => server.stop());
  beforeEach(() => (server.asked.length = 0));

  const made = (metric: object, env: Record<string, string> = ENV) => {
    const { sources, metrics } = datadogSources(schema.parse({ metrics: [metric] }), { env, url });
    const [source] = sources;
    assert.ok(source);
    return { source, metrics };
  };
  const series = (...lines: [query: number, tags: string[], values: (number | null)[]][]): Answer => ({
    json: {
      data: {
        type: "timeseries_response",
        attributes: {
          series: lines.map(([query, tags]) => ({ group_tags: tags, query_index: query, unit: null })),
          times: (lines[0]?.[2] ?? []).map((_, index) => FROM + index * 15_000),
          values: lines.map(([, , values]) => values),
        },
      },
    },
  });
  const pod = (namespace: string, name: string): string[] => [
    `kube_namespace:${namespace}`,
    `pod_name:${name}`,
  ];
  const read = (metric: object, change = {}) => {
    const { source, metrics } = made(metric);
    return source.read(question(metrics, change), AbortSignal.timeout(20_000));
  };
  const error = (metric: object, answer: Answer) => {
    server.answer = () => answer;
    const { source, metrics } = made(metric);
    return refused(source, question(metrics), KEYS);
  };

  it("asks for both queries of a ratio and all workloads in one request, with both keys", async () => {
    server.answer = () => series([0, pod("shop", "web-1"), [3]], [1, pod("shop", "web-1"), [200]]);
    await read(ratio);
    assert.equal(server.asked.length, 1);
    const { method, url: path, headers, body } = server.asked[0] ?? assert.fail();
    assert.deepEqual([method, path], ["POST", "/api/v2/query/timeseries"]);
    assert.deepEqual([headers["dd-api-key"], headers["dd-application-key"]], [...KEYS]);
    const asked = (name: string, query: string) => ({ data_source: "metrics", name, query });
    assert.deepEqual(body, {
      data: {
        type: "timeseries_request",
        attributes: {
          formulas: [{ formula: "bad" }, { formula: "total" }],
          queries: [
            asked(
              "bad",
              "sum:requests{kube_namespace IN (pay,shop) AND status:5xx} by {kube_namespace,pod_name}.as_count()",
            ),
            asked(
              "total",
              "sum:requests{kube_namespace IN (pay,shop)} by {kube_namespace,pod_name}.as_count()",
            ),
          ],
          from: FROM,
          to: FROM + 15_000,
          interval: 15_000,
        },
      },
    });
  });

  it("a ratio: counts per pod; no errors are 0; errors beyond the total are all; what is not watched is left out", async () => {
    server.answer = () =>
      series(
        [0, pod("shop", "web-1"), [3, null]],
        [0, pod("pay", "api-1"), [9, null]],
        [1, pod("shop", "web-1"), [100, 50]],
        [1, pod("shop", "web-2"), [null, 40]],
        [1, pod("pay", "api-1"), [5, null]],
        [1, pod("other", "web-1"), [7, 7]],
      );
    const at = FROM + 30_000;
    assert.deepEqual(await read(ratio, { to: at }), [
      { subject: { of: "pod", namespace: "shop", name: "web-1" }, at, value: { bad: 3, total: 150 } },
      { subject: { of: "pod", namespace: "pay", name: "api-1" }, at, value: { bad: 9, total: 9 } },
      { subject: { of: "pod", namespace: "shop", name: "web-2" }, at, value: { bad: 0, total: 40 } },
    ]);
  });

  it("a level: the mean of the steps, at the end of the last that has a value; none is no reading", async () => {
    server.answer = () =>
      series([0, pod("shop", "web-1"), [0.2, 0.4, null]], [0, pod("shop", "web-2"), [null, null, null]]);
    const [first, ...rest] = await read(level, { to: FROM + 45_000 });
    assert.deepEqual(rest, []);
    assert.equal(first?.at, FROM + 30_000);
    assert.ok("level" in first.value && Math.abs(first.value.level - 0.3) < 1e-9);
  });

  it("steps are whole and begin within the interval: neighbours share none, nothing from before it is read", async () => {
    server.answer = () => ({
      json: {
        data: {
          attributes: {
            series: [{ group_tags: pod("shop", "web-1"), query_index: 0 }],
            times: [FROM, FROM + 15_000, FROM + 30_000],
            values: [[1, 2, 4]],
          },
        },
      },
    });
    const ask = async (from: number, to: number) =>
      (await read(level, { from, to })).map(({ at, value }) => ({ at, value }));
    assert.deepEqual(await ask(FROM + 1, FROM + 15_001), [{ at: FROM + 30_000, value: { level: 2 } }]);
    assert.deepEqual(await ask(FROM + 15_001, FROM + 30_001), [{ at: FROM + 45_000, value: { level: 4 } }]);
    // shorter than a step: the next one, whose time tells that it is the same sample
    assert.deepEqual(await ask(FROM + 1, FROM + 9000), [{ at: FROM + 30_000, value: { level: 2 } }]);
  });

  it("shifts by its lag and one step, and takes no intervals below a step", () => {
    const { source } = made(level);
    assert.equal(source.lagSeconds, 135);
    assert.equal(source.floor.seconds, 15);
  });

  it("workloads are found by their tag; a namespace that no tag names must not be needed", async () => {
    server.answer = () => series([0, ["service:web"], [12]]);
    const [reading] = await read(byService);
    assert.deepEqual(reading?.subject, { of: "workload", namespace: "shop", name: "web" });
    const { source, metrics } = made(byService);
    const workloads = [watched("shop", "web"), watched("pay", "web")];
    const { message } = await refused(source, question(metrics, { workloads }), KEYS);
    assert.match(message, /service:web is in more than one of the namespaces/);
  });

  it("a list of pods that is too long becomes the namespaces", async () => {
    server.answer = () => ({ json: { data: { attributes: { series: [], times: [], values: [] } } } });
    const pods = Array.from({ length: 400 }, (_, index) => `web-${index}`);
    assert.deepEqual(await read(level, { workloads: [watched("shop", "web", ...pods)] }), []);
    assert.match(JSON.stringify(server.asked[0]?.body), /duration\{kube_namespace:shop\}/);
  });

  it("an empty answer is an answer; no workloads are no question", async () => {
    server.answer = () => series();
    assert.deepEqual(await read(ratio), []);
    assert.deepEqual(await read(ratio, { workloads: [] }), []);
    assert.equal(server.asked.length, 1);
  });

  it("wrong or expired keys do not pass by themselves, and are not repeated", async () => {
    for (const status of [401, 403]) {
      const { message, passing } = await error(ratio, {
        status,
        json: { errors: [`Forbidden: ${KEYS[0]} / ${KEYS[1]}`] },
      });
      assert.match(
        message,
        /^Datadog: it refused the keys \(40[13], Forbidden: \*\*\* \/ \*\*\*\)\. DD_API_KEY or DD_APP_KEY .*timeseries_query/,
      );
      assert.equal(passing, false);
    }
  });

  it("a missing key, and one that no header can carry, are told by the variable's name", async () => {
    const { source, metrics } = made(ratio, { DD_API_KEY: KEYS[0] });
    assert.match(
      (await refused(source, question(metrics), KEYS)).message,
      /DD_APP_KEY is not in the environment/,
    );
    const broken = made(ratio, { ...ENV, DD_APP_KEY: `${KEYS[1]}\nx` });
    const { message, passing } = await refused(broken.source, question(metrics), KEYS);
    assert.match(message, /what DD_APP_KEY holds is no key/);
    assert.equal(passing, false);
    assert.equal(server.asked.length, 0);
  });

  it("a used-up rate limit carries the wait that it asks for", async () => {
    const headers = { "x-ratelimit-limit": "100", "x-ratelimit-period": "60", "x-ratelimit-reset": "17" };
    const limited = await error(ratio, { status: 429, headers, json: { errors: ["Too many requests"] } });
    assert.match(limited.message, /rate limit of 100 requests in 60 s is used up for another 17 s/);
    assert.deepEqual([limited.passing, limited.retryAfterSeconds], [true, 17]);
    const bare = await error(ratio, { status: 429, json: {} });
    assert.deepEqual([bare.passing, bare.retryAfterSeconds], [true, undefined]);
  });

  it("a refused query names the metric; an overloaded service may pass", async () => {
    const refusal = await error(ratio, { status: 400, json: { errors: ["Rule 'scope_expr' didn't match"] } });
    assert.match(refusal.message, /metric errors: it refused the query \(400, Rule 'scope_expr'/);
    assert.equal(refusal.passing, false);
    const overload = await error(ratio, { status: 503, text: "<html>unavailable</html>" });
    assert.match(overload.message, /cannot answer now \(503/);
    assert.equal(overload.passing, true);
  });

  it("an answer with errors in it is never taken for whole", async () => {
    const whole = series([0, pod("shop", "web-1"), [1]], [1, pod("shop", "web-1"), [1]]).json as object;
    const { message } = await error(ratio, { json: { ...whole, errors: "query timed out" } });
    assert.match(message, /metric errors: the query failed: query timed out/);
  });

  it("malformed answers are told, not guessed at", async () => {
    const attributes = {
      series: [{ group_tags: pod("shop", "web-1"), query_index: 0 }],
      times: [FROM],
      values: [],
    };
    assert.match(
      (await error(level, { text: "<html>login</html>" })).message,
      /not what the API documents \(<html>login/,
    );
    assert.match(
      (await error(level, { json: { data: { attributes: { series: 1 } } } })).message,
      /not what the API documents/,
    );
    assert.match((await error(level, { json: { data: { attributes } } })).message, /do not fit together/);
    assert.match(
      (await error(level, series([0, ["host:a"], [1]]))).message,
      /not grouped by pod_name \(host:a\)/,
    );
    const twice = series([0, pod("shop", "web-1"), [1]], [0, pod("shop", "web-1"), [2]]);
    assert.match((await error(level, twice)).message, /several series of pod shop\/web-1/);
  });

  it("other steps than those asked for are an error, not an absence", async () => {
    server.answer = () => ({
      json: {
        data: {
          attributes: {
            series: [{ group_tags: pod("shop", "web-1"), query_index: 0 }],
            times: [FROM - 60_000],
            values: [[1]],
          },
        },
      },
    });
    const { source, metrics } = made(level);
    assert.match((await refused(source, question(metrics), KEYS)).message, /answered in other steps/);
  });

  it("the caller's deadline ends a slow answer, and no connection is told in words", async () => {
    const deadline = new AbortController();
    server.answer = () => {
      deadline.abort();
      return { hang: true };
    };
    const { source, metrics } = made(level);
    const slow = await refused(source, question(metrics), KEYS, deadline.signal);
    assert.match(slow.message, /no answer within the deadline/);
    assert.equal(slow.passing, true);
    const gone = new SaasStandIn();
    const address = await gone.start();
    await gone.stop();
    const [nobody] = datadogSources(schema.parse({ metrics: [level] }), { env: ENV, url: address }).sources;
    assert.match(
      (await refused(nobody ?? assert.fail(), question(metrics), KEYS)).message,
      /connection refused/,
    );
  });

  it("a redirect is not followed: the keys stay where they belong", async () => {
    await error(level, { status: 302, headers: { location: `${url}/elsewhere` }, json: {} });
    assert.equal(server.asked.length, 1);
  });
});
