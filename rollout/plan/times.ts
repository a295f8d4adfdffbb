import type { Pod } from "../cluster/types.ts";
import { isPodReady } from "../pods.ts";

/** What a plan assumes where the cluster does not tell. Seconds. docs/reference.md states them. */
export const ASSUMED = {
  /** From "bound to a node" to Ready, for a pod that has never become Ready where we could see it. */
  podStartSeconds: 20,
  /** Most of what a pod is assumed to take to stop; a shorter grace period ends it sooner. */
  podStopSeconds: 30,
  /** From `create` to a Ready node, for a managed or self-managed group. */
  greenSeconds: 240,
  /** Detach from the old node and attach to the new one. */
  volumeSeconds: 30,
} as const;

/** Longest start that is believed: a pod that was unready for hours has recovered, not started. */
const LONGEST_START_SECONDS = 900;

/**
 * How long this pod took from its binding to Ready, by its own conditions. Undefined where they cannot tell: it is not Ready, or a
 * container has restarted (Ready's time is then the last recovery).
 */
export function startedIn(pod: Pod): number | undefined {
  if (!isPodReady(pod)) return undefined;
  const { status } = pod;
  if ((status?.containerStatuses ?? []).some(({ restartCount = 0 }) => restartCount > 0)) return undefined;
  const at = (type: string): number => {
    const condition = status?.conditions?.find((it) => it.type === type && it.status === "True");
    return Date.parse(condition?.lastTransitionTime ?? "");
  };
  const seconds = (at("Ready") - at("PodScheduled")) / 1000;
  return seconds >= 0 && seconds <= LONGEST_START_SECONDS ? seconds : undefined;
}

/** How long pods of a workload take to start: the median of those that tell, else the assumed time. */
export const startSeconds = (pods: readonly Pod[]): number =>
  median(pods.flatMap((pod) => startedIn(pod) ?? [])) ?? ASSUMED.podStartSeconds;

/** How long a pod takes to stop, at most as far as we assume: its grace period is an upper bound that few use up. */
export const stopSeconds = ({ spec }: Pod): number =>
  Math.min(spec?.terminationGracePeriodSeconds ?? ASSUMED.podStopSeconds, ASSUMED.podStopSeconds);

export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}
