/** Official downloads, verified against the publisher's checksum file under the same base URL. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";

const CONNECT_MS = 3000;
const STALL_MS = 30_000;

/** Why a download was not used; the next source is tried. */
export class DownloadError extends Error {}

/** Hosts that did not answer in this run: asked once, not once per tool. */
const unreachable = new Map<string, string>();

/** Forgets which hosts did not answer (tests). */
export function forgetUnreachable(): void {
  unreachable.clear();
}

/** Fetches `url`; the answer must begin within 3 s, also when the host is found but silent. */
async function open(url: string): Promise<Response> {
  const origin = new URL(url).origin;
  const known = unreachable.get(origin);
  if (known) throw new DownloadError(known);
  const abort = new AbortController();
  const timer = setTimeout(
    () => abort.abort(new Error(`no answer within ${CONNECT_MS / 1000} s`)),
    CONNECT_MS,
  );
  try {
    const response = await fetch(url, { signal: abort.signal });
    if (response.ok) return response;
    await response.body?.cancel();
    throw new DownloadError(`${url} answered with status ${response.status}`);
  } catch (error) {
    if (error instanceof DownloadError) throw error;
    const cause = (error as { cause?: { code?: string; message?: string } }).cause;
    const why = cause?.code ?? cause?.message ?? (error as Error).message;
    const text = `${new URL(url).host} cannot be reached (${why})`;
    unreachable.set(origin, text);
    throw new DownloadError(text);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The SHA-256 for `file` in a checksum file: lines of `<hex>  <name>` (also `*name`, `./name`), or one bare hash.
 * Undefined when the file is not listed.
 */
export function checksumFor(text: string, file: string): string | undefined {
  const lines = text.trim().split("\n");
  for (const line of lines) {
    const [hash = "", name] = line.trim().split(/\s+/);
    if (!/^[0-9a-fA-F]{64}$/.test(hash)) continue;
    if (name === undefined ? lines.length === 1 : name.replace(/^\*/, "").replace(/^\.\//, "") === file) {
      return hash.toLowerCase();
    }
  }
  return undefined;
}

/**
 * Downloads `<base>/<file>` to `target` and verifies it. Throws DownloadError (host silent, no such file, checksum
 * missing or wrong); `target` may then hold a part and must not be used.
 */
export async function download(
  base: string,
  file: string,
  checksums: string,
  target: string,
  onProgress: (megabytes: number) => void = () => undefined,
): Promise<void> {
  const root = base.replace(/\/+$/, "");
  const name = file.slice(file.lastIndexOf("/") + 1);
  const list = await readText(await open(`${root}/${checksums}`));
  const expected = checksumFor(list, name);
  if (!expected) throw new DownloadError(`${root}/${checksums} has no checksum for ${name}`);

  const response = await open(`${root}/${file}`);
  if (!response.body) throw new DownloadError(`${root}/${file} is empty`);
  let bytes = 0;
  let seen = Date.now();
  const stall = new AbortController();
  const watch = setInterval(() => {
    if (Date.now() - seen > STALL_MS) stall.abort(new Error(`no data for ${STALL_MS / 1000} s`));
  }, 1000);
  const body = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
  body.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    seen = Date.now();
    onProgress(bytes / 1e6);
  });
  try {
    await pipeline(body, createWriteStream(target), { signal: stall.signal });
  } catch (error) {
    throw new DownloadError(`${root}/${file} broke off: ${(error as Error).message}`);
  } finally {
    clearInterval(watch);
  }
  const actual = await sha256(target);
  if (actual !== expected) {
    throw new DownloadError(
      `${root}/${file} has SHA-256 ${actual}, but its publisher says ${expected}: not used`,
    );
  }
}

async function readText(response: Response): Promise<string> {
  const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), STALL_MS).unref());
  const text = await Promise.race([response.text(), late]);
  if (text === undefined) throw new DownloadError(`${response.url} sends no data`);
  return text;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
