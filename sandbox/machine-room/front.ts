/**
 * The AWS endpoint of the sandbox: EKS is answered here, everything else streams through to moto. Beside it the machine
 * room's own paths: /-/ready, /-/status and the API server's token webhook /-/authenticate.
 */

import {
  createServer,
  request as forward,
  Agent,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { EksError } from "./eks-rules.ts";
import type { EksApi } from "./eks-api.ts";
import { log } from "./log.ts";
import { review } from "./tokens.ts";

export interface FrontOptions {
  port: number;
  motoUrl: string;
  tokenMs: number;
  eks: EksApi;
  ready: () => boolean;
  status: () => object;
}

export function startFront(options: FrontOptions): Promise<Server> {
  const agent = new Agent({ keepAlive: true });
  const server = createServer((request, response) => {
    handle(options, agent, request, response).catch((error: unknown) => {
      log(
        `front: ${request.method} ${request.url}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
      if (!response.headersSent) response.writeHead(500, { "content-type": "application/json" });
      response.end(JSON.stringify({ message: String(error) }));
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", () => resolve(server));
  });
}

async function handle(
  options: FrontOptions,
  agent: Agent,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://front");
  const json = (status: number, body: object, headers: Record<string, string> = {}): void => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
  if (url.pathname === "/-/ready") return json(options.ready() ? 200 : 503, { ready: options.ready() });
  if (url.pathname === "/-/status") return json(200, options.status());
  if (url.pathname === "/-/authenticate" && request.method === "POST") {
    const hosts = [`127.0.0.1:${options.port}`, `localhost:${options.port}`];
    const { answer, reason } = review(await bodyOf(request), Date.now(), options.tokenMs, hosts);
    if (reason !== undefined) log(`token refused: ${reason}`);
    return json(200, answer);
  }
  if (serviceOf(request) === "eks") {
    const body = await bodyOf(request);
    try {
      const answer = await options.eks.answer({
        method: request.method ?? "GET",
        path: url.pathname
          .split("/")
          .filter((p) => p !== "")
          .map(decodeURIComponent),
        query: url.searchParams,
        body: body === "" ? {} : (JSON.parse(body) as Record<string, unknown>),
      });
      return json(200, answer);
    } catch (error) {
      if (!(error instanceof EksError)) throw error;
      return json(
        error.httpStatus,
        { message: error.message, ...error.details },
        { "x-amzn-errortype": error.type },
      );
    }
  }
  const target = new URL(options.motoUrl);
  const upstream = forward(
    {
      agent,
      host: target.hostname,
      port: target.port,
      method: request.method,
      path: request.url,
      headers: request.headers,
    },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  upstream.on("error", (error) => {
    log(`front: moto does not answer: ${error.message}`);
    if (!response.headersSent) json(503, { message: `moto does not answer: ${error.message}` });
    else response.destroy();
  });
  response.on("close", () => upstream.destroy());
  request.pipe(upstream);
}

/** The service a signed request names: Credential=key/date/region/SERVICE/aws4_request. */
const serviceOf = (request: IncomingMessage): string | undefined =>
  /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\//.exec(request.headers.authorization ?? "")?.[1];

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
