import { ApiError, type MergePatch, type Selection } from "../../rollout/cluster/cluster.ts";
import {
  type Kind,
  type Kinds,
  type KubeObject,
  type ObjectMeta,
  RESOURCES,
} from "../../rollout/cluster/types.ts";
import type { VirtualClock } from "./clock.ts";
import { selects } from "./select.ts";
import { validate } from "./validate.ts";

/** One change of one object, as a watch would tell it, with who made it. */
export interface Change<K extends Kind = Kind> {
  at: number;
  type: "ADDED" | "MODIFIED" | "DELETED";
  kind: K;
  object: Kinds[K];
  /** What it was before. */
  old: Kinds[K] | undefined;
  /** The client or controller that did it. */
  by: string;
}

/** A draft of an object: the server fills in the rest. */
export type Draft<K extends Kind> = Omit<Kinds[K], "metadata"> & {
  metadata: Partial<ObjectMeta> & { generateName?: string };
};

/** Kinds whose status only their status subresource changes. */
const WITH_STATUS: ReadonlySet<Kind> = new Set([
  "Node",
  "Pod",
  "PersistentVolumeClaim",
  "ReplicaSet",
  "StatefulSet",
  "DaemonSet",
  "PodDisruptionBudget",
  "VolumeAttachment",
]);
/** Kinds whose metadata.generation counts changes of the spec. */
const WITH_GENERATION: ReadonlySet<Kind> = new Set([
  "ReplicaSet",
  "StatefulSet",
  "DaemonSet",
  "PodDisruptionBudget",
]);

export const keyOf = (name: string, namespace?: string): string =>
  namespace === undefined ? name : `${namespace}/${name}`;
export const iso = (at: number): string =>
  new Date(Math.floor(at / 1000) * 1000).toISOString().replace(".000Z", "Z");

/** Between the API server's two writes for one deletion without grace. */
const LAST_WORD_MS = 20;

/**
 * The API server's storage: objects by kind with resource versions, optimistic locking, generations, graceful deletion and
 * finalizers. Synchronous: at one instant there is one truth. Objects are frozen; every write makes a new one.
 */
export class Store {
  readonly clock: VirtualClock;
  private readonly objects = new Map<Kind, Map<string, KubeObject>>();
  private readonly listeners: ((change: Change) => void)[] = [];
  private version = 100;
  private uids = 0;

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  /** Calls back synchronously after each change, in order. */
  onChange(listener: (change: Change) => void): () => void {
    this.listeners.push(listener);
    return () => void this.listeners.splice(this.listeners.indexOf(listener), 1);
  }

  get<K extends Kind>(kind: K, name: string, namespace?: string): Kinds[K] | undefined {
    return this.of(kind).get(keyOf(name, RESOURCES[kind].namespaced ? (namespace ?? "default") : undefined));
  }

  all<K extends Kind>(kind: K): Kinds[K][] {
    return [...this.of(kind).values()];
  }

  list<K extends Kind>(kind: K, selection: Selection = {}): Kinds[K][] {
    return this.all(kind).filter((object) => selects(kind, selection, object));
  }

  /** @throws ApiError 409 AlreadyExists, 422 Invalid */
  create<K extends Kind>(kind: K, draft: Draft<K>, by: string): Kinds[K] {
    const { generateName, ...given } = draft.metadata;
    const name = given.name ?? (generateName === undefined ? undefined : `${generateName}${this.suffix()}`);
    const namespaced = RESOURCES[kind].namespaced;
    if (name === undefined)
      throw invalid(kind, "", "metadata.name: Required value: name or generateName is required");
    const namespace = namespaced ? (given.namespace ?? "default") : undefined;
    if (this.get(kind, name, namespace)) {
      throw new ApiError(409, "AlreadyExists", `${RESOURCES[kind].plural} "${name}" already exists`);
    }
    const metadata: ObjectMeta = {
      ...given,
      name,
      ...(namespace !== undefined && { namespace }),
      uid: `uid-${String(++this.uids).padStart(6, "0")}`,
      creationTimestamp: iso(this.clock.now()),
      ...(WITH_GENERATION.has(kind) && { generation: 1 }),
    };
    return this.put(kind, undefined, { ...structuredClone(draft), metadata } as unknown as Kinds[K], by);
  }

