import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { ApiError } from "../../../../../rollout/cluster/cluster.ts";
import { prometheus } from "../../../../../rollout/config/health-prometheus.ts";
import type { Measured } from "../../../../../rollout/health/measured.ts";
import { type Metric, SourceError, type Watched } from "../../../../../rollout/health/metric.ts";
import { filled, prometheusSources } from "../../../../../rollout/health/sources/prometheus.ts";

interface Answer {
  status?: number;
  body: unknown;
  headers?: Record<string, string>;
}

const pod = (name: string) => ({ name, uid: name, node: "n", generation: "green" as const, limits: {} });
const WORKLOADS: Watched[] = [
  { namespace: "shop", kind: "Deployment", name: "web", pods: [pod("web-1"), pod("web-2")] },
  { namespace: "db", kind: "StatefulSet", name: "pg.main", pods: [pod("pg.main-0")] },
];
const vector = (...result: [metric: Record<string, string>, value: string][]): Answer => ({
  body: {
    status: "success",
    data: {
      resultType: "vector",
      result: result.map(([metric, value]) => ({ metric, value: [1700000000, value] })),
    },
  },
});
const of = (name: string, more: Record<string, string> = {}): Record<string, string> => ({
  namespace: "shop",
  pod: name,
  ...more,
});

