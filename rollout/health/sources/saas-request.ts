import { EnvHttpProxyAgent, fetch } from "undici";
import { networkReason } from "../../cluster/network.ts";
import { SourceError } from "../metric.ts";

/** A request never takes longer, whatever deadline its caller gave. Milliseconds. */
const CEILING_MS = 30_000;
/** An answer that is longer than this is none. Bytes. */
const LARGEST = 32 * 1024 * 1024;
/** Of what a service said, so much is passed on. Characters. */
const SAID = 300;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What belongs to all talk with one service: its name for messages, and the keys that no message may hold, whoever wrote it (a
 * service may well repeat the key that it refuses).
 */
export class Correspondent {
  readonly name: string;
  private readonly env: Environment;
  private readonly secrets = new Set<string>();

  constructor(name: string, env: Environment) {
    this.name = name;
    this.env = env;
  }

  /** @throws SourceError if the environment has no such key, or what it has can be none */
  key(variable: string): string {
    const value = this.env[variable]?.trim() ?? "";
    if (value === "")
      throw this.error(
        `${variable} is not in the environment. Set it where \`pulumi up\` runs (as a secret of the CI job, not in the stack's config)`,
        { passing: false },
      );
    this.secrets.add(value);
    // such a value would be quoted by the HTTP library when it refuses the header
    if (!/^[\w.~+/=-]{8,}$/.test(value))
      throw this.error(
        `what ${variable} holds is no key (at least 8 letters, digits and -_.~+/=, in one line). Set it anew`,
        { passing: false },
      );
    return value;
  }

  /** No `cause`: it could hold the request's headers. */
  error(message: string, options: { passing: boolean; retryAfterSeconds?: number | undefined }): SourceError {
    const { passing, retryAfterSeconds } = options;
    return new SourceError(this.clean(`${this.name}: ${message}.`), {
      passing,
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    });
  }

  /** What the service said, fit for a message. */
  said(text: string): string {
    const line = this.clean(text).replace(/\s+/g, " ").trim();
    return line.length > SAID ? `${line.slice(0, SAID)}…` : line;
  }

  /** One that need not be there. @throws SourceError if what the environment has can be none */
  optionalKey(variable: string): string | undefined {
    return (this.env[variable]?.trim() ?? "") === "" ? undefined : this.key(variable);
  }

  /** @param body JSON, or a form @returns the answer, whatever its status @throws SourceError when none came */
  async post(
    url: string,
    headers: Record<string, string>,
    body: unknown,
    signal: AbortSignal,
  ): Promise<Reply> {
    const contentType =
      body instanceof URLSearchParams ? "application/x-www-form-urlencoded" : "application/json";
    const dispatcher = new EnvHttpProxyAgent();
    const ceiling = AbortSignal.timeout(CEILING_MS);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { ...headers, "content-type": contentType, accept: "application/json" },
        body: body instanceof URLSearchParams ? body.toString() : JSON.stringify(body),
        dispatcher,
        redirect: "error", // a key must not follow
        signal: AbortSignal.any([signal, ceiling]),
      });
      const text = await whole(response.body);
      if (text === undefined)
        throw this.error(
          `${new URL(url).host} answered with more than ${LARGEST / 2 ** 20} MiB. Narrow the query with {{namespaces}} or {{pods}}`,
          { passing: false },
        );
      return { status: response.status, text, header: (name) => response.headers.get(name) };
    } catch (error) {
      if (error instanceof SourceError) throw error;
      const late = signal.aborted || ceiling.aborted;
      const reason = late ? "no answer within the deadline" : this.said(networkReason(error).text);
      throw this.error(
        `${new URL(url).host} cannot be asked: ${reason}. Check the network from here to there, and a proxy if there is one`,
        { passing: true },
      );
    } finally {
      void dispatcher.destroy();
    }
  }

  private clean(text: string): string {
    let clean = text;
    for (const secret of this.secrets) clean = clean.replaceAll(secret, "***");
    return clean;
  }
}

export interface Reply {
  status: number;
  text: string;
  header(name: string): string | null;
}

/** Seconds that a header asks to wait; undefined where it says no such thing. */
export function secondsIn(header: string | null): number | undefined {
  const value = header === null || header.trim() === "" ? NaN : Number(header);
  return Number.isFinite(value) && value >= 0 ? Math.ceil(value) : undefined;
}

/** JSON, or undefined. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function whole(body: AsyncIterable<Uint8Array> | null): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > LARGEST) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
