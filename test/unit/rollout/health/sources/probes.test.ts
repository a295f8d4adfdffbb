import assert from "node:assert/strict";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import * as grpc from "@grpc/grpc-js";
import { systemClock } from "../../../../../rollout/clock.ts";
import { ApiError, type Cluster, type Visited } from "../../../../../rollout/cluster/cluster.ts";
import { health } from "../../../../../rollout/config/health.ts";
import { type Question, SourceError } from "../../../../../rollout/health/metric.ts";
import { asked, told } from "../../../../../rollout/health/sources/probe/grpc.ts";
import { probeSources } from "../../../../../rollout/health/sources/probes.ts";
import { type LogLine, RunLog } from "../../../../../rollout/log.ts";

const listening = async (server: HttpServer | Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
};

const unasked: Pick<Cluster, "visit"> = { visit: () => Promise.reject(new Error("not asked")) };

describe("probes as sources", () => {
  let log: LogLine[] = [];
  beforeEach(() => void (log = []));

  const made = (probe: object, cluster = unasked) => {
    const config = health.parse({ probes: [{ name: "front", timeoutSeconds: 14, ...probe }] });
    const { sources, metrics } = probeSources(
      config,
      cluster,
      new RunLog(systemClock, [(it) => log.push(it)]),
    );
    const [[source], [metric]] = [sources, metrics];
    assert.ok(source && metric);
    return { source, metric };
  };
  const question = (metric: Question["metric"]): Question => ({ metric, workloads: [], from: 0, to: 15_000 });
  /** @returns why it failed; undefined where it went well */
  const probe = async (config: object, cluster = unasked, signal = new AbortController().signal) => {
    const { source, metric } = made(config, cluster);
    const [reading] = await source.read(question(metric), signal);
    assert.ok(reading && "failed" in reading.value);
    assert.equal(reading.at, 15_000);
    return reading.value.failed;
  };
  const refusal = async (config: object, cluster = unasked): Promise<SourceError> => {
    const error: unknown = await probe(config, cluster).catch((reason: unknown) => reason);
    assert.ok(error instanceof SourceError, String(error));
    return error;
  };

  it("are metrics of their own, or of a workload", () => {
    const tcp = { host: "db", port: 5432 };
    assert.equal(made({ tcp }).metric.name, "probe front");
    assert.equal(made({ tcp }).metric.about, "probe front");
    assert.equal(made({ tcp, workload: "Deployment shop/web" }).metric.about, "Deployment shop/web");
  });

  it("tell when they begin to fail, and when they are well again, once each", async () => {
    let well = false;
    const answers = createHttpServer((_request, response) => void response.writeHead(well ? 200 : 500).end());
    try {
      const { source, metric } = made({ http: { url: `http://127.0.0.1:${await listening(answers)}/` } });
      for (const now of [true, false, false, true, true]) {
        well = now;
        await source.read(question(metric), new AbortController().signal);
      }
      assert.deepEqual(
        log.map(({ level, message }) => `${level} ${message.replace(/:\d+/, "")}`),
        ["warning probe front failed: http://127.0.0.1/ answered 500", "info probe front is well again"],
      );
    } finally {
      answers.close();
    }
  });

  describe("over HTTP", () => {
    let server: HttpServer;
    let url: string;
    let answer: { status?: number; body?: string; location?: string } | "silence" | "half" = {};
    const seen: string[] = [];
    before(async () => {
      server = createHttpServer((request, response) => {
        seen.push(request.url ?? "");
        if (answer === "silence") return;
        if (answer === "half") return void response.writeHead(200).write("ready, nearly");
        const { status = 200, body = "ok", location } = answer;
        response.writeHead(status, location === undefined ? {} : { location }).end(body);
      });
      url = `http://127.0.0.1:${await listening(server)}`;
    });
    after(() => {
      server.closeAllConnections();
      server.close();
    });
    beforeEach(() => {
      answer = {};
      seen.splice(0);
    });

    it("are well at 200 to 399, and follow no redirect", async () => {
      assert.equal(await probe({ http: { url: `${url}/healthz?full=1` } }), undefined);
      answer = { status: 302, location: "/elsewhere" };
      assert.equal(await probe({ http: { url } }), undefined);
      assert.deepEqual(seen, ["/healthz?full=1", "/"]);
    });

    it("fail with status and body, and without the address' query", async () => {
      answer = { status: 503, body: "the database\nis away" };
      assert.equal(
        await probe({ http: { url: `${url}/healthz?full=1` } }),
        `${url}/healthz answered 503: the database is away`,
      );
      answer = { status: 404, body: "<html>…" };
      assert.equal(await probe({ http: { url: `${url}/` } }), `${url}/ answered 404`);
    });

    it("fail at another status than those that are expected", async () => {
      assert.match((await probe({ http: { url, status: [204, 401] } })) ?? "", /answered 200/);
      answer = { status: 401 };
      assert.equal(await probe({ http: { url, status: [204, 401] } }), undefined);
    });

    it("fail without the text that is expected", async () => {
      answer = { body: '{"state":"starting"}' };
      assert.match(
        (await probe({ http: { url, contains: '"ready"' } })) ?? "",
        /answered 200 without "\\"ready\\"" in its body/,
      );
      answer = { body: '{"state":"ready"}' };
      assert.equal(await probe({ http: { url, contains: '"ready"' } }), undefined);
    });

    it("fail when nothing comes in time, or only a part", async () => {
      for (const way of ["silence", "half"] as const) {
        answer = way;
        assert.equal(
          await probe({ http: { url, contains: "x" }, timeoutSeconds: 1 }),
          "no answer within 1 s",
        );
      }
    });

    it("fail when nobody listens, or the name is nobody's", async () => {
      const gone = createServer();
      const port = await listening(gone);
      await new Promise((resolve) => gone.close(resolve));
      assert.match(
        (await probe({ http: { url: `http://127.0.0.1:${port}/` } })) ?? "",
        /^http:\/\/127.0.0.1:\d+\/ cannot be reached: connection refused \(ECONNREFUSED\)$/,
      );
      assert.match(
        (await probe({ http: { url: "http://nobody.invalid/" } })) ?? "",
        /cannot be reached: (no such host|host name cannot be resolved)|no answer/,
      );
    });

    it("say nothing when the run ends meanwhile", async () => {
      answer = "silence";
      const end = new AbortController();
      const under = probe({ http: { url } }, unasked, end.signal);
      end.abort(new Error("the run ended"));
      await assert.rejects(under, /the run ended/);
    });

    it("read no more of an endless answer than they need", async () => {
      answer = { body: `${"x".repeat(300 * 1024)}ready` };
      assert.match((await probe({ http: { url, contains: "ready" } })) ?? "", /without "ready"/);
      assert.equal(await probe({ http: { url } }), undefined);
    });
  });

  describe("over HTTP through the API server", () => {
    const http = { service: { namespace: "shop", name: "web", port: 8080 }, path: "/healthz?full=1" };
    const answering = (answer: Partial<Visited> | Error, paths: string[] = []): Pick<Cluster, "visit"> => ({
      visit: (path) => {
        paths.push(path);
        return answer instanceof Error
          ? Promise.reject(answer)
          : Promise.resolve({ status: 200, body: "", refusal: undefined, ...answer });
      },
    });

    it("ask the Service's proxy", async () => {
      const paths: string[] = [];
      assert.equal(await probe({ http }, answering({}, paths)), undefined);
      const tls = { service: { ...http.service, scheme: "https" } };
      assert.equal(await probe({ http: tls }, answering({}, paths)), undefined);
      assert.deepEqual(paths, [
        "/api/v1/namespaces/shop/services/web:8080/proxy/healthz?full=1",
        "/api/v1/namespaces/shop/services/https:web:8080/proxy/",
      ]);
    });

    it("fail when the Service does, or cannot be reached", async () => {
      assert.equal(
        await probe({ http }, answering({ status: 500, body: "no" })),
        "Service shop/web:8080/healthz answered 500: no",
      );
      const refusal = { reason: "ServiceUnavailable", message: 'no endpoints available for service "web"' };
      assert.equal(
        await probe({ http }, answering({ status: 503, refusal })),
        'Service shop/web:8080 was not reached by the API server: no endpoints available for service "web"',
      );
    });

    it("are no answer when the API server itself refuses, or does not answer", async () => {
      const forbidden = { reason: "Forbidden", message: 'services "web" is forbidden' };
      const missing = await refusal({ http }, answering({ status: 403, refusal: forbidden }));
      assert.match(
        missing.message,
        /Service shop\/web:8080 cannot be asked .*403.*Grant `get` on services\/proxy/,
      );
      assert.equal(missing.passing, false);
      const notFound = { reason: "NotFound", message: 'services "web" not found' };
      assert.equal((await refusal({ http }, answering({ status: 404, refusal: notFound }))).passing, false);
      const busy = { reason: "TooManyRequests", message: "later" };
      assert.equal((await refusal({ http }, answering({ status: 429, refusal: busy }))).passing, true);
      const away = new ApiError(0, "ECONNREFUSED", "GET …: connection refused");
      assert.equal((await refusal({ http }, answering(away))).passing, true);
    });
  });

  describe("over TCP", () => {
    it("are well when somebody takes the connection, and fail when nobody does", async () => {
      const server = createServer((socket) => void socket.on("error", () => undefined).end());
      const port = await listening(server);
      const tcp = { host: "127.0.0.1", port };
      assert.equal(await probe({ tcp }), undefined);
      await new Promise((resolve) => server.close(resolve));
      assert.equal(await probe({ tcp }), `127.0.0.1:${port}: connection refused (ECONNREFUSED)`);
      assert.match(
        (await probe({ tcp: { host: "nobody.invalid", port } })) ?? "",
        /nobody\.invalid:\d+: |no answer/,
      );
    });
  });

  describe("over gRPC", () => {
    let server: grpc.Server;
    let address: string;
    const services: string[] = [];
    let state: number | "silence" | "garbage" | grpc.status = 1;
    const refuse = { code: grpc.status.NOT_FOUND, details: "unknown service" };

    before(async () => {
      server = new grpc.Server();
      server.addService(
        {
          check: {
            path: "/grpc.health.v1.Health/Check",
            requestStream: false,
            responseStream: false,
            requestSerialize: (it: Buffer) => it,
            requestDeserialize: (it: Buffer) => it,
            responseSerialize: (it: Buffer) => it,
            responseDeserialize: (it: Buffer) => it,
          },
        },
        {
          check: (call: { request: Buffer }, answer: (error: object | null, value?: Buffer) => void) => {
            services.push(call.request.subarray(2).toString());
            if (state === "silence") return;
            if (call.request.length > 0 && services.at(-1) === "shop.Nothing") return answer(refuse);
            answer(
              null,
              state === "garbage" ? Buffer.from("<html>") : Buffer.from(state ? [0x08, state] : []),
            );
          },
        },
      );
      const port = await new Promise<number>((resolve, reject) =>
        server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
          error ? reject(error) : resolve(bound),
        ),
      );
      address = `127.0.0.1:${port}`;
    });
    after(() => server.forceShutdown());
    beforeEach(() => {
      state = 1;
      services.splice(0);
    });

    it("are well when it is serving, as a whole or a service of it", async () => {
      assert.equal(await probe({ grpc: { address } }), undefined);
      assert.equal(await probe({ grpc: { address, service: "shop.Payments" } }), undefined);
      assert.deepEqual(services, ["", "shop.Payments"]);
    });

    it("fail with what it says of itself", async () => {
      for (const [number, words] of [
        [0, "UNKNOWN"],
        [2, "NOT_SERVING"],
        [3, "SERVICE_UNKNOWN"],
        [9, "9"],
      ] as const) {
        state = number;
        assert.equal(await probe({ grpc: { address } }), `${address} is ${words}`);
      }
    });

    it("fail with the status of the call", async () => {
      assert.equal(
        await probe({ grpc: { address, service: "shop.Nothing" } }),
        `${address} (shop.Nothing): NOT_FOUND: unknown service`,
      );
      state = "garbage";
      assert.match((await probe({ grpc: { address } })) ?? "", /no answer of grpc.health.v1.Health/);
      assert.match((await probe({ grpc: { address: "127.0.0.1:9" } })) ?? "", /127.0.0.1:9: UNAVAILABLE: /);
      assert.match(
        (await probe({ grpc: { address: "nobody.invalid:80" } })) ?? "",
        /UNAVAILABLE: |no answer/,
      );
    });

    it("fail when nothing comes in time", async () => {
      state = "silence";
      assert.equal(await probe({ grpc: { address }, timeoutSeconds: 1 }), "no answer within 1 s");
    });

    it("do not take plain text for TLS", async () => {
      const local = address.replace("127.0.0.1", "localhost");
      assert.match((await probe({ grpc: { address: local, tls: true } })) ?? "", /UNAVAILABLE: /);
    });

    it("write long names as the protocol says, and read an empty answer as UNKNOWN", () => {
      assert.deepEqual([...asked("x".repeat(300)).subarray(0, 3)], [0x0a, 0xac, 0x02]);
      assert.equal(asked("x".repeat(300)).length, 303);
      assert.equal(told(Buffer.alloc(0)), 0);
    });
  });

  describe("by a command", () => {
    const node = (code: string): { command: string[] } => ({ command: [process.execPath, "-e", code] });

    it("are well at exit code 0, whatever it writes", async () => {
      assert.equal(await probe(node("console.error('a warning')")), undefined);
    });

    it("fail with the exit code and the last line", async () => {
      assert.equal(
        await probe(node("console.log('first'); console.log('no route to shop'); process.exit(3)")),
        "exit code 3: no route to shop",
      );
      assert.equal(await probe({ command: ["false"] }), "exit code 1");
      assert.equal(
        await probe(node("process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 60000)")),
        "it was ended by SIGTERM",
      );
    });

    it("take arguments as they are: there is no shell", async () => {
      assert.equal(await probe({ command: ["test", "$HOME; false", "=", "$HOME; false"] }), undefined);
    });

    it("fail when they take too long, with what they said last", async () => {
      assert.equal(
        await probe({ command: ["sh", "-c", "echo waiting for shop; exec sleep 60"], timeoutSeconds: 2 }),
        "no answer within 2 s, at last: waiting for shop",
      );
    });

    it("are no answer where there is no such command, or none that may be run", async () => {
      const missing = await refusal({ command: ["./no-such-check", "--fast"] });
      assert.equal(missing.message, "command ./no-such-check cannot be started: it is not there (ENOENT)");
      assert.equal(missing.passing, false);
      assert.match(
        (await refusal({ command: ["./package.json"] })).message,
        /may not be executed \(EACCES\)/,
      );
    });

    it("say nothing when the run ends meanwhile", async () => {
      const end = new AbortController();
      const under = probe({ command: ["sleep", "60"] }, unasked, end.signal);
      end.abort(new Error("the run ended"));
      await assert.rejects(under, /the run ended/);
      assert.deepEqual(log, []);
    });

    it("tell no secret of the environment", async () => {
      process.env["PROBE_TEST_TOKEN"] = "s3cr3t-and-long";
      try {
        assert.equal(
          await probe(node("console.log('login with ' + process.env.PROBE_TEST_TOKEN); process.exit(1)")),
          "exit code 1: login with ***",
        );
      } finally {
        delete process.env["PROBE_TEST_TOKEN"];
      }
    });
  });
});
