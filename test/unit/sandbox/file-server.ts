/** A publisher for tests: serves given files by path, and can be silent. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export class FileServer {
  readonly files = new Map<string, string | Buffer>();
  readonly asked: string[] = [];
  silent = false;
  private readonly server: Server;

  constructor() {
    this.server = createServer((request, response) => {
      const path = (request.url ?? "").replace(/^\//, "");
      this.asked.push(path);
      if (this.silent) return;
      const file = this.files.get(path);
      response.statusCode = file === undefined ? 404 : 200;
      response.end(file ?? "no such file");
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}