describe("Prometheus as a source", () => {
  let server: Server;
  let url: string;
  let answer: Answer = vector();
  const requests: { path: string; form: URLSearchParams; authorization: string | undefined }[] = [];

  before(async () => {
    server = createServer((request: IncomingMessage, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        requests.push({
          path: request.url ?? "",
          form: new URLSearchParams(text),
          authorization: request.headers.authorization,
        });
        const { status = 200, body, headers = {} } = answer;
        response.writeHead(status, headers);
        response.end(typeof body === "string" ? body : JSON.stringify(body));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());
  beforeEach(() => requests.splice(0));

  const cluster = { read: (): Promise<unknown> => Promise.reject(new Error("not asked")) };
  const made = (config: object, env: Record<string, string> = {}): Measured =>
    prometheusSources(prometheus.parse({ url, ...config }), cluster, env);
  const ask = ({ sources, metrics }: Measured, name: string) => {
    const metric = metrics.find((it) => it.name === name) as Metric;
    const [source] = sources;
    assert.ok(source && metric);
    const question = { metric, workloads: WORKLOADS, from: 1_700_000_000_000, to: 1_700_000_015_000 };
    return source.read(question, new AbortController().signal);
  };
  const refusal = async (
    config: object,
    name: string,
    env?: Record<string, string>,
  ): Promise<SourceError> => {
    const error: unknown = await ask(made(config, env), name).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof SourceError, String(error));
    return error;
  };
  const level = { metrics: [{ name: "queue", query: "queue", limit: 10 }] };

  it("asks once for all workloads, at the interval's end", async () => {
    answer = vector([of("web-1"), "3"], [of("web-2"), "5"], [of("other-1"), "9"]);
    const query =
      'sum by (namespace, pod) (q{namespace=~"{{namespaces}}",pod=~"{{pods}}"} offset {{interval}})';
    const readings = await ask(made({ metrics: [{ name: "queue", query, limit: 10 }] }), "queue");
    assert.equal(requests.length, 1);
    assert.equal(requests[0]?.path, "/api/v1/query");
    assert.equal(requests[0]?.form.get("time"), "1700000015.000");
    assert.equal(
      requests[0]?.form.get("query"),
      'sum by (namespace, pod) (q{namespace=~"db|shop",pod=~"pg\\\\.main-0|web-1|web-2"} offset 15s)',
    );
    assert.deepEqual(
      readings.map(({ subject, value }) => [subject.of === "pod" && subject.name, value]),
      [
        ["web-1", { level: 3 }],
        ["web-2", { level: 5 }],
      ],
    );
  });

  it("counts bad ones among all of a preset, each pod by itself; no bad series is no bad request", async () => {
    answer = vector(
      [of("web-1", { patchguard: "bad" }), "5"],
      [of("web-1", { patchguard: "total" }), "100"],
      [of("web-2", { patchguard: "total" }), "50"],
    );
    const readings = await ask(made({ presets: ["http"] }), "errors");
    assert.deepEqual(
      readings.map(({ value }) => value),
      [
        { bad: 5, total: 100 },
        { bad: 0, total: 50 },
      ],
    );
  });

  it("reads buckets, whatever their order", async () => {
    answer = vector(
      [of("web-1", { le: "+Inf" }), "10"],
      [of("web-1", { le: "0.1" }), "7"],
      [of("web-1", { le: "0.5" }), "9"],
    );
    const [reading] = await ask(made({ presets: ["http"] }), "p99");
    assert.deepEqual(reading?.value, {
      buckets: [
        [0.1, 7],
        [0.5, 9],
        [Infinity, 10],
      ],
    });
  });

  it("says nothing of a pod whose number is none, and nothing at all of an empty answer", async () => {
    answer = vector([of("web-1"), "NaN"], [of("web-2"), "1"]);
    assert.equal((await ask(made(level), "queue")).length, 1);
    answer = vector();
    assert.deepEqual(await ask(made(level), "queue"), []);
  });

  it("names presets by themselves, by their library where there are several", () => {
    const names = (presets: string[]): string[] => made({ presets }).metrics.map(({ name }) => name);
    assert.deepEqual(names(["http"]), ["errors", "p99", "throughput"]);
    assert.ok(names(["http", "istio"]).includes("istio p99"));
  });

  it("goes through the API server to a Service", async () => {
    const paths: string[] = [];
    const read = (path: string): Promise<unknown> => {
      paths.push(path);
      return Promise.resolve(vector([of("web-1"), "3"]).body);
    };
    const service = { namespace: "monitoring", name: "prometheus", port: 9090 };
    const measured = prometheusSources(prometheus.parse({ service, ...level }), { read }, {});
    assert.equal((await ask(measured, "queue")).length, 1);
    assert.match(
      paths[0] ?? "",
      /^\/api\/v1\/namespaces\/monitoring\/services\/prometheus:9090\/proxy\/api\/v1\/query\?query=queue&time=1700000015/,
    );
    const gone = (): Promise<unknown> =>
      Promise.reject(new ApiError(503, "ServiceUnavailable", "no endpoints available for service"));
    const failing = prometheusSources(prometheus.parse({ service, ...level }), { read: gone }, {});
    await assert.rejects(
      () => ask(failing, "queue"),
      /Service monitoring\/prometheus:9090 did not answer .*no endpoints available/,
    );
  });

  describe("passes on in words", () => {
    const wrongs: [string, Answer, RegExp, boolean][] = [
      [
        "a wrong query",
        { status: 400, body: { status: "error", errorType: "bad_data", error: "parse error at char 3" } },
        /it refuses the query of queue: parse error at char 3/,
        false,
      ],
      ["a wrong token", { status: 401, body: "Unauthorized" }, /PATCHGUARD_PROMETHEUS_TOKEN/, false],
      ["a server in trouble", { status: 503, body: "shutting down" }, /answered 503 .*shutting down/, true],
      ["something else at that address", { body: "<html>" }, /is none of Prometheus/, true],
      [
        "a matrix",
        { body: { status: "success", data: { resultType: "matrix", result: [] } } },
        /gives a matrix/,
        false,
      ],
      ["series without the label", vector([{ namespace: "shop" }, "1"]), /has no label pod/, false],
    ];
    for (const [what, given, message, passing] of wrongs) {
      it(what, async () => {
        answer = given;
        const error = await refusal(level, "queue");
        assert.match(error.message, message);
        assert.equal(error.passing, passing);
      });
    }

    it("a rate limit, and how long it asks to wait", async () => {
      answer = { status: 429, body: "slow down", headers: { "retry-after": "42" } };
      assert.equal((await refusal(level, "queue")).retryAfterSeconds, 42);
    });

    it("a server that is not there", async () => {
      const error = await refusal({ url: "http://127.0.0.1:9", ...level }, "queue");
      assert.match(error.message, /127\.0\.0\.1:9 cannot be asked/);
      assert.ok(error.passing);
    });

    it("never the token", async () => {
      answer = { status: 500, body: "what is secret-token-123 doing here" };
      const error = await refusal(level, "queue", { PATCHGUARD_PROMETHEUS_TOKEN: "secret-token-123" });
      assert.equal(requests[0]?.authorization, "Bearer secret-token-123");
      assert.doesNotMatch(error.message, /secret-token/);
    });
  });

  it("fills names of Kubernetes so that each matches itself and nothing else", () => {
    const name = fc.stringMatching(/^[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?$/);
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 5 }), name, (names, other) => {
        const watched = names.map((it) => ({ namespace: "a", kind: "Deployment", name: it, pods: [] }));
        const string = filled("{{workloads}}", watched, 15);
        const regex = new RegExp(`^(?:${JSON.parse(`"${string}"`) as string})$`);
        assert.ok(names.every((it) => regex.test(it)));
        assert.equal(regex.test(other), names.includes(other));
      }),
    );
  });

  it("leaves very long lists to the namespaces", () => {
    const pods = Array.from({ length: 1000 }, (_, at) => pod(`web-7d4c8cc88c-${at}`));
    const text = filled(
      "{{pods}} {{namespaces}}",
      [{ namespace: "shop", kind: "Deployment", name: "web", pods }],
      15,
    );
    assert.equal(text, ".+ shop");
  });
});
