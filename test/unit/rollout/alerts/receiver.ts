import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** One request that arrived. */
export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  json: Record<string, unknown>;
}

/** What is answered; `silent`: nothing, ever. */
export type Reply = { status: number; body?: string; headers?: Record<string, string> } | "silent";

/** A service on this machine that speaks HTTP and keeps what it is told. */
export class Receiver {
  readonly got: Received[] = [];
  /** The answers to come; the last one stays. */
  replies: Reply[] = [{ status: 200 }];
  private readonly server: Server;

  constructor() {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks).toString();
        const json = (body === "" ? {} : JSON.parse(body)) as Record<string, unknown>;
        this.got.push({ path: request.url ?? "", headers: request.headers, body, json });
        const reply = (this.replies.length > 1 ? this.replies.shift() : this.replies[0]) ?? "silent";
        if (reply === "silent") return;
        response.writeHead(reply.status, reply.headers);
        response.end(reply.body ?? "");
      });
    });
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => void this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
