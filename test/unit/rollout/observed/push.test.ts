import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, systemClock } from "../../../../rollout/clock.ts";
import { groupUrl, push } from "../../../../rollout/observed/push.ts";
import { freePort } from "../../../support/free-port.ts";

const started = Date.now();
/** Pauses pass at once, and count. */
class Hurried implements Clock {
  private ahead = 0;
  now(): number {
    return Date.now() - started + this.ahead;
  }
  sleep(milliseconds: number): Promise<void> {
    this.ahead += milliseconds;
    return systemClock.sleep(0);
  }
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
const answer =
  (code: number, text = ""): Handler =>
  (_, response) =>
    void response.writeHead(code).end(text);

/** The Pushgateway's HTTP API, as far as it is used. */
describe("a push to a Pushgateway", function () {
  this.timeout(30_000);
  let server: Server;
  let url: string;
  let script: Handler[] = [];
  let seen: {
    method: string;
    path: string;
    type: string | undefined;
    token: string | undefined;
    body: string;
  }[];

  before(async () => {
    server = createServer((request, response) => {
      const { "content-type": type, authorization: token } = request.headers;
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        seen.push({ method: request.method ?? "", path: request.url ?? "", type, token, body });
        (script.length > 1 ? script.shift() : script[0])?.(request, response);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  beforeEach(() => ([script, seen] = [[answer(200)], []]));

  const send = (options: Partial<Parameters<typeof push>[2]> = {}): Promise<void> =>
    push({ url, job: "patchguard", stack: "shop/prod" }, "metric 1\n", {
      clock: new Hurried(),
      timeoutSeconds: 10,
      ...options,
    });

  it("replaces the group of job and stack, whose slash stands there in base64", async () => {
    await send();
    assert.deepEqual(seen, [
      {
        method: "PUT",
        path: "/metrics/job@base64/cGF0Y2hndWFyZA/stack@base64/c2hvcC9wcm9k",
        type: "text/plain; version=0.0.4; charset=utf-8",
        token: undefined,
        body: "metric 1\n",
      },
    ]);
  });
  it("a path before it stays, a slash at its end makes no second one", () => {
    assert.equal(
      groupUrl({ url: "https://gate.example.com/push/", job: "j", stack: "s" }),
      "https://gate.example.com/push/metrics/job@base64/ag/stack@base64/cw",
    );
  });
  it("the token goes as a bearer's, and into no message", async () => {
    await send({ token: "s3cret" });
    assert.equal(seen[0]?.token, "Bearer s3cret");
    script = [answer(401, "who are you?")];
    await assert.rejects(send({ token: "s3cret" }), (error: Error) => {
      assert.equal(error.message, `${url} did not take them: HTTP 401 (who are you?)`);
      return true;
    });
    assert.equal(seen.length, 2, "a refusal is not asked again");
  });
  it("what may pass is tried again", async () => {
    script = [answer(500), answer(503), answer(429), (request) => void request.socket.destroy(), answer(202)];
    await send();
    assert.equal(seen.length, 5);
  });
  it("a server that fails on and on is given up at the deadline", async () => {
    script = [answer(500, "disk full")];
    await assert.rejects(send({ timeoutSeconds: 4 }), /did not take them: HTTP 500 \(disk full\)/);
    assert.ok(seen.length >= 3 && seen.length <= 5, `${seen.length} attempts`);
  });
  it("a server that does not answer is not waited for beyond the deadline", async () => {
    script = [(): void => undefined];
    await assert.rejects(send({ clock: systemClock, timeoutSeconds: 0.3 }), /no answer within 0\.\d+ s/);
  });
  it("nobody there", async () => {
    const nobody = push({ url: `http://127.0.0.1:${await freePort()}`, job: "j", stack: "s" }, "", {
      clock: new Hurried(),
      timeoutSeconds: 3,
    });
    await assert.rejects(nobody, /^Error: http:\/\/127\.0\.0\.1:\d+ did not take them: connection refused/);
  });
  it("does not follow a redirection, with a token or without", async () => {
    script = [(_, response) => void response.writeHead(307, { location: `${url}/elsewhere` }).end()];
    await assert.rejects(send({ timeoutSeconds: 0.5 }));
    assert.ok(seen.every(({ path }) => path.startsWith("/metrics/")));
  });
  it("ends with its signal", async () => {
    script = [(): void => undefined];
    const stop = new AbortController();
    const sent = send({ clock: systemClock, timeoutSeconds: 60, signal: stop.signal });
    stop.abort();
    await assert.rejects(sent);
  });
});
