import {
  ApiError,
  type Cluster,
  type EvictionResult,
  type MergePatch,
  type Selection,
  type Visited,
  type WatchCache,
} from "../../rollout/cluster/cluster.ts";
import { type Kind, type Kinds, RESOURCES } from "../../rollout/cluster/types.ts";
import { SimulatedCache, type WatchDelay } from "./cache.ts";
import { evict, type EvictionStatus } from "./eviction.ts";
import type { Random } from "./random.ts";
import type { Session } from "./session.ts";
import { type Draft, keyOf, type Store } from "./store.ts";

/** What the API server tells its audience about an eviction that was asked for. */
export interface EvictionRecord {
  at: number;
  by: string;
  pod: { name: string; namespace: string; uid: string };
  dryRun: boolean;
  status: EvictionStatus;
}

/** The server's side of all clients. */
export interface Server {
  store: Store;
  terminatingNamespaces: ReadonlySet<string>;
  watchDelay: WatchDelay;
  evictionAsked: (record: EvictionRecord) => void;
}

/** The Cluster port on a simulated API server, for one client. */
export class SimulatedCluster implements Cluster {
  readonly caches: SimulatedCache<Kind>[] = [];
  private readonly server: Server;
  private readonly session: Session;
  private readonly random: Random;

  constructor(server: Server, session: Session, random: Random) {
    this.server = server;
    this.session = session;
    this.random = random;
  }

  serverVersion(): Promise<string> {
    return Promise.resolve("v1.34.1");
  }

  serverTime(): number {
    return this.server.store.clock.now();
  }

  get<K extends Kind>(kind: K, name: string, namespace?: string): Promise<Kinds[K] | undefined> {
    checkNamespace(kind, namespace);
    return this.session.read(`get ${kind} ${keyOf(name, namespace)}`, () =>
      this.server.store.get(kind, name, namespace),
    );
  }

  /** No such API is served here. */
  read(path: string): Promise<unknown> {
    return this.session.read(`read ${path}`, () => {
      throw new ApiError(404, "NotFound", "the server could not find the requested resource");
    });
  }

  /** Nor is anything behind it. */
  visit(path: string): Promise<Visited> {
    return this.session.read(`visit ${path}`, () => {
      const message = "no endpoints available for service";
      return { status: 503, body: "", refusal: { reason: "ServiceUnavailable", message } };
    });
  }

  list<K extends Kind>(kind: K, selection?: Selection): Promise<Kinds[K][]> {
    return this.session.read(`list ${kind}`, () => this.server.store.list(kind, selection));
  }

  async watch<K extends Kind>(kind: K, selection: Selection = {}): Promise<WatchCache<Kinds[K]>> {
    const { store, watchDelay } = this.server;
    const cache = await this.session.read(
      `watch ${kind}`,
      () => new SimulatedCache(store, kind, selection, watchDelay, this.random, () => !this.session.dead),
    );
    this.caches.push(cache);
    return cache;
  }

  create<K extends Kind>(kind: K, object: Parameters<Cluster["create"]>[1]): Promise<Kinds[K]> {
    const { name, namespace, generateName } = object.metadata;
    const draft = structuredClone(object) as unknown as Draft<K>;
    return this.session.write(`create ${kind} ${keyOf(name ?? `${generateName ?? ""}…`, namespace)}`, () => {
      return this.server.store.create(kind, draft, this.session.name);
    });
  }

  patch<K extends Kind>(
    kind: K,
    name: string,
    namespace: string | undefined,
    patch: MergePatch,
  ): Promise<Kinds[K]> {
    checkNamespace(kind, namespace);
    const sent = structuredClone(patch); // what is on the wire does not change any more
    return this.session.write(`patch ${kind} ${keyOf(name, namespace)}`, () => {
      return this.server.store.patch(kind, name, namespace, sent, this.session.name);
    });
  }

  remove(kind: "ConfigMap", name: string, namespace: string): Promise<void> {
    return this.session.write(`remove ${kind} ${keyOf(name, namespace)}`, () => {
      const object = this.server.store.get(kind, name, namespace);
      if (object !== undefined) this.server.store.remove(kind, object, this.session.name);
    });
  }

  async evict(
    pod: { name: string; namespace: string; uid: string },
    options: { dryRun?: boolean } = {},
  ): Promise<EvictionResult> {
    const dryRun = options.dryRun ?? false;
    const what = `evict ${pod.namespace}/${pod.name}`;
    const { store, terminatingNamespaces } = this.server;
    const { name } = this.session;
    const act = (): EvictionStatus => {
      const status = evict(store, { ...pod, dryRun }, name, terminatingNamespaces);
      this.server.evictionAsked({ at: store.clock.now(), by: name, pod: { ...pod }, dryRun, status });
      if (status.code !== 201) throw new Refusal(status);
      return status;
    };
    try {
      await (dryRun ? this.session.read(`${what} (dry run)`, act) : this.session.write(what, act));
      return { outcome: "evicted" };
    } catch (error) {
      if (error instanceof Refusal) return resultOf(error.status);
      if (error instanceof ApiError) return faultOf(error);
      throw error;
    }
  }
}

class Refusal extends Error {
  readonly status: EvictionStatus;
  constructor(status: EvictionStatus) {
    super(status.message);
    this.status = status;
  }
}

/** The taxonomy of cluster.ts, applied to the server's words. */
export function resultOf(status: EvictionStatus): EvictionResult {
  const { code, message, cause, retryAfterSeconds } = status;
  const retry = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  if (code === 201) return { outcome: "evicted" };
  if (code === 404 || code === 409) return { outcome: "gone" };
  if (code === 429 && cause?.type === "DisruptionBudget") {
    if (cause.message.includes("still being processed"))
      return { outcome: "budget-stale", message: cause.message, ...retry };
    return {
      outcome: "budget",
      budget: /budget (\S+) needs/.exec(cause.message)?.[1],
      message: cause.message,
      ...retry,
    };
  }
  if (code === 429) return { outcome: "throttled", message, ...retry };
  if (code === 500 && message.includes("more than one PodDisruptionBudget"))
    return { outcome: "several-budgets", message };
  if (code === 403 && cause?.type === "NamespaceTerminating")
    return { outcome: "namespace-terminating", message };
  return { outcome: "refused", status: code, message };
}

/** A fault between client and server; no answer at all is `refused` with status 0, as in the real client. An injected conflict is not the UID precondition: the real client would see 409 too, so it is none here. */
function faultOf(error: ApiError): EvictionResult {
  const { status, message, retryAfterSeconds } = error;
  if (status === 429)
    return { outcome: "throttled", message, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) };
  return { outcome: "refused", status: status === 409 ? 500 : status, message };
}

/** A path without the namespace would be another resource: the real client answers 404 or 405. */
function checkNamespace(kind: Kind, namespace: string | undefined): void {
  if (RESOURCES[kind].namespaced && namespace === undefined) {
    throw new ApiError(405, "MethodNotAllowed", `${RESOURCES[kind].plural}: the namespace is missing`);
  }
}
