import type { Finding, ObjectRef } from "../finding.ts";

/**
 * Every rule of pre-flight with its severity: `block` pauses the run, `warning` only says so. docs/reference.md holds the same table
 * for people; a unit test compares the two.
 */
export const RULES = {
  "budget-sync-failed": "block",
  "budget-stale": "block",
  "budget-unmanaged-pods": "block",
  "budget-max-unavailable-zero": "block",
  "budget-min-available-all": "block",
  "budget-scaled-down": "block",
  "budget-pods-not-created": "block",
  "budget-oom-killed": "block",
  "budget-image-pull": "block",
  "budget-crash-loop": "block",
  "budget-unschedulable": "block",
  "budget-already-down": "block",
  "budget-pods-not-ready": "block",
  "budget-pods-starting": "block",
  "budget-spent": "block",
  "budget-by-design": "warning",
  "budget-excepted": "warning",
  "budget-selects-nothing": "warning",
  "budget-overlaps": "warning",
  "several-budgets": "block",
  "unmanaged-pod": "block",
  "empty-dir": "block",
  "pod-excluded": "warning",
  "pod-tolerates-everything": "warning",
  "statefulset-not-whole": "block",
  "statefulset-not-whole-elsewhere": "warning",
  "left-short": "block",
  "left-short-goes-first": "warning",
  "daemonset-not-whole": "warning",
  "no-budget": "warning",
  "volume-local": "block",
  "volume-zone": "block",
  "volume-unknown-zone": "warning",
  "claim-pending": "warning",
  "node-not-ready": "warning",
  "node-skew": "warning",
  "architecture-differs": "warning",
  "metadata-hop-limit": "warning",
  "cgroup-version": "warning",
  "evictor-active": "warning",
  "not-judged": "warning",
  "eviction-denied": "block",
  "eviction-by-operator": "warning",
  "eviction-not-judged": "warning",
  "does-not-fit": "block",
  "spread-deadlock": "block",
  "fit-not-judged": "warning",
  "vcpu-quota": "block",
  "subnet-addresses": "block",
  "subnet-nearly-full": "warning",
  "group-quota": "block",
  "instance-type-zone": "block",
  "capacity-spot": "warning",
  "cloud-not-judged": "warning",
  "too-long": "warning",
} as const satisfies Record<string, "block" | "warning">;
export type RuleName = keyof typeof RULES;

/**
 * A finding of a rule, with the rule's severity.
 * @param why a clause about the object, without its name and without a full stop
 * @param fix what the operator does next, as an imperative
 */
export const finding = (rule: RuleName, object: ObjectRef, why: string, fix: string): Finding => ({
  severity: RULES[rule],
  rule,
  object,
  why,
  fix,
});

/** A Kubernetes object as findings name it. */
export const refOf = (
  kind: string,
  { metadata: { namespace, name, uid } }: { metadata: { namespace?: string; name: string; uid?: string } },
): ObjectRef => ({ kind, ...(namespace === undefined ? {} : { namespace }), name, uid });