  /** A client's merge patch: spec and metadata; the status of kinds with a status subresource stays (as on the real server). */
  patch<K extends Kind>(
    kind: K,
    name: string,
    namespace: string | undefined,
    patch: MergePatch,
    by: string,
  ): Kinds[K] {
    const old = this.must(kind, name, namespace);
    const asked = (patch["metadata"] as { resourceVersion?: string } | undefined)?.resourceVersion;
    if (asked !== undefined && asked !== null && asked !== old.metadata.resourceVersion)
      throw moved(kind, name);
    const merged = mergePatch(old, patch) as Kinds[K];
    if (merged.metadata.name !== name)
      throw new ApiError(400, "BadRequest", "the name of the object does not match the name on the URL");
    const status = (old as { status?: unknown }).status;
    const next = WITH_STATUS.has(kind) ? { ...merged, status } : merged;
    if (WITH_STATUS.has(kind) && status === undefined) delete (next as { status?: unknown }).status;
    return this.put(kind, old, next, by);
  }

  /** A controller's change, status included. @returns undefined when the object is gone. */
  update<K extends Kind>(
    kind: K,
    object: Kinds[K],
    change: (draft: Kinds[K]) => void,
    by: string,
  ): Kinds[K] | undefined {
    const old = this.get(kind, object.metadata.name, object.metadata.namespace);
    if (old === undefined || old.metadata.uid !== object.metadata.uid) return undefined;
    const draft = structuredClone(old);
    change(draft);
    return this.put(kind, old, draft, by);
  }

  /**
   * Deletes as the server does: a bound, unfinished pod gets its grace period (the kubelet ends it with `finalize`), an object
   * with finalizers waits for them, everything else is gone at once.
   */
  remove<K extends Kind>(kind: K, object: Kinds[K], by: string): void {
    const old = this.get(kind, object.metadata.name, object.metadata.namespace);
    if (old === undefined || old.metadata.uid !== object.metadata.uid) return;
    const held = (old.metadata.finalizers?.length ?? 0) > 0;
    const grace = kind === "Pod" ? graceOf(old as Kinds["Pod"]) : 0;
    if (!held && grace === 0) return this.drop(kind, old, by);
    if (old.metadata.deletionTimestamp !== undefined) return;
    const next = structuredClone(old);
    next.metadata.deletionTimestamp = iso(this.clock.now() + grace * 1000);
    next.metadata.deletionGracePeriodSeconds = grace;
    this.put(kind, old, next, by);
  }

  /**
   * The end of a deletion: the kubelet's last word on a pod, or a controller that drops its finalizer. For an instant before a pod
   * goes, watches show it with a grace period of 0, as the API server does (seen on 1.34).
   */
  finalize<K extends Kind>(kind: K, object: Kinds[K], by: string, dropFinalizers = false): void {
    const old = this.get(kind, object.metadata.name, object.metadata.namespace);
    if (old === undefined || old.metadata.uid !== object.metadata.uid) return;
    if ((old.metadata.finalizers?.length ?? 0) > 0 && !dropFinalizers) {
      this.update(kind, old, (draft) => (draft.metadata.deletionGracePeriodSeconds = 0), by);
      return;
    }
    if (kind !== "Pod") return this.drop(kind, old, by);
    const { name, namespace, uid } = old.metadata;
    this.update(kind, old, (draft) => (draft.metadata.deletionGracePeriodSeconds = 0), by);
    this.clock.after(LAST_WORD_MS, `${by}: remove ${name}`, () => {
      const now = this.get(kind, name, namespace);
      if (now?.metadata.uid === uid) this.drop(kind, now, by);
    });
  }

