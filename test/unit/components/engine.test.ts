import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";

const ENTRY = fileURLToPath(new URL("../../../components/dynamic/engine.ts", import.meta.url));
/** A provider at work: it lives until something ends it. */
const PROVIDER = `
  const { engineSignal } = await import(${JSON.stringify(ENTRY)});
  const { signal } = engineSignal();
  signal.addEventListener("abort", () => console.log("stopped: " + signal.reason.name));
  setInterval(() => undefined, 1000);
  console.log("at work");
`;

describe("a provider and its engine", () => {
  let engine: Http2Server;
  let sessions: ServerHttp2Session[];
  let provider: ChildProcess;
  let output = "";

  beforeEach(async () => {
    sessions = [];
    output = "";
    engine = createServer();
    engine.on("session", (session) => sessions.push(session));
    engine.listen(0, "127.0.0.1");
    await once(engine, "listening");
    const address = `127.0.0.1:${(engine.address() as AddressInfo).port}`;
    const connected = once(engine, "session");
    const args = ["--input-type=module", "-e", PROVIDER, "provider", address];
    provider = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const working = once(provider.stdout!, "data");
    provider.stdout!.setEncoding("utf8").on("data", (text: string) => (output += text));
    await Promise.all([connected, working]);
  });

  afterEach(() => {
    provider.kill("SIGKILL");
    for (const session of sessions) session.destroy();
    engine.close();
  });

  it("introduces itself, stops at once when the engine dies, and ends soon after", async () => {
    const [session] = sessions;
    await new Promise<void>((resolve, reject) =>
      session?.ping((error) => (error ? reject(error) : resolve())),
    );
    const ended = once(provider, "exit");
    const stopped = once(provider.stdout!, "data");
    session?.destroy();
    engine.close();
    await stopped;
    assert.equal(output, "at work\nstopped: Abandoned\n");
    assert.deepEqual(await ended, [1, null]);
  });

  it("stops, but lives on to put things back, when it is interrupted", async () => {
    const stopped = once(provider.stdout!, "data");
    provider.kill("SIGINT");
    await stopped;
    assert.equal(output, "at work\nstopped: Interrupted\n");
    assert.equal(provider.exitCode, null);
  });
});
