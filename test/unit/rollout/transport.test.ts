/** Retries, deadlines and streams of the API server's client, against a server on loopback that misbehaves on order. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { systemClock, type Clock } from "../../../rollout/clock.ts";
import { createCluster } from "../../../rollout/cluster/client.ts";
import { ApiError, type Cluster } from "../../../rollout/cluster/cluster.ts";
import { list } from "../../../rollout/cluster/list.ts";
import { Transport } from "../../../rollout/cluster/transport.ts";
import type { ConfigMap } from "../../../rollout/cluster/types.ts";
import { until } from "../../support/until.ts";

/** Time that runs ten times as fast. */
const started = Date.now();
const fast: Clock = {
  now: () => started + (Date.now() - started) * 10,
  sleep: (milliseconds, signal) => systemClock.sleep(milliseconds / 10, signal),
};

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
const answer =
  (code: number, body: object, headers: Record<string, string> = {}): Handler =>
  (_, response) =>
    void response.writeHead(code, headers).end(JSON.stringify(body));
const failure = (code: number, reason: string, headers = {}): Handler =>
  answer(code, { kind: "Status", status: "Failure", code, reason, message: reason }, headers);
const drop: Handler = (request) => void request.socket.destroy();
const silent: Handler = () => undefined;
const page = (names: string[], next?: string, resourceVersion = "5"): Handler =>
  answer(200, {
    metadata: { resourceVersion, ...(next ? { continue: next } : {}) },
    items: names.map((name) => ({ metadata: { name, uid: name } })),
  });

