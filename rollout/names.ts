/**
 * Every name that PatchGuard writes into a cluster, a cloud or a log, in one place.
 * docs/reference.md holds the same table for people; a unit test compares the two.
 */

/** Node label and cloud tag: the pool a node or group belongs to. */
export const LABEL_POOL = "patchguard.dev/pool";
/** Node label and cloud tag: 8 hex digits, the hash of a pool's inputs (see components/generation.ts). */
export const LABEL_GENERATION = "patchguard.dev/generation";
/** Cloud tag: the cluster (its name) that a group serves. */
export const TAG_CLUSTER = "patchguard.dev/cluster";
/** Taint on the nodes of a generation that is closed, or about to be. The value is the generation moved to. */
export const TAINT_HANDOVER = "patchguard.dev/handover";
/**
 * Ownership annotation on a node: JSON of what PatchGuard changed on it (see rollout/ownership.ts).
 * What it does not list was set by somebody else and is left alone.
 */
export const ANNOTATION_CLOSED_BY = "patchguard.dev/closed-by";
/** Ownership tag on a cloud group: what the group looked like before PatchGuard froze or protected it. */
export const TAG_CLOSED_BY = "patchguard.dev/closed-by";

/** Annotation on the Lease: what an operator wants of the handover under way (see rollout/controls.ts). Removed when it is read. */
export const ANNOTATION_CONTROL = "patchguard.dev/control";
/** Annotation on the Lease: the handover's answer to the last of them. */
export const ANNOTATION_CONTROL_SEEN = "patchguard.dev/control-seen";

/** Namespace of the Lease and of the run state. */
export const STATE_NAMESPACE = "kube-system";
/** The Lease that makes one handover at a time on a cluster. */
export const LEASE_NAME = "patchguard";
/** Name of the ConfigMap that holds a pool's run state. */
export const runStateName = (pool: string): string => `patchguard-${pool}`;
/** Name of the ConfigMap that holds the evidence of a pool's last run (see rollout/observed/). */
export const evidenceName = (pool: string): string => `patchguard-${pool}-evidence`;
/** Name of the ConfigMap that holds the metrics of a pool's workloads from before anything was closed (see rollout/health/baseline.ts). */
export const baselineName = (pool: string): string => `patchguard-${pool}-baseline`;
/** Name of the ConfigMap that holds a pool's open alerts (see rollout/alerts/open.ts). */
export const alertsName = (pool: string): string => `patchguard-${pool}-alerts`;
/** ConfigMap that records that `destroy` was consented to (see rollout/consent.ts). */
export const CONSENT_NAME = "patchguard-destroy-consent";
/** Reporting component of the Kubernetes Events, and field manager of the writes. */
export const COMPONENT = "patchguard";

/** Label with which load balancers leave a node out (https://kubernetes.io/docs/reference/labels-annotations-taints/). */
export const LABEL_EXCLUDE_LB = "node.kubernetes.io/exclude-from-external-load-balancers";
/** Annotation with which the cluster autoscaler keeps a node. */
export const ANNOTATION_SCALE_DOWN_DISABLED = "cluster-autoscaler.kubernetes.io/scale-down-disabled";

/** Reasons of the Kubernetes Events that PatchGuard emits. */
export const EVENT = {
  blocked: "PatchGuardBlocked",
  unblocked: "PatchGuardUnblocked",
  relaxed: "PatchGuardRelaxed",
  draining: "PatchGuardDraining",
  drained: "PatchGuardDrained",
  held: "PatchGuardHeld",
  rolledBack: "PatchGuardRolledBack",
  inconclusive: "PatchGuardInconclusive",
  paused: "PatchGuardPaused",
  resumed: "PatchGuardResumed",
  windowSkipped: "PatchGuardWindowSkipped",
  reopened: "PatchGuardReopened",
  succeeded: "PatchGuardSucceeded",
} as const;
export type EventReason = (typeof EVENT)[keyof typeof EVENT];

/** Default deadlines and intervals, in seconds. All but `quietSeconds` and `requestTimeoutSeconds` can be set under `patchguard:rollout`. */
export const DEFAULTS = {
  /** How long pre-flight waits for blocking findings to clear. */
  preflightTimeoutSeconds: 1800,
  /** How long green may take to join and become Ready. */
  greenTimeoutSeconds: 900,
  /** From "the old pod is gone" to "its replacement is Ready". The walkthrough's four minutes. */
  podTimeoutSeconds: 240,
  /** How long a budget may refuse an eviction before the handover holds. */
  budgetTimeoutSeconds: 600,
  /** What a pod may take beyond its own grace period to be gone. */
  terminationSlackSeconds: 60,
  /** How long a volume may take to be handed over. */
  volumeTimeoutSeconds: 420,
  /** No new bind for this long after the cordon (scheduler lag; Karpenter's MinDrainTime). */
  quietSeconds: 5,
  /** A replacement Pending for longer than this relaxes blue's taint to PreferNoSchedule. */
  relaxAfterSeconds: 30,
  /** How long pods of running Jobs may go on before they are evicted. */
  jobWaitSeconds: 0,
  /** The health window after each node. */
  healthWindowSeconds: 300,
  /** How often each metric is asked for. */
  healthSampleSeconds: 15,
  /** How much longer a window may become while its samples decide nothing. */
  healthExtensionSeconds: 300,
  /** While an operator has paused a handover, that is told anew this often. */
  pauseRemindSeconds: 300,
  /** GitHub ends a job after six hours (https://docs.github.com/en/actions/reference/limits). */
  jobTimeoutSeconds: 21600,
  leaseDurationSeconds: 30,
  leaseRenewSeconds: 5,
  /** Deadline of a single request to an API. */
  requestTimeoutSeconds: 30,
} as const;
