import assert from "node:assert/strict";
import { newRelic as schema } from "../../../../../rollout/config/health-saas.ts";
import { FACET_LIMIT, newRelicSources } from "../../../../../rollout/health/sources/newrelic.ts";
import { question, refused, SaasStandIn, watched, type Answer } from "./saas-stand-in.ts";

const KEY = "NRAK-0123456789ABCDEFGHIJKLMNOPQ";
const FROM = 1_800_000_000_000;
const TO = FROM + 15_000;
const FACET = "FACET k8s.namespaceName, k8s.podName";

const ratio = {
  name: "errors",
  measure: "ratio",
  query: `SELECT filter(count(*), WHERE error IS true) AS bad, count(*) AS total FROM Transaction WHERE {{namespaces}} ${FACET}`,
  limit: 0.01,
};
const level = {
  name: "p99",
  measure: "level",
  query: `SELECT percentile(duration, 99) AS value FROM Transaction WHERE {{pods}} ${FACET}`,
  across: "max",
  limit: 0.5,
};

describe("New Relic", () => {
  const server = new SaasStandIn();
  let url = "";
  before(async () => (url = await server.start()));
  after(() => server.stop());
  beforeEach(() => (server.asked.length = 0));

  const made = (metric: object, env: Record<string, string> = { NEW_RELIC_API_KEY: KEY }) => {
    const config = schema.parse({ accountId: 42, metrics: [metric] });
    const { sources, metrics } = newRelicSources(config, { env, url });
    const [source] = sources;
    assert.ok(source);
    return { source, metrics };
  };
  const rows = (results: object[], metadata: object = {}): Answer => ({
    json: {
      data: {
        actor: {
          account: {
            nrql: {
              results,
              metadata: { facets: ["k8s.namespaceName", "k8s.podName"], messages: [], ...metadata },
            },
          },
        },
      },
    },
  });
  const row = (namespace: string, pod: string, values: object): object => ({
    facet: [namespace, pod],
    ...values,
  });
  const read = (metric: object, change = {}) => {
    const { source, metrics } = made(metric);
    return source.read(question(metrics, change), AbortSignal.timeout(20_000));
  };
  const error = (metric: object, answer: Answer) => {
    server.answer = () => answer;
    const { source, metrics } = made(metric);
    return refused(source, question(metrics), [KEY]);
  };
  const graphql = (message: string, errorClass?: string): Answer => ({
    json: { data: { actor: null }, errors: [{ message, extensions: { errorClass } }] },
  });

  it("asks for all workloads in one request, with the key, the account, the limit and the interval", async () => {
    server.answer = () => rows([]);
    assert.deepEqual(await read(ratio), []);
    assert.equal(server.asked.length, 1);
    const { headers, body } = server.asked[0] ?? assert.fail();
    assert.equal(headers["api-key"], KEY);
    const { query, variables } = body as { query: string; variables: Record<string, unknown> };
    assert.match(query, /\$account: Int!, \$nrql: Nrql!, \$timeout: Seconds/);
    assert.deepEqual(variables, {
      account: 42,
      nrql: `SELECT filter(count(*), WHERE error IS true) AS bad, count(*) AS total FROM Transaction WHERE k8s.namespaceName IN ('pay', 'shop') ${FACET} LIMIT 5000 SINCE ${FROM} UNTIL ${TO}`,
      timeout: 8,
    });
  });

  it("a ratio: counts per pod; what is not watched is left out", async () => {
    server.answer = () =>
      rows([
        row("shop", "web-1", { bad: 2, total: 100 }),
        row("shop", "web-1", { bad: 1, total: 10 }),
        row("pay", "api-1", { bad: null, total: 7 }),
        row("other", "web-1", { bad: 9, total: 9 }),
      ]);
    assert.deepEqual(await read(ratio), [
      { subject: { of: "pod", namespace: "shop", name: "web-1" }, at: TO, value: { bad: 3, total: 110 } },
      { subject: { of: "pod", namespace: "pay", name: "api-1" }, at: TO, value: { bad: 0, total: 7 } },
    ]);
  });

  it("a level: a number or one percentile; nothing measured is no reading", async () => {
    server.answer = () =>
      rows([
        row("shop", "web-1", { value: { "99": 0.25 } }),
        row("shop", "web-2", { value: 0.5 }),
        row("pay", "api-1", { value: { "99": null } }),
      ]);
    assert.deepEqual(
      (await read(level)).map(({ value }) => value),
      [{ level: 0.25 }, { level: 0.5 }],
    );
  });

  it("groups by one attribute come as text; a name in two namespaces needs the other one", async () => {
    const metric = {
      ...level,
      query: "SELECT average(duration) AS value FROM Span WHERE {{workloads}} FACET service.name",
      workloadAttribute: "service.name",
    };
    server.answer = () =>
      rows([{ facet: "web", "service.name": "web", value: 1 }], { facets: ["service.name"] });
    assert.deepEqual((await read(metric))[0]?.subject, { of: "workload", namespace: "shop", name: "web" });
    const { source, metrics } = made(metric);
    const workloads = [watched("shop", "web"), watched("pay", "web")];
    const { message } = await refused(source, question(metrics, { workloads }), [KEY]);
    assert.match(message, /service\.name web is in more than one/);
  });

  it("as many groups as there can be may lack some: an error, never taken for whole", async () => {
    const many = (count: number): Answer =>
      rows(Array.from({ length: count }, (_, index) => row("other", `p-${index}`, { bad: 0, total: 1 })));
    server.answer = () => many(FACET_LIMIT - 1);
    assert.deepEqual(await read(ratio), []);
    const { message, passing } = await error(ratio, many(FACET_LIMIT));
    assert.match(message, /metric errors: the answer has 5000 groups/);
    assert.equal(passing, false);
    const told = await error(ratio, rows([], { messages: ["Inspected event limit exceeded"] }));
    assert.match(told.message, /may not be whole: Inspected event limit exceeded/);
  });

  it("an answer for a wider interval would bring in what was before: an error", async () => {
    const widened = { timeWindow: { begin: FROM - 45_000, end: TO } };
    const { message } = await error(level, rows([row("shop", "web-1", { value: 1 })], widened));
    assert.match(message, /it answered for 2027-.* asked for .*rolled up/);
    server.answer = () =>
      rows([row("shop", "web-1", { value: 1 })], { timeWindow: { begin: FROM, end: TO } });
    assert.equal((await read(level)).length, 1);
  });

  it("errors come with status 200, and are told apart", async () => {
    const cases: [Answer, RegExp, boolean][] = [
      [
        graphql("NRQL Syntax Error: Error at line 1", "INVALID_INPUT"),
        /metric errors: it refused the query \(INVALID_INPUT, NRQL Syntax/,
        false,
      ],
      [graphql("query timed out", "TIMEOUT"), /took longer than 8 s \(TIMEOUT/, true],
      [graphql("slow down", "TOO_MANY_REQUESTS"), /rate limit is used up/, true],
      [
        graphql(`${KEY} may not read this account`, "ACCESS_DENIED"),
        /refused the key \(ACCESS_DENIED, \*\*\* may not.*renew it/,
        false,
      ],
      [graphql("an unknown trouble"), /the query failed \(an unknown trouble\)/, true],
      [{ json: { data: { actor: { account: null } } } }, /account 42 gave no answer/, false],
      [{ json: { data: { actor: { account: { nrql: null } } } } }, /account 42 gave no answer/, false],
    ];
    for (const [answer, message, passing] of cases) {
      const told = await error(ratio, answer);
      assert.match(told.message, message);
      assert.equal(told.passing, passing, told.message);
    }
  });

  it("results beside errors are a part, and are not taken", async () => {
    const part = rows([row("shop", "web-1", { bad: 0, total: 9 })]).json as object;
    const { message } = await error(ratio, { json: { ...part, errors: [{ message: "one shard failed" }] } });
    assert.match(message, /one shard failed/);
  });

  it("an expired key, a rate limit, an overload and a proxy's page by their status", async () => {
    for (const status of [401, 403]) {
      const told = await error(ratio, { status, json: { errors: [{ message: `Invalid ${KEY}` }] } });
      assert.match(
        told.message,
        /^New Relic: it refused the key \(40[13], Invalid \*\*\*\)\. NEW_RELIC_API_KEY must be/,
      );
      assert.equal(told.passing, false);
    }
    const limited = await error(ratio, { status: 429, headers: { "retry-after": "30" }, json: {} });
    assert.deepEqual([limited.passing, limited.retryAfterSeconds], [true, 30]);
    assert.equal((await error(ratio, { status: 502, text: "bad gateway" })).passing, true);
    assert.match(
      (await error(ratio, { text: "<html>login</html>" })).message,
      /not what NerdGraph documents/,
    );
  });

  it("values that are none are told, not guessed at", async () => {
    const pod = (values: object): Answer => rows([row("shop", "web-1", values)]);
    assert.match((await error(level, pod({ value: { "95": 1, "99": 2 } }))).message, /not one number/);
    assert.match((await error(level, pod({ other: 1 }))).message, /value is missing/);
    assert.match((await error(ratio, pod({ bad: 1 }))).message, /total is missing/);
    assert.match((await error(ratio, pod({ bad: 3, total: 1 }))).message, /more than total/);
    assert.match((await error(ratio, rows([{ bad: 0, total: 1 }]))).message, /not grouped by k8s\.podName/);
    const twice = rows([row("shop", "web-1", { value: 1 }), row("shop", "web-1", { value: 2 })]);
    assert.match((await error(level, twice)).message, /several rows of shop\/web-1/);
  });

  it("a missing key is told by its variable; a slow answer ends at the deadline", async () => {
    const { source, metrics } = made(ratio, {});
    assert.match(
      (await refused(source, question(metrics), [KEY])).message,
      /NEW_RELIC_API_KEY is not in the environment/,
    );
    const deadline = new AbortController();
    server.answer = () => {
      deadline.abort();
      return { hang: true };
    };
    const slow = await refused(made(ratio).source, question(metrics), [KEY], deadline.signal);
    assert.match(slow.message, /no answer within the deadline/);
    assert.equal(slow.passing, true);
  });
});
