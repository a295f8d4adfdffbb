import { ApiError, type Cluster } from "./cluster/cluster.ts";
import type { Kinds } from "./cluster/types.ts";
import type { Inventory } from "./inventory.ts";
import {
  CONTEXT_KINDS,
  type ContextKind,
  CORE_KINDS,
  FixedPicture,
  type Picture,
  type PictureKind,
  type Unread,
} from "./picture.ts";

/**
 * Reads the cluster once, page by page; writes nothing.
 * @throws ApiError when a kind of the core cannot be listed: without pods, nodes or budgets nothing can be judged.
 */
export async function takeSnapshot(cluster: Cluster): Promise<Picture> {
  const [core, context] = await Promise.all([
    Promise.all(CORE_KINDS.map(async (kind) => [kind, await cluster.list(kind)] as const)),
    readContext(cluster),
  ]);
  return new FixedPicture(
    { ...(Object.fromEntries(core) as Lists), ...context.lists },
    context.unread,
    context.serverVersion,
  );
}

type Lists = Partial<{ [K in PictureKind]: readonly Kinds[K][] }>;

/** What explains, read once: see `CONTEXT_KINDS`. */
export interface Context {
  lists: Lists;
  unread: Unread[];
  serverVersion: string | undefined;
}

/** Kinds that cannot be listed are left out and named. @throws ApiError when the server cannot be asked at all. */
export async function readContext(cluster: Cluster): Promise<Context> {
  const lists: Lists = {};
  const unread: Unread[] = [];
  const version = serverVersion(cluster);
  await Promise.all(
    CONTEXT_KINDS.map(async (kind) => {
      try {
        Object.assign(lists, { [kind]: await cluster.list(kind) });
      } catch (error) {
        const reason = unreadable(error);
        if (reason === undefined) throw error;
        unread.push({ kind, reason, message: (error as ApiError).message });
      }
    }),
  );
  return {
    lists,
    unread: unread.toSorted((a, b) => a.kind.localeCompare(b.kind)),
    serverVersion: await version,
  };
}

/** Everybody who is logged in may ask for it, unless somebody took that away: then kubelets tell what they can. */
async function serverVersion(cluster: Cluster): Promise<string | undefined> {
  try {
    return await cluster.serverVersion();
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

function unreadable(error: unknown): Unread["reason"] | undefined {
  if (!(error instanceof ApiError)) return undefined;
  if (error.status === 404) return "missing";
  return error.status === 403 ? "forbidden" : undefined;
}

/** The live inventory together with what explains it. */
export function withContext(inventory: Inventory, context: Context): Picture {
  const around = new FixedPicture(context.lists, context.unread);
  const live = new Set<PictureKind>(CORE_KINDS);
  return {
    all: (kind) => (live.has(kind) ? inventory.all(kind as never) : around.all(kind as ContextKind)) as never,
    get: (kind, name, namespace) =>
      (live.has(kind)
        ? inventory.get(kind as never, name, namespace)
        : around.get(kind as ContextKind, name, namespace)) as never,
    podsOn: (node) => inventory.podsOn(node),
    podsOf: (uid) => inventory.podsOf(uid),
    podsIn: (namespace) => inventory.podsIn(namespace),
    budgetsOf: (pod) => inventory.budgetsOf(pod),
    unread: context.unread,
    serverVersion: context.serverVersion,
  };
}
