/** Write requests: kept to tell later who caused a change, and judged by themselves where that is enough. */
import type { Actor, RequestSeen, Violation } from "../observation.ts";
import { isProduct, UNKNOWN } from "../observation.ts";
import type { Pod } from "../objects.ts";
import type { Cause, WatchState } from "../state.ts";
import { judgeTouch } from "./preflight.ts";
import { violation } from "./violation.ts";

/** After a kill, a request already under way may still arrive for this long. */
const KILL_GRACE_MS = 5000;
const KEPT_PER_OBJECT = 30;

/** Things that hold up a disruption: removing them would be a way around it. Writing a Pod is judged elsewhere. */
const NEVER_DELETED = new Set([
  "nodes",
  "persistentvolumeclaims",
  "persistentvolumes",
  "volumeattachments",
  "statefulsets",
  "replicasets",
  "deployments",
  "daemonsets",
]);

const bookKey = (resource: string, namespace: string, name: string): string =>
  `${resource} ${namespace}/${name}`;

export const isEviction = (request: RequestSeen): boolean =>
  request.resource === "pods" && request.subresource === "eviction" && request.verb === "create";

const succeeded = (request: RequestSeen): boolean => request.code >= 200 && request.code < 300;

export function onRequest(state: WatchState, request: RequestSeen): Violation[] {
  const { verb, resource, namespace, name, actor, at } = request;
  if (isEviction(request) && !succeeded(request)) {
    state.refusedEvictions.set(actor.name, (state.refusedEvictions.get(actor.name) ?? 0) + 1);
  }
  if (succeeded(request)) {
    const key = bookKey(resource, namespace, name);
    const book = state.requests.get(key) ?? [];
    book.push(request);
    if (book.length > KEPT_PER_OBJECT) book.shift();
    state.requests.set(key, book);
    if (isProduct(actor)) state.productWrites.set(resource, (state.productWrites.get(resource) ?? 0) + 1);
  }
  return isProduct(actor) ? judgeProductRequest(state, request, verb, at) : [];
}

function judgeProductRequest(state: WatchState, request: RequestSeen, verb: string, at: number): Violation[] {
  const { resource, actor } = request;
  const found: Violation[] = [];
  const deletes = verb === "delete" || verb === "deletecollection";
  const object = `${resource.replace(/s$/, "")} ${request.namespace === "" ? "" : `${request.namespace}/`}${request.name || "*"}`;
  if (resource === "pods" && deletes) {
    found.push(
      violation(
        "not-an-eviction",
        object,
        at,
        actor,
        `${verb} of a pod, which no budget guards, instead of an eviction`,
      ),
    );
  }
  if (resource === "poddisruptionbudgets") {
    found.push(violation("bypass", object, at, actor, `${verb} of a budget (answered ${request.code})`));
  }
  if (NEVER_DELETED.has(resource) && deletes) {
    found.push(violation("bypass", object, at, actor, `${verb} (answered ${request.code})`));
  }
  if (
    isEviction(request) &&
    request.body !== undefined &&
    !/"preconditions":\{[^}]*"uid":"/.test(request.body)
  ) {
    found.push(
      violation(
        "no-precondition",
        object,
        at,
        actor,
        "evicted by name alone: a successor of that name could be hit",
      ),
    );
  }
  // a refused attempt has no effect to be judged by, so it is judged here
  if (isEviction(request) && !succeeded(request) && state.preflight.state === "blocked") {
    found.push(...judgeTouch(state, object, actor, `eviction attempted (answered ${request.code})`, at));
  }
  const disrupts = isEviction(request) || (resource === "pods" && deletes);
  if (disrupts && state.killedAt !== undefined && at > state.killedAt + KILL_GRACE_MS) {
    const late = ((at - state.killedAt) / 1000).toFixed(1);
    found.push(
      violation("evicted-after-kill", object, at, actor, `asked to evict it ${late} s after the kill`),
    );
  }
  return found;
}

/** Who made a pod terminate: the newest fitting request on it. */
export function causeOf(state: WatchState, pod: Pod): Cause {
  const { namespace = "", name } = pod.metadata;
  const own = state.requests.get(bookKey("pods", namespace, name)) ?? [];
  const collection = (state.requests.get(bookKey("pods", namespace, "")) ?? []).filter(
    (request) => request.verb === "deletecollection",
  );
  const candidates = [...collection, ...own.filter((r) => isEviction(r) || r.verb === "delete")];
  const byEviction = pod.status?.conditions?.some(
    (c) => c.type === "DisruptionTarget" && c.status === "True" && c.reason === "EvictionByEvictionAPI",
  );
  const evictions = candidates.filter(isEviction);
  const deletions = candidates.filter((request) => !isEviction(request));
  // An eviction that was a dry run is in the log too: only the pod's own condition tells that one took place.
  const how = byEviction === true ? "eviction" : "delete";
  const chosen = (byEviction === true ? evictions : deletions).at(-1);
  state.requests.delete(bookKey("pods", namespace, name));
  if (chosen === undefined) return { actor: UNKNOWN, how: byEviction === true ? how : "unknown" };
  return { actor: chosen.actor, how };
}

/**
 * Everybody who wrote an object (not its status) in the given time. Where the requests' bodies are known, those that
 * mention the given words come before the others.
 */
export function writersOf(
  state: WatchState,
  resource: string,
  key: { namespace?: string; name: string },
  since: number,
  mention = "",
): Actor[] {
  const book = state.requests.get(bookKey(resource, key.namespace ?? "", key.name)) ?? [];
  const writes = book.filter(
    ({ verb, subresource, at }) =>
      ["create", "update", "patch"].includes(verb) && subresource === "" && at >= since,
  );
  const fitting = writes.filter(({ body }) => body === undefined || body.includes(mention));
  const chosen = fitting.length > 0 ? fitting : writes;
  return [...new Map(chosen.map(({ actor }) => [actor.name, actor])).values()];
}
