import type { Cluster, WatchCache } from "./cluster/cluster.ts";
import type { Kinds, Pod, PodDisruptionBudget } from "./cluster/types.ts";
import { BudgetIndex, CORE_KINDS, type CoreKind, PodIndex } from "./picture.ts";

type Caches = { [K in CoreKind]: WatchCache<Kinds[K]> };

/**
 * The live picture of the cluster that the handover decides by: watch caches, with indexes that are made anew after a change.
 * Only reads; what it says may be a moment old, so the API server stays the judge of every eviction.
 */
export class Inventory {
  private readonly caches: Caches;
  private readonly listeners = new Set<() => void>();
  private readonly pods = new PodIndex(() => this.all("Pod"));
  private readonly budgets = new BudgetIndex(() => this.all("PodDisruptionBudget"));

  private constructor(caches: Caches) {
    this.caches = caches;
    for (const kind of CORE_KINDS) {
      caches[kind].onChange(() => {
        if (kind === "Pod") this.pods.forget();
        if (kind === "PodDisruptionBudget") this.budgets.forget();
        for (const listener of [...this.listeners]) listener();
      });
    }
  }

  /** Opens all caches; resolves when each has its first list. On a failure the ones already open are closed. */
  static async open(cluster: Cluster): Promise<Inventory> {
    const opened = await Promise.allSettled(
      CORE_KINDS.map(async (kind): Promise<[CoreKind, WatchCache<unknown>]> => [
        kind,
        await cluster.watch(kind),
      ]),
    );
    const failed = opened.find((result) => result.status === "rejected");
    const caches = opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    if (failed) {
      for (const [, cache] of caches) cache.close();
      const reason: unknown = failed.reason;
      throw reason instanceof Error ? reason : new Error(String(reason));
    }
    return new Inventory(Object.fromEntries(caches) as unknown as Caches);
  }

  all<K extends CoreKind>(kind: K): readonly Kinds[K][] {
    return this.caches[kind].items();
  }

  get<K extends CoreKind>(kind: K, name: string, namespace?: string): Kinds[K] | undefined {
    return this.caches[kind].get(name, namespace);
  }

  podsOn(node: string): Pod[] {
    return this.pods.on(node);
  }

  podsOf(controllerUid: string): Pod[] {
    return this.pods.of(controllerUid);
  }

  podsIn(namespace: string): Pod[] {
    return this.pods.in(namespace);
  }

  budgetsOf(pod: Pod): PodDisruptionBudget[] {
    return this.budgets.of(pod);
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Milliseconds of the clock at which the oldest of the caches last heard from the server. */
  syncedAt(): number {
    return Math.min(...CORE_KINDS.map((kind) => this.caches[kind].syncedAt()));
  }

  close(): void {
    for (const kind of CORE_KINDS) this.caches[kind].close();
    this.listeners.clear();
  }
}
