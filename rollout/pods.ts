import type { LabelSelector, Pod, PodVolume } from "./cluster/types.ts";
import { controllerOf, type Picture } from "./picture.ts";
import { matches, parseSelector } from "./selectors.ts";

/** What a drain does with a pod. The order of the rules is kubectl drain's (k8s.io/kubectl pkg/drain/filters.go). */
export type PodVerdict =
  /** `last`: the pod selector leaves it out, so it is moved when all others are, alone. */
  | { action: "evict"; last?: true }
  /** Stays, and does not count: DaemonSet, mirror, finished. */
  | { action: "ignore"; why: "daemonset" | "mirror" | "finished" }
  /** Stays although it is a workload pod: the operator's pod selector leaves it out. */
  | { action: "excluded" }
  /** May not be evicted without the operator's word. */
  | { action: "refuse"; rule: "unmanaged-pod" | "empty-dir"; why: string; fix: string };

/** The part of `rollout.drain` that decides about a pod. */
export interface PodRules {
  podSelector?: string | undefined;
  /** What becomes of pods that the selector leaves out. Without it they are left to the operator (`hold`). */
  excludedPods?: "last" | "hold" | undefined;
  unmanagedPods?: string | undefined;
  deleteEmptyDirData: boolean;
}

const MIRROR = "kubernetes.io/config.mirror";

export const isFinished = (pod: Pod): boolean =>
  pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";

export const isTerminating = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined;

export const isPodReady = (pod: Pod): boolean =>
  !isTerminating(pod) &&
  (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");

export const podName = (pod: Pod): string => `${pod.metadata.namespace ?? "default"}/${pod.metadata.name}`;

/** Workload pod (design section 1): not finished, not of a DaemonSet, not a mirror pod. */
export const isWorkload = (pod: Pod): boolean =>
  !isFinished(pod) &&
  pod.metadata.annotations?.[MIRROR] === undefined &&
  controllerOf(pod)?.kind !== "DaemonSet";

export function judgePod(pod: Pod, rules: PodRules): PodVerdict {
  if (pod.metadata.annotations?.[MIRROR] !== undefined) return { action: "ignore", why: "mirror" };
  if (isFinished(pod)) return { action: "ignore", why: "finished" };
  if (controllerOf(pod)?.kind === "DaemonSet") return { action: "ignore", why: "daemonset" };
  const excluded =
    rules.podSelector !== undefined && !matches(selectorOf(rules.podSelector), pod.metadata.labels);
  if (excluded && rules.excludedPods !== "last") return { action: "excluded" };
  // it goes by somebody's hand already: nobody needs to consent, and the drain only waits for it
  if (isTerminating(pod)) return excluded ? { action: "evict", last: true } : { action: "evict" };
  if (controllerOf(pod) === undefined && !consented(rules.unmanagedPods, pod)) {
    return {
      action: "refuse",
      rule: "unmanaged-pod",
      why: "no controller would start this pod again after an eviction",
      fix: "delete or move it yourself, or name it in rollout.drain.unmanagedPods (a label selector)",
    };
  }
  const volumes = (pod.spec?.volumes ?? []).filter(({ emptyDir }) => emptyDir !== undefined);
  if (volumes.length > 0 && !rules.deleteEmptyDirData) {
    return {
      action: "refuse",
      rule: "empty-dir",
      why: `its emptyDir volume ${volumes.map(emptyDirText).join(", ")} is lost when it moves`,
      fix: "set rollout.drain.deleteEmptyDirData: true once no data lives only there",
    };
  }
  return excluded ? { action: "evict", last: true } : { action: "evict" };
}

/** `cache`, `cache (up to 2Gi)`, `cache (in memory, up to 64Mi)` */
function emptyDirText({ name, emptyDir: { medium = "", sizeLimit } = {} }: PodVolume): string {
  const size = sizeLimit === undefined || sizeLimit === "0" ? [] : [`up to ${sizeLimit}`];
  const facts = [...(medium === "" ? [] : [`in ${medium.toLowerCase()}`]), ...size];
  return facts.length === 0 ? name : `${name} (${facts.join(", ")})`;
}

const consented = (selector: string | undefined, pod: Pod): boolean =>
  selector !== undefined && matches(selectorOf(selector), pod.metadata.labels);

/** A run has two selectors and asks each for every pod, again and again. */
const parsed = new Map<string, LabelSelector>();
function selectorOf(text: string): LabelSelector {
  const known = parsed.get(text) ?? parseSelector(text);
  if (parsed.size < 100) parsed.set(text, known);
  return known;
}

/** The workload pods on a node, in a stable order. */
export const workloadPodsOn = (picture: Pick<Picture, "podsOn">, node: string): Pod[] =>
  picture.podsOn(node).filter(isWorkload).toSorted(byName);

export const byName = (a: Pod, b: Pod): number => podName(a).localeCompare(podName(b));
