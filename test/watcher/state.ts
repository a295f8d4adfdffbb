/** What the watcher knows at one moment of the stream. Plain data: no clock, no connection. */
import type { Actor, RequestSeen, Violation } from "./observation.ts";
import type { Budget, Claim, Lease, Node, Pod, Scaled, VolumeAttachment } from "./objects.ts";

/** One place in a workload: a StatefulSet's ordinal, or the chain of a pod and the pods that replaced it. */
export interface Slot {
  /** `namespace/name` of the slot's first pod. */
  id: string;
  /** Every eviction of it by PatchGuard. */
  moves: { at: number; leg: number; from: string }[];
}

/** How a pod came to terminate. */
export interface Cause {
  actor: Actor;
  how: "eviction" | "delete" | "unknown";
}

export interface PodRecord {
  pod: Pod;
  slot: Slot;
  /** Set when the pod began to terminate. */
  ended?: { at: number; cause: Cause };
  /** When it last stopped being healthy without anybody's request. */
  failedAt?: number;
}

export interface NodeRecord {
  node: Node;
  /** The scheduling fields as the others (not PatchGuard) last left them: what must stand at the end. */
  foreign: Map<string, string>;
  /** PatchGuard has cordoned or tainted it at some time. */
  closedByUs: boolean;
  /** Since when a node that PatchGuard cordoned has been without workload pods. */
  emptySince?: number;
  /** The node's drain was over (see rules/nodes.ts). */
  finished: boolean;
  /** The run in which PatchGuard uncordoned it. */
  uncordonedInRun?: number;
}

/** A StatefulSet's pod on its way to another node. */
export interface Handing {
  pod: string;
  uid: string;
  from: string;
  volumes: { volume: string; wasAttached: boolean }[];
}

export interface BudgetStats {
  minHealthy: number;
  maxUnavailable: number;
  /** Times at which fewer were ready than the budget wants, whoever did it. */
  breaches: number;
  below: boolean;
  /** All its pods have been ready once. Before that, a workload merely starts. */
  whole: boolean;
}

export interface Disruption {
  at: number;
  pod: string;
  node: string;
  cause: Cause;
  leg: number;
}

export interface WatchState {
  at: number;
  pods: Map<string, PodRecord>;
  nodes: Map<string, NodeRecord>;
  budgets: Map<string, { budget: Budget; stats: BudgetStats; zeroSince?: number }>;
  /** StatefulSets, ReplicaSets and Deployments by UID. */
  scaled: Map<string, Scaled>;
  /** Of those, the last growth by UID: what they wanted before, and when it was seen. */
  grown: Map<string, { at: number; from: number }>;
  attachments: Map<string, VolumeAttachment>;
  claims: Map<string, Claim>;
  lease?: Lease;
  /** Recent writes by `resource namespace/name`, oldest first. */
  requests: Map<string, RequestSeen[]>;
  /** Slots whose pod ended and whose replacement has not been created, by controller UID. */
  vacant: Map<string, Slot[]>;
  /** Slots of StatefulSets by `controller UID/pod name`. */
  ordinals: Map<string, Slot>;
  slots: Slot[];
  handing: Map<string, Handing[]>;
  /**
   * By UID of a workload: the healthy pod that PatchGuard last took from it, how many were healthy just before, and how many others have
   * taken away since, or failed.
   */
  taken: Map<string, { pod: string; healthy: number; lost: number }>;
  /** When a budget last went, or began to select other pods. */
  selectionChangedAt: number;
  preflight: { state: "unmarked" | "blocked" | "passed"; budget?: string };
  exempt: Set<string>;
  killedAt?: number;
  run: number;
  legs: string[];
  losses: Map<string, string>;
  secondMoves?: string;
  disruptions: Disruption[];
  refusedEvictions: Map<string, number>;
  /** Successful writes by PatchGuard, by resource. */
  productWrites: Map<string, number>;
  violations: Violation[];
  /** Worth telling, no violation. */
  notes: string[];
  requireLease: boolean;
}

export interface JudgeOptions {
  /** Evictions without a Lease that is held and was renewed in time are violations. Default true. */
  requireLease?: boolean;
}

export function newState(options: JudgeOptions = {}): WatchState {
  return {
    at: 0,
    pods: new Map(),
    nodes: new Map(),
    budgets: new Map(),
    scaled: new Map(),
    grown: new Map(),
    attachments: new Map(),
    claims: new Map(),
    requests: new Map(),
    vacant: new Map(),
    ordinals: new Map(),
    slots: [],
    handing: new Map(),
    taken: new Map(),
    selectionChangedAt: -Infinity,
    preflight: { state: "unmarked" },
    exempt: new Set(),
    run: 0,
    legs: ["first"],
    losses: new Map(),
    disruptions: [],
    refusedEvictions: new Map(),
    productWrites: new Map(),
    violations: [],
    notes: [],
    requireLease: options.requireLease ?? true,
  };
}

export const currentLeg = (state: WatchState): number => state.legs.length - 1;
