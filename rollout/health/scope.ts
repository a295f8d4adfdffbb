import { parseQuantity, thousandths } from "../fit/quantities.ts";
import type { Inventory } from "../inventory.ts";
import { LABEL_GENERATION } from "../names.ts";
import { controllerOf } from "../picture.ts";
import { isFinished, workloadPodsOn } from "../pods.ts";
import type { Pod } from "../cluster/types.ts";
import { isBlue, isGreen, type Target } from "../target.ts";
import { type Workload, workloadOf } from "../whole.ts";
import type { Metric, Watched, WatchedPod } from "./metric.ts";

/** What a scope is made of. */
export interface Scene {
  inventory: Inventory;
  target: Target;
}

/** `Deployment shop/web`: the name of a workload in messages, samples and evidence. */
export const labelOf = ({ kind, namespace, name }: Pick<Watched, "kind" | "namespace" | "name">): string =>
  `${kind} ${namespace}/${name}`;

/** What people know: the Deployment in place of its ReplicaSet. An update of the Deployment meanwhile is the same workload. */
export function topOf({ inventory }: Scene, workload: Workload): Workload {
  if (workload.kind !== "ReplicaSet") return workload;
  const set = inventory.get("ReplicaSet", workload.name, workload.namespace);
  const owner = set === undefined ? undefined : controllerOf(set);
  if (owner === undefined) return workload;
  return { kind: owner.kind, namespace: workload.namespace, name: owner.name, uid: owner.uid };
}

/** The controllers of everything that a handover will move: what the first baseline is about. */
export function workloadsOnBlue({ inventory, target }: Scene): Workload[] {
  const pods = inventory
    .all("Node")
    .filter((node) => isBlue(target, node))
    .flatMap(({ metadata }) => workloadPodsOn(inventory, metadata.name));
  const workloads = pods.flatMap((pod) => workloadOf(pod) ?? []).filter(({ kind }) => kind !== "Job");
  return [...new Map(workloads.map((it) => [it.uid, it])).values()];
}

/** The workloads, by label, that have pods on nodes of these generations: of what they measure there, nobody knows whether it is well. */
export function workloadsOn(scene: Scene, generations: readonly string[]): Set<string> {
  const pods = scene.inventory
    .all("Node")
    .filter((node) => generations.includes(node.metadata.labels?.[LABEL_GENERATION] ?? ""))
    .flatMap(({ metadata }) => workloadPodsOn(scene.inventory, metadata.name));
  return new Set(pods.flatMap((pod) => workloadOf(pod) ?? []).map((it) => labelOf(topOf(scene, it))));
}

/** Is a metric about one of these workloads, or about something of which nobody knows whose it is? */
export const isSpoilt = ({ name, about }: Metric, spoilt: ReadonlySet<string>): boolean =>
  about !== undefined && (spoilt.has(about) || (about === name && spoilt.size > 0));

/** These workloads with their live pods, as sources are asked for them; several controllers of one Deployment are one. */
export function watchedOf(scene: Scene, workloads: readonly Workload[]): Watched[] {
  const watched = new Map<string, Watched & { pods: WatchedPod[] }>();
  for (const workload of workloads) {
    const { kind, namespace, name } = topOf(scene, workload);
    const label = labelOf({ kind, namespace, name });
    const entry = watched.get(label) ?? { kind, namespace, name, pods: [] };
    watched.set(label, entry);
    const pods = scene.inventory.podsOf(workload.uid).filter((pod) => pod.spec?.nodeName && !isFinished(pod));
    entry.pods.push(...pods.map((pod) => watchedPod(scene, pod)));
  }
  return [...watched.values()];
}

function watchedPod({ inventory, target }: Scene, pod: Pod): WatchedPod {
  const node = pod.spec?.nodeName ?? "";
  const object = inventory.get("Node", node);
  const generation =
    object === undefined
      ? undefined
      : isGreen(target, object)
        ? "green"
        : isBlue(target, object)
          ? "blue"
          : undefined;
  return {
    name: pod.metadata.name,
    uid: pod.metadata.uid,
    node,
    generation,
    ip: pod.status?.podIP,
    limits: { cpu: limitOf(pod, "cpu"), memory: limitOf(pod, "memory") },
  };
}

/** In cores or bytes. */
function limitOf({ spec }: Pod, resource: "cpu" | "memory"): number | undefined {
  let sum = 0;
  for (const { resources } of spec?.containers ?? []) {
    const limit = resources?.limits?.[resource];
    if (limit === undefined) return undefined;
    sum += thousandths(parseQuantity(limit)) / 1000;
  }
  return sum > 0 ? sum : undefined;
}
