import type { KubeConfig } from "@kubernetes/client-node";
import { fetch, type Response } from "undici";
import type { Clock } from "../clock.ts";
import { CloudError } from "../cloud/cloud.ts";
import { ApiError } from "./cluster.ts";
import { Dialer, type Line } from "./dialer.ts";
import { networkReason, refusedBeforeSending } from "./network.ts";
import { beginningOf } from "./beginning.ts";
import { parseStatus, refusal, retryAfterOf } from "./status.ts";

/** A KubeConfig; where it makes its own credentials (kubeconfig.ts, Connection) it can be told that one was refused. */
export type Credentials = KubeConfig & { invalidate?: (authorization?: string) => void };

export interface TransportOptions {
  /** Deadline of a request with all its retries, in seconds. */
  requestTimeoutSeconds: number;
  userAgent: string;
  clock: Clock;
  /** Told of each attempt of each request; the path carries its query. */
  onRequest?: (method: string, path: string) => void;
}

export interface Request {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Path with query, from the server's root. */
  path: string;
  body?: unknown;
  contentType?: string;
  /** Whether a 429 is asked again. Not for evictions: there it is the answer. */
  retryThrottled?: boolean;
  /** Whether a connection that was refused is tried again. */
  retryRefused?: boolean;
  /** What answers stands behind the API server (a Service, metrics-server): its clock is another one. */
  behind?: boolean;
}

export interface Answer {
  code: number;
  retryAfter: string | null;
  body: string;
}

/** Delay before attempt n (from 0), in milliseconds: doubles from 200 ms to 5 s, of which a random half. */
export const backoff = (attempt: number): number => {
  const ceiling = Math.min(200 * 2 ** attempt, 5000);
  return ceiling / 2 + (Math.random() * ceiling) / 2;
};

/** HTTP to one API server: credentials, deadline, retries. Knows nothing of kinds. */
export class Transport {
  private readonly kc: Credentials;
  private readonly options: TransportOptions;
  private readonly server: string;
  private readonly dialer: Dialer;
  /** How far our clock is ahead of the server's, by its last answer. Milliseconds. */
  private ahead = 0;

  constructor(kc: Credentials, options: TransportOptions) {
    this.kc = kc;
    this.options = options;
    this.dialer = new Dialer(kc);
    const server = kc.getCurrentCluster()?.server;
    if (server === undefined)
      throw new Error(`Context ${kc.getCurrentContext()} of the kubeconfig names no cluster.`);
    this.server = server.replace(/\/+$/, "");
  }

  /** See cluster.ts. Until a server has told the time, ours has to do. */
  serverTime(): number {
    return this.options.clock.now() - this.ahead;
  }

  /** The answer whatever its code, after the retries that are safe. @throws ApiError when none came within the deadline. */
  async ask(request: Request): Promise<Answer> {
    const { clock, requestTimeoutSeconds } = this.options;
    const deadline = clock.now() + requestTimeoutSeconds * 1000;
    const reading = request.method === "GET";
    const what = this.describe(request);
    let renewed = false;
    let refused: Answer | undefined;
    for (let attempt = 0; ; attempt++) {
      let wait = backoff(attempt);
      const last = (): boolean => clock.now() + wait >= deadline;
      try {
        // a read that hangs is asked again on another connection, while there is time
        const left = deadline - clock.now();
        const { answer, authorization } = await this.once(
          request,
          reading && attempt === 0 ? left / 2 : left,
        );
        if (answer.code === 401 && !renewed && this.kc.invalidate) {
          renewed = true;
          this.kc.invalidate(authorization);
          continue;
        }
        const throttled = answer.code === 429 && (request.retryThrottled ?? true);
        const again = throttled || (reading && answer.code >= 500 && answer.code !== 501);
        if (!again) return answer;
        wait = Math.max(wait, (retryAfterOf(undefined, answer.retryAfter) ?? 0) * 1000);
        if (last()) return answer;
        refused = answer;
      } catch (error) {
        const failure = this.unreachable(what, error);
        // the deadline cut off one attempt more: what the server did say tells more than that
        if (refused !== undefined && clock.now() >= deadline) return refused;
        const safe = reading || ((request.retryRefused ?? true) && refusedBeforeSending(error));
        if (!safe || failure.status !== 0 || last()) throw failure;
      }
      await clock.sleep(wait);
    }
  }

