import type { Pod } from "./cluster/types.ts";
import { podName } from "./pods.ts";
import type { Workload } from "./whole.ts";

/** A pod on its way off a node. Times are milliseconds of the clock. */
export interface Mover {
  pod: Pod;
  workload: Workload | undefined;
  /** When it was first seen on a node in hand. */
  noticedAt: number;
  /** Since when it has been waiting for its turn: since it was first seen on the node, or since its budget last let another pod go. */
  waitingSince: number;
  /** The longest grace period that was seen on it. Seconds. */
  graceSeconds: number;
  askedAt: number;
  nextAt: number;
  refusal: string | undefined;
  /** Was it a spent budget that refused it? Only then it is worth asking again as soon as the watch shows room. */
  refusedByBudget: boolean;
  /** Name of the budget that refused it last. */
  refusedBy?: string | undefined;
  evictedAt: number | undefined;
  /** The eviction was ours, or may have been: the answer was lost. */
  byUs: boolean;
  goneAt: number | undefined;
  /** When its successor, bound to a node, last waited for a volume: only then does its time to become Ready begin. */
  volumesMissingAt?: number;
  /** When its successor was first seen bound to a node: only then can a volume be attached there. */
  boundAt?: number;
  /** Its workload is whole again and its volumes are handed over: what happens to it from here on is not our doing. */
  arrived: boolean;
}

/** A node that is being emptied. */
export interface NodeDrain {
  node: string;
  /** When its turn came: it is cordoned, unless this is a canary's move. */
  cordonedAt: number;
  /** When somebody else's uncordon was answered by a cordon; a second uncordon holds. */
  recordonedAt: number | undefined;
  /** That the node is gone was told. */
  vanished: boolean;
  movers: Map<string, Mover>;
  /** UIDs of the pods that a canary moves off it; undefined where the whole node is drained. */
  canary: ReadonlySet<string> | undefined;
  /** UIDs of pods that an earlier run, or the canary, set out to move off it. */
  earlier: ReadonlySet<string>;
  /** Workloads whose pods an interrupted run, or the canary, had evicted from it. */
  resumed: Workload[];
  /** UIDs of those that were seen whole since. */
  back: Set<string>;
  /** By UID: since when a workload that was whole again is short, with none of its pods on their way: it was not our doing. */
  shortSince: Map<string, number>;
  /** UIDs of its pods that are moved when all others are, each alone (rollout.drain.excludedPods: last). */
  last: Set<string>;
  /** Every pod that had to go has been replaced; its old pods may still be finishing. */
  moved: boolean;
  /** Empty but for the pods that the selector leaves out, and nothing was bound to it since the cordon plus the scheduler's lag. */
  drained: boolean;
  /** Drained but for pods that the selector leaves out: it is told when they are gone, too, by our hand or another's. */
  waits: boolean;
}

/** `Pod shop/web-1 on node ip-10-0-0-4` */
export const placeOf = (pod: Pod): string => `Pod ${podName(pod)} on node ${pod.spec?.nodeName}`;

/**
 * How long a pod may take to end. Its deletion may grant it longer than its spec says, never shorter: just before the object goes
 * the API server shows 0, whatever it was before.
 */
export const graceOf = ({ metadata, spec }: Pod): number =>
  Math.max(metadata.deletionGracePeriodSeconds ?? 0, spec?.terminationGracePeriodSeconds ?? 30);
