/** What the watcher sees, in one ordered stream, and what it can say about it. */
import { CLOUD_AGENT, PRODUCT_AGENT, TEST_AGENT } from "./names.ts";
import type { KubeObject } from "./objects.ts";

/** An object as the API server showed it. `INITIAL` objects were there when the watcher began. */
export interface ObjectSeen {
  type: "object";
  /** Milliseconds since the epoch. */
  at: number;
  change: "INITIAL" | "ADDED" | "MODIFIED" | "DELETED";
  object: KubeObject;
}

/** A write request from the API server's audit log. */
export interface RequestSeen {
  type: "request";
  /** When the server received it, milliseconds since the epoch. */
  at: number;
  verb: string;
  resource: string;
  subresource: string;
  namespace: string;
  /** Empty for a request on a whole collection. */
  name: string;
  actor: Actor;
  /** HTTP status of the answer. */
  code: number;
  /** What was sent, as JSON, where the audit policy records it (evictions, deletions of pods, nodes). */
  body?: string;
}

/** What the test declares about the world, so that the watcher can judge what it sees. */
export type Mark =
  /** Pre-flight must not have passed from here on: until the named budget allows a disruption, or until "passed". */
  | { mark: "preflight"; state: "blocked" | "passed"; budget?: string }
  /** PatchGuard was killed: nothing may go on evicting. */
  | { mark: "killed" }
  /** PatchGuard runs again. */
  | { mark: "resumed" }
  /** A run ended without finishing; closing its finished nodes again in the next one is no second drain. */
  | { mark: "held" }
  /** The direction changes (revert, rollback, the next image): from here each pod may move once more. */
  | { mark: "leg"; name: string }
  /** These nodes are lost, or deleted, on purpose by somebody else. */
  | { mark: "loss"; nodes: string[]; why: string }
  /** Pods may move twice from here on, because green has no room. */
  | { mark: "second-moves"; why: string }
  /** This budget (`namespace/name`) stands at zero by design: it blocks nothing. */
  | { mark: "exempt"; budget: string };

export interface MarkSeen {
  type: "mark";
  at: number;
  mark: Mark;
}

/** A gap in what was seen, which could hide something. */
export interface BlindSeen {
  type: "blind";
  at: number;
  what: string;
}

export type Observation = ObjectSeen | RequestSeen | MarkSeen | BlindSeen;

/** Who did something: a program, and the part of it (a controller's name) where its user agent tells. */
export interface Actor {
  name: string;
  detail?: string;
}

export const NOBODY: Actor = { name: "nobody" };
export const UNKNOWN: Actor = { name: "unknown" };

/** Tells the program behind a request from its user agent, or else from its user. */
export function actorOf(userAgent: string, user: string): Actor {
  if (userAgent.startsWith(PRODUCT_AGENT)) return { name: "patchguard" };
  if (userAgent.startsWith(CLOUD_AGENT)) return { name: "machine-room" };
  if (userAgent.startsWith(TEST_AGENT)) return { name: "test" };
  const serviceAccount = /^system:serviceaccount:kube-system:(.+)$/.exec(user)?.[1];
  if (userAgent.startsWith("kube-controller-manager") || user === "system:kube-controller-manager") {
    const part = serviceAccount ?? /\/([a-z0-9-]+)$/.exec(userAgent)?.[1];
    return part === undefined
      ? { name: "kube-controller-manager" }
      : { name: "kube-controller-manager", detail: part };
  }
  const program = userAgent.split(/[/ ]/)[0] ?? "";
  return { name: program === "" ? user || "unknown" : program };
}

export const isProduct = (actor: Actor): boolean => actor.name === "patchguard";

export const showActor = (actor: Actor): string =>
  actor.detail === undefined ? actor.name : `${actor.name} (${actor.detail})`;

export type ViolationKind =
  | "budget"
  | "not-an-eviction"
  | "no-precondition"
  | "grace-shortened"
  | "finalizer-stripped"
  | "bypass"
  | "before-preflight"
  | "pod-lost"
  | "leak"
  | "foreign-state-removed"
  | "evicted-after-kill"
  | "drained-again"
  | "moved-twice"
  | "statefulset-overlap"
  | "unguarded-overlap"
  | "lease"
  | "not-finished"
  | "blind";

/** A broken promise. */
export interface Violation {
  kind: ViolationKind;
  /** Number of the promise in the design, 0 when the watcher itself failed. */
  promise: number;
  /** For example `pod shop/web-1`. */
  object: string;
  /** Milliseconds since the epoch. */
  at: number;
  who: string;
  what: string;
}

export const showViolation = (v: Violation): string =>
  `${new Date(v.at).toISOString()} [${v.kind}, promise ${v.promise}] ${v.object}: ${v.what} (by ${v.who})`;