  /** Like ask, but a refusal is thrown. */
  async json<T>(request: Request): Promise<T> {
    const { code, retryAfter, body } = await this.ask(request);
    if (code < 200 || code > 299) throw refusal(this.describe(request), code, retryAfter, body);
    try {
      return JSON.parse(body) as T;
    } catch (error) {
      throw new ApiError(code, "NotKubernetes", `${this.describe(request)}: the answer is not JSON`, {
        cause: error,
      });
    }
  }

  /**
   * Opens a stream (a watch) and hands over its response; reading it is the caller's, and so is ending it by the signal.
   * @throws ApiError also for a refusal.
   */
  async stream(path: string, signal: AbortSignal): Promise<Response> {
    const request: Request = { method: "GET", path };
    try {
      const { response, authorization } = await this.send(request, signal);
      if (response.status === 200) return response;
      if (response.status === 401) this.kc.invalidate?.(authorization);
      throw refusal(
        this.describe(request),
        response.status,
        response.headers.get("retry-after"),
        await response.text(),
      );
    } catch (error) {
      throw this.unreachable(this.describe(request), error);
    }
  }

  /** A single attempt at something behind the API server, which may redirect; a credential that was refused is renewed once. */
  async visit(path: string, signal: AbortSignal): Promise<Answer> {
    const request: Request = { method: "GET", path, behind: true };
    for (let renewed = false; ; renewed = true) {
      try {
        const { response, authorization } = await this.send(request, signal, "manual");
        const body = await beginningOf(response);
        const own = response.status === 401 && parseStatus(body) !== undefined;
        if (!own || renewed || this.kc.invalidate === undefined)
          return { code: response.status, retryAfter: response.headers.get("retry-after"), body };
        this.kc.invalidate(authorization);
      } catch (error) {
        throw this.unreachable(this.describe(request), error);
      }
    }
  }

  /** One attempt, at most `milliseconds` long. */
  private async once(
    request: Request,
    milliseconds: number,
  ): Promise<{ answer: Answer; authorization: string | undefined }> {
    const controller = new AbortController();
    const finished = new AbortController();
    void this.options.clock.sleep(Math.max(milliseconds, 0), finished.signal).then(() => {
      const seconds = Math.round(milliseconds / 100) / 10;
      controller.abort(Object.assign(new Error(`no answer within ${seconds} s`), { code: "ETIMEDOUT" }));
    });
    try {
      const { response, authorization } = await this.send(request, controller.signal);
      const body = await response.text();
      return {
        answer: { code: response.status, retryAfter: response.headers.get("retry-after"), body },
        authorization,
      };
    } finally {
      finished.abort();
    }
  }

  private async send(
    { method, path, body, contentType = "application/json", behind = false }: Request,
    signal: AbortSignal,
    redirect: "error" | "manual" = "error", // an API server does not redirect, and a credential must not follow
  ): Promise<{ response: Response; authorization: string | undefined }> {
    const line = await this.dial(this.server + path);
    const headers: Record<string, string> = {
      ...line.headers,
      accept: "application/json",
      "user-agent": this.options.userAgent,
    };
    if (body !== undefined) headers["content-type"] = contentType;
    this.options.onRequest?.(method, path);
    const response = await fetch(this.server + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      dispatcher: line.dispatcher,
      redirect,
      signal,
    });
    const date = Date.parse(response.headers.get("date") ?? "");
    if (!Number.isNaN(date) && !behind) this.ahead = this.options.clock.now() - date;
    return { response, authorization: headers["Authorization"] };
  }

  private async dial(url: string): Promise<Line> {
    try {
      return await this.dialer.dial(url);
    } catch (error) {
      if (error instanceof CloudError) throw error; // no AWS credentials: it says so itself
      const reason = error instanceof Error ? error.message.trim().split("\n").at(-1) : String(error);
      const message = `The credential of context ${this.kc.getCurrentContext()} could not be had: ${reason}`;
      throw new ApiError(401, "NoCredential", message, { cause: error });
    }
  }

  private describe({ method, path }: Request): string {
    return `${method} ${path.split("?")[0]} at ${this.server}`;
  }

  private unreachable(what: string, error: unknown): ApiError {
    if (error instanceof ApiError) return error;
    if (error instanceof CloudError)
      return new ApiError(401, "NoCredential", error.message, { cause: error });
    const { code, text } = networkReason(error);
    return new ApiError(0, code, `${what}: ${text}`, { cause: error });
  }
}
