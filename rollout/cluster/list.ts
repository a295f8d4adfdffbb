import { ApiError } from "./cluster.ts";
import type { Transport } from "./transport.ts";
import type { KubeObject } from "./types.ts";

/** Objects a page. */
const PAGE = 500;
/** A list whose pages ran out of the server's memory (410) is begun anew this often. */
const RESTARTS = 5;

interface Page<T> {
  metadata: { resourceVersion?: string; continue?: string };
  items: T[] | null;
}

/**
 * All pages of a list, as of one moment.
 * @param keep what to keep of each object, applied page by page
 * @param page objects a page
 */
export async function list<T extends KubeObject>(
  transport: Transport,
  path: string,
  query: URLSearchParams,
  keep: (item: T) => T = (item) => item,
  page = PAGE,
): Promise<{ items: T[]; resourceVersion: string }> {
  for (let restarts = 0; ; restarts++) {
    try {
      return await pages<T>(transport, path, query, keep, page);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 410) || restarts >= RESTARTS) throw error;
    }
  }
}

async function pages<T extends KubeObject>(
  transport: Transport,
  path: string,
  selection: URLSearchParams,
  keep: (item: T) => T,
  size: number,
): Promise<{ items: T[]; resourceVersion: string }> {
  const items: T[] = [];
  const query = new URLSearchParams(selection);
  query.set("limit", String(size));
  for (;;) {
    const page = await transport.json<Page<T>>({ method: "GET", path: `${path}?${query.toString()}` });
    for (const item of page.items ?? []) items.push(keep(item));
    const { resourceVersion = "", continue: next } = page.metadata;
    if (!next) return { items, resourceVersion };
    query.set("continue", next);
  }
}
