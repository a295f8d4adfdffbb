import type { Cluster, WatchCache } from "./cluster/cluster.ts";
import type { Kind, Kinds, OwnerReference, Pod, PodDisruptionBudget } from "./cluster/types.ts";
import { matches } from "./selectors.ts";

const WATCHED = [
  "Node",
  "Pod",
  "PodDisruptionBudget",
  "ReplicaSet",
  "StatefulSet",
  "DaemonSet",
  "PersistentVolumeClaim",
  "PersistentVolume",
  "VolumeAttachment",
  "CSIDriver",
] as const satisfies Kind[];
type Watched = (typeof WATCHED)[number];
type Caches = { [K in Watched]: WatchCache<Kinds[K]> };

/**
 * The live picture of the cluster that the handover decides by: watch caches, with indexes that are made anew after a change.
 * Only reads; what it says may be a moment old, so the API server stays the judge of every eviction.
 */
export class Inventory {
  private readonly caches: Caches;
  private readonly listeners = new Set<() => void>();
  private podsByNode: Map<string, Pod[]> | undefined;
  private podsByController: Map<string, Pod[]> | undefined;

  private constructor(caches: Caches) {
    this.caches = caches;
    for (const kind of WATCHED) {
      caches[kind].onChange(() => {
        if (kind === "Pod") this.podsByNode = this.podsByController = undefined;
        for (const listener of [...this.listeners]) listener();
      });
    }
  }

  /** Opens all caches; resolves when each has its first list. On a failure the ones already open are closed. */
  static async open(cluster: Cluster): Promise<Inventory> {
    const opened = await Promise.allSettled(
      WATCHED.map(async (kind): Promise<[Watched, WatchCache<unknown>]> => [kind, await cluster.watch(kind)]),
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

  all<K extends Watched>(kind: K): readonly Kinds[K][] {
    return this.caches[kind].items();
  }

  get<K extends Watched>(kind: K, name: string, namespace?: string): Kinds[K] | undefined {
    return this.caches[kind].get(name, namespace);
  }

  podsOn(node: string): Pod[] {
    this.podsByNode ??= Map.groupBy(this.all("Pod"), (pod) => pod.spec?.nodeName ?? "");
    return this.podsByNode.get(node) ?? [];
  }

  podsOf(controllerUid: string): Pod[] {
    this.podsByController ??= Map.groupBy(this.all("Pod"), (pod) => controllerOf(pod)?.uid ?? "");
    return this.podsByController.get(controllerUid) ?? [];
  }

  budgetsOf(pod: Pod): PodDisruptionBudget[] {
    return this.all("PodDisruptionBudget").filter(
      (budget) =>
        budget.metadata.namespace === pod.metadata.namespace &&
        matches(budget.spec?.selector, pod.metadata.labels),
    );
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Milliseconds of the clock at which the oldest of the caches last heard from the server. */
  syncedAt(): number {
    return Math.min(...WATCHED.map((kind) => this.caches[kind].syncedAt()));
  }

  close(): void {
    for (const kind of WATCHED) this.caches[kind].close();
    this.listeners.clear();
  }
}

/** The owner that manages a pod (`controller: true`), if any. */
export const controllerOf = (pod: Pod): OwnerReference | undefined =>
  pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
