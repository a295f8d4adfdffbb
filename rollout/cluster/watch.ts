import type { Response } from "undici";
import type { Clock } from "../clock.ts";
import { ApiError, type WatchCache } from "./cluster.ts";
import { list } from "./list.ts";
import type { Status } from "./status.ts";
import { backoff, type Transport } from "./transport.ts";
import type { KubeObject } from "./types.ts";

/**
 * The server ends each watch after this long, having sent a bookmark two seconds before. That keeps `syncedAt` recent on a
 * quiet cluster (bookmarks alone come once a minute), at the price of one cheap reconnect.
 */
const WATCH_SECONDS = 20;
/** A stream that has been silent for longer than the server's own end of it is dead (a half-open connection). */
const SILENCE_SECONDS = 30;
/** A gap longer than this is worth a fresh list rather than a replay of what was missed. */
const LONG_ATTEMPTS = 6;

interface WatchEvent<T> {
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  object: T | Status;
}

/**
 * Opens a cache over one collection: lists, then watches until closed.
 * @param keep what to keep of each object
 * @throws ApiError when the first list fails
 */
export async function openCache<T extends KubeObject>(
  transport: Transport,
  clock: Clock,
  path: string,
  selection: URLSearchParams,
  keep: (item: T) => T = (item) => item,
): Promise<WatchCache<T>> {
  const cache = new Cache<T>(transport, clock, path, selection, keep);
  await cache.relist();
  void cache.run();
  return cache;
}

const keyOf = (name: string, namespace: string | undefined): string => `${namespace ?? ""}/${name}`;

class Cache<T extends KubeObject> implements WatchCache<T> {
  private readonly transport: Transport;
  private readonly clock: Clock;
  private readonly path: string;
  private readonly selection: URLSearchParams;
  private readonly keep: (item: T) => T;
  private readonly closed = new AbortController();
  private readonly listeners = new Set<() => void>();
  private objects = new Map<string, T>();
  private array: readonly T[] | undefined;
  private resourceVersion = "";
  private heard = 0;

  constructor(
    transport: Transport,
    clock: Clock,
    path: string,
    selection: URLSearchParams,
    keep: (item: T) => T,
  ) {
    this.keep = keep;
    this.transport = transport;
    this.clock = clock;
    this.path = path;
    this.selection = selection;
  }

  items(): readonly T[] {
    return (this.array ??= [...this.objects.values()]);
  }

  get(name: string, namespace?: string): T | undefined {
    return this.objects.get(keyOf(name, namespace));
  }

  onChange(callback: () => void): () => void {
    this.listeners.add(callback);
    return () => this.listeners.delete(callback);
  }

  syncedAt(): number {
    return this.heard;
  }

  close(): void {
    this.closed.abort();
    this.listeners.clear();
  }

  async relist(): Promise<void> {
    const { items, resourceVersion } = await list<T>(this.transport, this.path, this.selection, this.keep);
    if (this.closed.signal.aborted) return;
    this.objects = new Map(items.map((item) => [keyOf(item.metadata.name, item.metadata.namespace), item]));
    this.resourceVersion = resourceVersion;
    this.heard = this.clock.now();
    this.changed();
  }

  /** Watches until closed; never throws. What goes wrong shows in `syncedAt`, which then stands still. */
  async run(): Promise<void> {
    const { signal } = this.closed;
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (this.resourceVersion === "" || failures >= LONG_ATTEMPTS) await this.relist();
        if (await this.watchOnce()) failures = 0;
        else failures++;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError && error.status === 410) this.resourceVersion = ""; // too old: list again
        failures++;
      }
      if (failures > 0) await this.clock.sleep(backoff(failures - 1), signal);
    }
  }

  /** One connection, from its opening to its end. @returns whether it brought anything. */
  private async watchOnce(): Promise<boolean> {
    const query = new URLSearchParams(this.selection);
    query.set("watch", "true");
    query.set("allowWatchBookmarks", "true");
    query.set("resourceVersion", this.resourceVersion);
    query.set("timeoutSeconds", String(WATCH_SECONDS));
    const connection = new AbortController();
    const end = (): void => connection.abort();
    this.closed.signal.addEventListener("abort", end, { once: true });
    const watchdog = this.watchdog(connection);
    try {
      const response = await this.transport.stream(`${this.path}?${query.toString()}`, connection.signal);
      this.heard = this.clock.now();
      let any = false;
      for await (const line of linesOf(response)) {
        if (this.closed.signal.aborted) return true;
        watchdog.reset();
        this.heard = this.clock.now();
        this.apply(JSON.parse(line) as WatchEvent<T>);
        any = true;
      }
      return any;
    } finally {
      watchdog.stop();
      connection.abort();
      this.closed.signal.removeEventListener("abort", end);
    }
  }

  private apply({ type, object }: WatchEvent<T>): void {
    if (type === "ERROR") {
      const { code = 0, reason = "Unknown", message = "the server ended the watch" } = object as Status;
      throw new ApiError(code, reason, message);
    }
    const it = object as T;
    this.resourceVersion = it.metadata.resourceVersion ?? this.resourceVersion;
    if (type === "BOOKMARK") return;
    const key = keyOf(it.metadata.name, it.metadata.namespace);
    if (type === "DELETED") this.objects.delete(key);
    else this.objects.set(key, this.keep(it));
    this.changed();
  }

  private changed(): void {
    this.array = undefined;
    for (const listener of [...this.listeners]) listener();
  }

  /** Aborts a connection on which nothing has come for too long. */
  private watchdog(connection: AbortController): { reset(): void; stop(): void } {
    let last = this.clock.now();
    const stopped = new AbortController();
    const look = async (): Promise<void> => {
      while (!stopped.signal.aborted) {
        const left = last + SILENCE_SECONDS * 1000 - this.clock.now();
        if (left <= 0) return connection.abort();
        await this.clock.sleep(left, stopped.signal);
      }
    };
    void look();
    return {
      reset: () => {
        last = this.clock.now();
      },
      stop: () => stopped.abort(),
    };
  }
}

/** The lines of a streamed body as they arrive. A last line without its end is dropped: the connection broke in it. */
async function* linesOf(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield line;
  }
}