describe("transport", function () {
  this.timeout(20_000);
  let server: Server;
  let script: Handler[] = [];
  let seen: { method: string; url: string; authorization: string | undefined }[] = [];
  let kc: KubeConfig & { invalidate?: (authorization?: string) => void };
  let cluster: Cluster;

  before(() => {
    server = createServer((request, response) => {
      const { authorization } = request.headers;
      seen.push({ method: request.method ?? "", url: request.url ?? "", authorization });
      const handler = script.length > 1 ? script.shift() : script[0];
      request.resume().on("end", () => (handler ?? failure(500, "NoScript"))(request, response));
    });
    return new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  beforeEach(() => {
    [script, seen] = [[], []];
    kc = new KubeConfig();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    kc.loadFromClusterAndUser({ name: "c", server: url, skipTLSVerify: true }, { name: "u", token: "one" });
    cluster = createCluster(kc, { requestTimeoutSeconds: 30, userAgent: "patchguard/test", clock: fast });
  });
  /** The last handler of the script answers all further requests. */
  const play = (...handlers: Handler[]): void => void (script = handlers);
  const ok = answer(200, { metadata: { name: "a", uid: "1" } });
  const fails = (status: number, reason?: string) => (error: unknown) =>
    error instanceof ApiError && error.status === status && (reason === undefined || error.reason === reason);

  it("tells the server's time by its last answer, whatever ours is", async () => {
    const served = new Date(started - 3_600_000).toUTCString();
    play(answer(200, { gitVersion: "v1.34.1" }, { date: served }));
    const asked = fast.now();
    const before = cluster.serverTime();
    assert.ok(asked <= before && before <= fast.now(), "nobody has told the time yet");
    await cluster.serverVersion();
    const late = cluster.serverTime() - Date.parse(served);
    assert.ok(late >= 0 && late <= fast.now() - asked, `${late} ms beyond what it said`);
  });

  it("asks again for reads: 500, 503, a busy server, a broken connection", async () => {
    play(
      failure(500, "InternalError"),
      failure(503, "Unavailable"),
      failure(429, "TooManyRequests"),
      drop,
      ok,
    );
    assert.equal((await cluster.get("Node", "a"))?.metadata.name, "a");
    assert.equal(seen.length, 5);
  });

  it("asks again for a read that hangs, once, within the deadline", async () => {
    play(silent, ok);
    assert.equal((await cluster.get("Node", "a"))?.metadata.name, "a");
    play(silent);
    const from = fast.now();
    await assert.rejects(cluster.get("Node", "a"), fails(0, "ETIMEDOUT"));
    assert.ok(fast.now() - from < 39_000, `${fast.now() - from} ms`);
  });

  it("gives the last refusal at the deadline", async () => {
    play(failure(503, "Unavailable"));
    await assert.rejects(cluster.get("Node", "a"), fails(503, "Unavailable"));
  });

  it("gives the last refusal, too, where the deadline cuts off one attempt more", async () => {
    play(failure(503, "Unavailable"), failure(503, "Unavailable"), silent);
    await assert.rejects(cluster.get("Node", "a"), fails(503, "Unavailable"));
  });

  it("does not repeat a write that may have been done", async () => {
    for (const handler of [failure(500, "InternalError"), failure(503, "Unavailable"), drop]) {
      play(handler, ok);
      seen = [];
      await assert.rejects(cluster.patch("Node", "a", undefined, {}), ApiError);
      assert.equal(seen.length, 1);
    }
  });

  it("repeats a write that the server did not take up", async () => {
    play(failure(429, "TooManyRequests", { "retry-after": "1" }), ok);
    const from = fast.now();
    await cluster.patch("Node", "a", undefined, {});
    assert.equal(seen.length, 2);
    assert.ok(fast.now() - from >= 950, "after the time that the server named");
  });

  it("does not repeat an eviction, whatever the answer", async () => {
    const pod = { namespace: "n", name: "p", uid: "u" };
    for (const [handler, outcome] of [
      [failure(429, "TooManyRequests"), "throttled"],
      [failure(500, "InternalError"), "refused"],
      [drop, "refused"],
    ] as const) {
      play(handler, ok);
      seen = [];
      assert.equal((await cluster.evict(pod)).outcome, outcome);
      assert.equal(seen.length, 1);
    }
    play(failure(401, "Unauthorized"));
    await assert.rejects(cluster.evict(pod), fails(401));
  });

  it("renews a refused credential once, for writes too", async () => {
    const refused: (string | undefined)[] = [];
    kc.invalidate = (authorization) => {
      refused.push(authorization);
      kc.users = [{ name: "u", token: "two" }];
    };
    play(failure(401, "Unauthorized"), ok);
    await cluster.patch("Node", "a", undefined, {});
    assert.deepEqual(refused, ["Bearer one"]);
    assert.deepEqual(
      seen.map(({ authorization }) => authorization),
      ["Bearer one", "Bearer two"],
    );
    play(failure(401, "Unauthorized"));
    await assert.rejects(cluster.patch("Node", "a", undefined, {}), fails(401));
    assert.equal(refused.length, 2);
  });

  describe("visits what is behind the API server", () => {
    const PATH = "/api/v1/namespaces/shop/services/web:8080/proxy/healthz";
    const visit = (signal = new AbortController().signal) => cluster.visit(PATH, signal);
    const says =
      (code: number, body: string, headers: Record<string, string> = {}): Handler =>
      (_, response) =>
        void response.writeHead(code, headers).end(body);

    it("once, whatever it answers, and follows no redirect", async () => {
      for (const [code, body] of [
        [200, "ready"],
        [302, ""],
        [401, "who are you?"],
        [404, "nothing here"],
        [500, '{"kind":"Problem"}'],
      ] as const) {
        seen = [];
        play(says(code, body, code === 302 ? { location: "/version" } : {}), failure(500, "AskedAgain"));
        assert.deepEqual(await visit(), { status: code, body, refusal: undefined });
        assert.deepEqual(seen, [{ method: "GET", url: PATH, authorization: "Bearer one" }]);
      }
    });

    it("and tells the API server's own refusal from an answer", async () => {
      play(failure(503, "ServiceUnavailable"));
      assert.deepEqual((await visit()).refusal, {
        reason: "ServiceUnavailable",
        message: "ServiceUnavailable",
      });
    });

    it("with a new credential where the old one is refused, once", async () => {
      kc.invalidate = () => void (kc.users = [{ name: "u", token: "two" }]);
      play(failure(401, "Unauthorized"), says(200, "ready"));
      assert.equal((await visit()).status, 200);
      assert.equal(seen.at(-1)?.authorization, "Bearer two");
      play(failure(401, "Unauthorized"));
      assert.equal((await visit()).refusal?.reason, "Unauthorized");
    });

    it("without taking its clock for the server's", async () => {
      const date = new Date(started - 3_600_000).toUTCString();
      play(answer(200, {}, { date }));
      await visit();
      await cluster.read(PATH);
      assert.ok(cluster.serverTime() > started - 60_000);
      await cluster.serverVersion();
      assert.ok(cluster.serverTime() < started - 60_000);
    });

    it("and reads the beginning of an endless answer alone", async () => {
      play((_, response) => {
        response.writeHead(200);
        const more = (): void => {
          while (!response.destroyed && response.write("x".repeat(65536)));
          response.once("drain", more);
        };
        more();
      });
      assert.equal((await visit()).body.length, 256 * 1024);
    });

    it("until it is told to stop, or the connection breaks", async () => {
      play(silent);
      const end = new AbortController();
      const under = visit(end.signal);
      await until("the request", () => seen.length > 0);
      end.abort();
      await assert.rejects(under, fails(0));
      play(drop);
      await assert.rejects(visit(), fails(0));
    });
  });

  it("tells an object that is not there from a path that is not there", async () => {
    play(failure(404, "NotFound"));
    assert.equal(await cluster.get("Node", "a"), undefined);
    play((_, response) => void response.writeHead(404).end("nothing here"));
    await assert.rejects(cluster.get("Node", "a"), fails(404, "NotKubernetes"));
  });

  it("begins a list anew when its pages ran out, with no object twice", async () => {
    play(page(["a"], "next"), failure(410, "Expired"), page(["a", "b"], "next"), page(["c"]));
    const transport = new Transport(kc, {
      requestTimeoutSeconds: 10,
      userAgent: "patchguard/test",
      clock: fast,
    });
    const { items } = await list<ConfigMap>(transport, "/api/v1/configmaps", new URLSearchParams());
    assert.deepEqual(
      items.map(({ metadata }) => metadata.name),
      ["a", "b", "c"],
    );
  });

  describe("watch", () => {
    const names = (cache: { items(): readonly ConfigMap[] }): string =>
      cache
        .items()
        .map(({ metadata }) => metadata.name)
        .sort()
        .join(" ");
    /** A watch that sends these events and then what `end` does. */
    const events =
      (list: object[], end: (response: ServerResponse) => void = () => undefined): Handler =>
      (_, response) => {
        response.writeHead(200);
        response.write(list.map((event) => `${JSON.stringify(event)}\n`).join(""));
        end(response);
      };
    const event = (type: string, name: string, resourceVersion: string): object => ({
      type,
      object: { metadata: { name, uid: name, resourceVersion } },
    });

    it("goes on from a bookmark after the server has ended it", async () => {
      play(
        page(["a"]),
        events(
          [event("ADDED", "b", "6"), { type: "BOOKMARK", object: { metadata: { resourceVersion: "90" } } }],
          (r) => r.end(),
        ),
        events([event("DELETED", "a", "91")]),
      );
      const cache = await cluster.watch("ConfigMap");
      await until("both watches were read", () => names(cache) === "b");
      cache.close();
      assert.match(seen[1]?.url ?? "", /resourceVersion=5(&|$)/);
      assert.match(seen[2]?.url ?? "", /allowWatchBookmarks=true&resourceVersion=90/);
    });

    it("lists anew when the server no longer knows its place (410)", async () => {
      const gone = {
        type: "ERROR",
        object: { kind: "Status", code: 410, reason: "Expired", message: "too old" },
      };
      play(
        page(["a"]),
        events([gone], (r) => r.end()),
        page(["c"], undefined, "70"),
        events([event("ADDED", "d", "71")]),
      );
      const cache = await cluster.watch("ConfigMap");
      await until("the new list and what followed", () => names(cache) === "c d");
      cache.close();
    });

    it("gives up a connection that has gone silent, and shows its age meanwhile", async () => {
      play(page(["a"]), events([]), events([event("ADDED", "b", "6")]));
      const cache = await cluster.watch("ConfigMap");
      const heard = cache.syncedAt();
      await until("it heard again on another connection", () => names(cache) === "a b", 10);
      assert.ok(fast.now() - heard >= 30_000, "after half a minute of the clock");
      cache.close();
    });

    it("puts an event together that comes in pieces", async () => {
      const text = JSON.stringify(event("ADDED", "b", "6"));
      play(page(["a"]), (_, response) => {
        response.writeHead(200);
        response.write(text.slice(0, 20));
        setTimeout(() => response.write(`${text.slice(20)}\n`), 50);
      });
      const cache = await cluster.watch("ConfigMap");
      await until("the event", () => names(cache) === "a b");
      cache.close();
      assert.equal(seen.length, 2, "on the same connection");
    });

    it("drops half an event of a connection that broke in it", async () => {
      play(
        page(["a"]),
        (_, response) => {
          response.writeHead(200);
          response.write(`${JSON.stringify(event("ADDED", "b", "6"))}\n{"type":"ADDED","obj`, () =>
            response.destroy(),
          );
        },
        events([event("ADDED", "c", "7")]),
      );
      const cache = await cluster.watch("ConfigMap");
      await until("what came after", () => names(cache) === "a b c");
      cache.close();
      assert.match(seen.at(-1)?.url ?? "", /resourceVersion=6(&|$)/);
    });

    it("fails when the first list fails", async () => {
      play(failure(403, "Forbidden"));
      await assert.rejects(cluster.watch("ConfigMap"), fails(403));
    });
  });
});
