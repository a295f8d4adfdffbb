import type { Kind, Kinds } from "./types.ts";

/** Which objects a list or a watch covers. */
export interface Selection {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

/**
 * A live copy of the objects of one kind, kept by list and watch. It reconnects by itself; `syncedAt` tells how far the copy
 * can be trusted, so that nobody acts on a picture that stopped moving.
 */
export interface WatchCache<T> {
  /** All objects, in no particular order. The array is shared: do not change it. */
  items(): readonly T[];
  get(name: string, namespace?: string): T | undefined;
  /** Calls back after every change (and after a re-list). Returns the function that ends it. */
  onChange(callback: () => void): () => void;
  /** Milliseconds (of the clock) at which the server was last heard from. */
  syncedAt(): number;
  close(): void;
}

/** A change of an object, written as a JSON merge patch (RFC 7386). With `metadata.resourceVersion` it is refused (409) when the object moved on. */
export type MergePatch = Record<string, unknown>;

/** What the Eviction API answered (https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/). */
export type EvictionResult =
  | { outcome: "evicted" }
  /** 404, or 409 on the UID precondition: this pod is gone already. */
  | { outcome: "gone" }
  /** 429 with a DisruptionBudget cause: the budget is spent. `message` carries "needs N healthy pods and has M". */
  | { outcome: "budget"; budget: string | undefined; message: string; retryAfterSeconds?: number }
  /** 429 "still being processed by the server": the budget has just changed. */
  | { outcome: "budget-stale"; message: string; retryAfterSeconds?: number }
  /** 429 without such a cause: the API server is busy; says nothing about the budget. */
  | { outcome: "throttled"; message: string; retryAfterSeconds?: number }
  /** 500 "This pod has more than one PodDisruptionBudget": can never succeed. */
  | { outcome: "several-budgets"; message: string }
  /** 403 because the namespace terminates: the pod goes with it. */
  | { outcome: "namespace-terminating"; message: string }
  /**
   * Any other refusal: an admission webhook, a missing permission, a fault of the server. Status 0: no answer came, so the
   * pod may or may not be evicted; the watch tells, and asking again does no harm.
   */
  | { outcome: "refused"; status: number; message: string };

/** What a Service answered through the API server, or the API server in its place. */
export interface Visited {
  status: number;
  body: string;
  /** The API server's own refusal, in its words: the Service was not reached. */
  refusal: { reason: string; message: string } | undefined;
}

/** The API server, as the rollout sees it. Real: rollout/cluster/client.ts. Every method throws ApiError. */
export interface Cluster {
  /** The API server's own version: `v1.34.1-eks-113cf36`. */
  serverVersion(): Promise<string>;
  /**
   * What time the API server has, by its last answer: milliseconds since the epoch, less than two seconds late. Its time stamps are
   * compared with this, since the clock of the machine that we run on may be ahead of it.
   */
  serverTime(): number;
  get<K extends Kind>(kind: K, name: string, namespace?: string): Promise<Kinds[K] | undefined>;
  /** What an API says that is no kind of ours (metrics.k8s.io, a Service's proxy). @param path from `/` on @throws ApiError */
  read(path: string): Promise<unknown>;
  /**
   * One attempt at a Service's proxy: what it answers, whatever its status, the body's beginning alone. A redirect is not followed.
   * @param path from `/` on @throws ApiError with status 0 when nothing answers before `signal` aborts
   */
  visit(path: string, signal: AbortSignal): Promise<Visited>;
  list<K extends Kind>(kind: K, selection?: Selection): Promise<Kinds[K][]>;
  /** Resolves when the first list has arrived. */
  watch<K extends Kind>(kind: K, selection?: Selection): Promise<WatchCache<Kinds[K]>>;
  create<K extends Kind>(
    kind: K,
    object: Omit<Kinds[K], "metadata"> & {
      metadata: { name?: string; generateName?: string; namespace?: string; [field: string]: unknown };
    },
  ): Promise<Kinds[K]>;
  patch<K extends Kind>(
    kind: K,
    name: string,
    namespace: string | undefined,
    patch: MergePatch,
  ): Promise<Kinds[K]>;
  /** Only for objects of PatchGuard's own (run state, consent); 404 counts as done. */
  remove(kind: "ConfigMap", name: string, namespace: string): Promise<void>;
  /** Asks the Eviction API to move exactly this pod (UID precondition). Grace period and finalizers stay the pod's own. */
  evict(
    pod: { name: string; namespace: string; uid: string },
    options?: { dryRun?: boolean },
  ): Promise<EvictionResult>;
}

/** An API server's refusal, or the failure to reach it. */
export class ApiError extends Error {
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  /** Kubernetes Status reason (`NotFound`, `Conflict`, …) or the socket's error code. */
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;
  constructor(
    status: number,
    reason: string,
    message: string,
    options?: { cause?: unknown; retryAfterSeconds?: number },
  ) {
    super(message, { cause: options?.cause });
    this.name = "ApiError";
    this.status = status;
    this.reason = reason;
    this.retryAfterSeconds = options?.retryAfterSeconds;
  }
}
