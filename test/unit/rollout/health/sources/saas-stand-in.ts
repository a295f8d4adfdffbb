import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import {
  SourceError,
  type Metric,
  type Question,
  type Source,
  type Watched,
} from "../../../../../rollout/health/metric.ts";

/** What the stand-in was asked. */
export interface Asked {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: unknown;
}

/** `text` goes out as it is; `hang` never answers. */
export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  json?: unknown;
  text?: string;
  hang?: boolean;
}

/** In the place of Datadog or New Relic: answers what the test says, and keeps what it was asked. */
export class SaasStandIn {
  readonly asked: Asked[] = [];
  answer: (asked: Asked) => Answer = () => ({ json: {} });
  private readonly server: Server;

  constructor() {
    this.server = createServer((request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        const { method = "", url = "", headers } = request;
        const asked = { method, url, headers, body: JSON.parse(text) as unknown };
        this.asked.push(asked);
        const { status = 200, headers: extra = {}, json, text: raw, hang = false } = this.answer(asked);
        if (hang) return;
        response.writeHead(status, { "content-type": "application/json", ...extra });
        response.end(raw ?? JSON.stringify(json));
      });
    });
  }

  async start(): Promise<string> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}

export const watched = (namespace: string, name: string, ...pods: string[]): Watched => ({
  namespace,
  kind: "Deployment",
  name,
  pods: pods.map((pod) => ({ name: pod, uid: `uid-${pod}`, node: "n1", generation: "green", limits: {} })),
});

export function question(metrics: readonly Metric[], change: Partial<Question> = {}): Question {
  const [metric] = metrics;
  assert.ok(metric);
  return {
    metric,
    workloads: [watched("shop", "web", "web-1", "web-2"), watched("pay", "api", "api-1")],
    from: 1_800_000_000_000,
    to: 1_800_000_015_000,
    ...change,
  };
}

/** The error of a question; nothing in it, however deep one looks, holds a key. */
export async function refused(
  source: Source,
  asked: Question,
  keys: readonly string[],
  signal = AbortSignal.timeout(20_000),
): Promise<SourceError> {
  try {
    await source.read(asked, signal);
  } catch (error) {
    assert.ok(error instanceof SourceError, inspect(error));
    const all = inspect(error, { depth: Infinity, showHidden: true }) + (error.stack ?? "");
    for (const key of keys) assert.ok(!all.includes(key), `a key is in: ${all}`);
    return error;
  }
  return assert.fail("the source answered");
}
