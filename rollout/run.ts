import type { Announcer } from "./alert.ts";
import type { Clock } from "./clock.ts";
import type { Cloud } from "./cloud/cloud.ts";
import type { Cluster } from "./cluster/cluster.ts";
import type { RolloutConfig } from "./config/index.ts";
import type { Controls } from "./controls.ts";
import { Abandoned } from "./errors.ts";
import type { Measured } from "./health/measured.ts";
import type { Inventory } from "./inventory.ts";
import type { HeldLease } from "./lease.ts";
import type { RunLog } from "./log.ts";
import type { RequestCounts } from "./observed/requests.ts";
import type { RunState } from "./run-state.ts";
import type { Target } from "./target.ts";
import type { GreenSpec } from "./targets.ts";

/** The outside world and the orders: what a handover or a gate is given. */
export interface Job {
  target: Target;
  /** Other pools of the stack, still to come: their blue nodes are marked so that free pods do not move twice. */
  later: Target[];
  /** What green will be made of; undefined where the caller does not know. */
  green?: GreenSpec | undefined;
  config: RolloutConfig;
  /** `<project>/<stack>`: the part of the Lease holder's name that stays the same from run to run. */
  stack: string;
  /** Name of the Kubernetes cluster, for alerts. */
  clusterName?: string | undefined;
  /** Identifies this process. */
  runId: string;
  cluster: Cluster;
  cloud: Cloud;
  clock: Clock;
  log: RunLog;
  /** Where announcements also go (rollout/alerts/alerted.ts). */
  alerts?: Announcer["alerts"];
  /** What is asked of cluster and cloud, where somebody counts. */
  requests?: RequestCounts | undefined;
  /** What is measured in health windows, in place of what the config says; tests measure by themselves. */
  measured?: Measured | undefined;
  /** All pools of the stack, this one included: whose metrics go out together. */
  pools?: readonly string[] | undefined;
  /** Aborted with Interrupted (the operator's wish) or Abandoned (the engine died). */
  signal: AbortSignal;
}

/** A handover under way. */
export interface Run extends Job {
  inventory: Inventory;
  lease: HeldLease;
  state: RunState;
  /** What the operators want of it. */
  controls: Controls;
  /** Milliseconds of the clock at which the handover began. */
  startedAt: number;
}

/** @throws the reason when the run was told to stop, or the Lease is no longer ours. Every eviction and every closing stands behind it. */
export function mayAct(run: Run): void {
  run.signal.throwIfAborted();
  run.lease.assertHeld();
}

/** Putting back goes on after the operator's stop, but not when the engine is gone or the Lease lost: another run may be at work. @throws Abandoned */
export function mayPutBack(run: Run): void {
  if (run.signal.reason instanceof Abandoned) throw run.signal.reason;
  run.lease.assertHeld();
}
