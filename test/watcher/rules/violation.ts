import type { Actor, Violation, ViolationKind } from "../observation.ts";
import { showActor } from "../observation.ts";

/** The promise of the design (section 2) that each kind of violation breaks. */
const PROMISES: Record<ViolationKind, number> = {
  budget: 1,
  "not-an-eviction": 1,
  "no-precondition": 1,
  "grace-shortened": 1,
  "finalizer-stripped": 1,
  bypass: 1,
  "before-preflight": 2,
  "pod-lost": 3,
  leak: 4,
  "foreign-state-removed": 4,
  "evicted-after-kill": 5,
  "drained-again": 5,
  "moved-twice": 5,
  "statefulset-overlap": 6,
  "unguarded-overlap": 6,
  lease: 5,
  "not-finished": 3,
  blind: 0,
};

export const violation = (
  kind: ViolationKind,
  object: string,
  at: number,
  who: Actor,
  what: string,
): Violation => ({ kind, promise: PROMISES[kind], object, at, who: showActor(who), what });
