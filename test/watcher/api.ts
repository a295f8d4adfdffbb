/** A thin client of the Kubernetes API: plain requests and watch streams, with a user agent of one's own. */
import { KubeConfig } from "@kubernetes/client-node";
import https from "node:https";
import { createInterface } from "node:readline";

const REQUEST_TIMEOUT_MS = 30_000;

export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  constructor(method: string, path: string, code: number, body: string) {
    let [reason, message] = ["", body.slice(0, 500)];
    try {
      const status = JSON.parse(body) as { reason?: string; message?: string };
      [reason, message] = [status.reason ?? "", status.message ?? message];
    } catch {
      // not a Status object: the text itself is the message
    }
    super(`${method} ${path}: ${code} ${message}`);
    this.name = "ApiError";
    this.code = code;
    this.reason = reason;
  }
}

export interface Stream {
  close(): void;
}

export class KubeApi {
  private readonly config = new KubeConfig();
  private readonly agent: string;

  /** `kubeconfig` is a file's path; `userAgent` is what the audit log will show. */
  constructor(kubeconfig: string, userAgent: string) {
    this.config.loadFromFile(kubeconfig);
    this.agent = userAgent;
  }

  private async options(method: string, path: string, contentType?: string): Promise<https.RequestOptions> {
    const cluster = this.config.getCurrentCluster();
    if (cluster === null) throw new Error("the kubeconfig has no current cluster");
    const options: https.RequestOptions = { method, headers: {} };
    await this.config.applyToHTTPSOptions(options);
    const url = new URL(cluster.server);
    options.hostname = url.hostname;
    options.port = url.port;
    options.path = path;
    const type = contentType === undefined ? {} : { "Content-Type": contentType };
    options.headers = {
      ...(options.headers as object),
      Accept: "application/json",
      ...type,
      "User-Agent": this.agent,
    };
    return options;
  }

  /** Throws ApiError on any answer from 400 on. */
  async request<T = unknown>(
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    body?: unknown,
    contentType = method === "PATCH" ? "application/merge-patch+json" : "application/json",
  ): Promise<T> {
    const options = await this.options(method, path, body === undefined ? undefined : contentType);
    return new Promise((resolve, reject) => {
      const request = https.request({ ...options, timeout: REQUEST_TIMEOUT_MS }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          const code = response.statusCode ?? 0;
          if (code >= 400) reject(new ApiError(method, path, code, text));
          else resolve((text === "" ? undefined : JSON.parse(text)) as T);
        });
      });
      request.on("timeout", () => request.destroy(new Error(`${method} ${path}: no answer in 30 s`)));
      request.on("error", reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Calls `onLine` for each line of a watch, and `onEnd` once when it is over, for whatever reason. */
  async stream(
    path: string,
    onLine: (line: string) => void,
    onEnd: (error?: Error) => void,
  ): Promise<Stream> {
    const options = await this.options("GET", path);
    let ended = false;
    const end = (error?: Error): void => {
      if (ended) return;
      ended = true;
      onEnd(error);
    };
    const request = https.request(options, (response) => {
      const code = response.statusCode ?? 0;
      if (code >= 400) {
        response.resume();
        response.on("end", () => end(new ApiError("GET", path, code, "")));
        return;
      }
      const lines = createInterface({ input: response });
      lines.on("line", onLine);
      lines.on("close", () => end());
      lines.on("error", end);
      response.on("error", end);
    });
    request.on("error", end);
    request.end();
    return { close: () => request.destroy() };
  }
}