  private drop<K extends Kind>(kind: K, old: Kinds[K], by: string): void {
    this.of(kind).delete(keyOf(old.metadata.name, old.metadata.namespace));
    this.version++;
    this.tell({ at: this.clock.now(), type: "DELETED", kind, object: old, old, by });
  }

  private put<K extends Kind>(kind: K, old: Kinds[K] | undefined, next: Kinds[K], by: string): Kinds[K] {
    validate(kind, next, old);
    if (old !== undefined) {
      next.metadata.uid = old.metadata.uid;
      next.metadata.resourceVersion = old.metadata.resourceVersion;
      if (same(old, next)) return old; // a change of nothing is no change: no new version, no event
      if (WITH_GENERATION.has(kind) && !same(specOf(old), specOf(next))) {
        next.metadata.generation = (old.metadata.generation ?? 0) + 1;
      }
      const { deletionTimestamp, finalizers } = next.metadata;
      if (
        deletionTimestamp !== undefined &&
        (finalizers ?? []).length === 0 &&
        (old.metadata.finalizers ?? []).length > 0
      ) {
        if ((next.metadata.deletionGracePeriodSeconds ?? 0) === 0) {
          this.drop(kind, old, by);
          return old;
        }
      }
    }
    next.metadata.resourceVersion = String(++this.version);
    freeze(next);
    this.of(kind).set(keyOf(next.metadata.name, next.metadata.namespace), next);
    this.tell({ at: this.clock.now(), type: old ? "MODIFIED" : "ADDED", kind, object: next, old, by });
    return next;
  }

  private must<K extends Kind>(kind: K, name: string, namespace: string | undefined): Kinds[K] {
    const object = this.get(kind, name, namespace);
    if (object === undefined) throw notFound(kind, name);
    return object;
  }

  private tell(change: Change): void {
    for (const listener of [...this.listeners]) listener(change);
  }

  private suffix(): string {
    return (this.uids + 1).toString(36).padStart(5, "0");
  }

  private of<K extends Kind>(kind: K): Map<string, Kinds[K]> {
    let map = this.objects.get(kind);
    if (map === undefined) this.objects.set(kind, (map = new Map<string, KubeObject>()));
    return map as Map<string, Kinds[K]>;
  }
}

const specOf = (object: KubeObject): unknown => (object as { spec?: unknown }).spec;

export const notFound = (kind: Kind, name: string): ApiError =>
  new ApiError(404, "NotFound", `${RESOURCES[kind].plural} "${name}" not found`);
export const moved = (kind: Kind, name: string): ApiError =>
  new ApiError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${RESOURCES[kind].plural} "${name}": the object has been modified; please apply your changes to the latest version and try again`,
  );
export const invalid = (kind: Kind, name: string, why: string): ApiError =>
  new ApiError(422, "Invalid", `${kind} "${name}" is invalid: ${why}`);

/** The grace period that a deletion without options gives: none to a pod that no kubelet runs, or that has finished. */
function graceOf(pod: Kinds["Pod"]): number {
  const phase = pod.status?.phase;
  if (pod.spec?.nodeName === undefined || phase === "Succeeded" || phase === "Failed") return 0;
  return pod.spec.terminationGracePeriodSeconds ?? 30;
}

/** RFC 7386: null takes away, objects merge, everything else (arrays too) replaces. */
export const mergePatch = (target: unknown, patch: unknown): unknown =>
  structuredClone(merged(target, patch));

function merged(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const result: Record<string, unknown> = isMap(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = merged(result[key], value);
  }
  return result;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = Object.entries(a).filter(([, value]) => value !== undefined);
  const right = Object.entries(b).filter(([, value]) => value !== undefined);
  return (
    left.length === right.length &&
    left.every(([key, value]) => same(value, (b as Record<string, unknown>)[key]))
  );
}

function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) freeze(inner);
}
