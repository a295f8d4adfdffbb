import { EnvHttpProxyAgent, fetch } from "undici";
import { networkReason } from "../../cluster/network.ts";
import { USER_AGENT } from "../../version.ts";
import { SinkError } from "../sink.ts";

/** Of an answer, so much is read, and so much is passed on. Bytes, characters. */
const READ_BYTES = 64 * 1024;
const SAID = 200;
/** Shorter parts of an address are words such as `hooks`, not secrets. */
const SECRET_LENGTH = 8;

export interface Letter {
  /** For messages: `Slack`. */
  to: string;
  url: string;
  headers?: Record<string, string>;
  body: string;
  /** Texts that no message may hold, the address apart. */
  secrets?: readonly string[];
}

/** Posts JSON. @returns status and text of the answer @throws SinkError when none comes, or one that is neither 2xx nor expected */
export async function post(letter: Letter, signal: AbortSignal): Promise<{ status: number; text: string }> {
  const { to, url, headers, body } = letter;
  const clean = cleaner(letter);
  const dispatcher = new EnvHttpProxyAgent();
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": USER_AGENT, ...headers },
      body,
      dispatcher,
      redirect: "error", // a secret must not follow
      signal,
    });
    const text = await beginning(response.body);
    const { status } = response;
    if (response.ok) return { status, text };
    const said = clean(text).replace(/\s+/g, " ").trim().slice(0, SAID);
    throw new SinkError(`${to} answered HTTP ${status}${said === "" ? "" : ` (${said})`}`, {
      again: status >= 500 || status === 429 || status === 408,
      retryAfterSeconds: secondsIn(response.headers.get("retry-after")),
    });
  } catch (error) {
    if (error instanceof SinkError) throw error;
    const reason = signal.aborted ? "no answer in time" : clean(networkReason(error).text);
    throw new SinkError(`${to} cannot be reached: ${reason}`, { again: true });
  } finally {
    void dispatcher.destroy();
  }
}

/** `Retry-After`, as seconds or as a date (RFC 9110, 10.2.3). */
function secondsIn(header: string | null): number | undefined {
  if (header === null || header.trim() === "") return undefined;
  const seconds = /^\s*\d+\s*$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}

/** Takes the secrets out of a text: whole, and each part of the address that could be one. */
function cleaner({ url, secrets = [] }: Letter): (text: string) => string {
  const { href, host, hostname, pathname, search, username, password } = new URL(url);
  const parts = [...pathname.split("/"), ...search.slice(1).split(/[&=]/)].filter(
    (part) => part.length >= SECRET_LENGTH,
  );
  const all = [url, href, pathname + search, host, hostname, username, password, ...parts, ...secrets]
    .filter((text) => text.length > 1)
    .flatMap((text) => [text, decoded(text)])
    .toSorted((a, b) => b.length - a.length);
  return (text) => all.reduce((rest, secret) => rest.replaceAll(secret, "***"), text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function beginning(body: AsyncIterable<Uint8Array> | null): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size > READ_BYTES) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}
