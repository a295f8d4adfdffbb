import type { CSINode, Node, Pod } from "../cluster/types.ts";
import { type HostPort, hostPortsOf } from "./ports.ts";
import type { Labels, PodQuery } from "./pod-query.ts";
import { type Amounts, allocatableOf, podRequests } from "./requests.ts";

/** A pod with what the rules ask of it, worked out once. */
export interface PodView {
  pod: Pod;
  namespace: string;
  labels: Labels;
  requests: Amounts;
  ports: readonly HostPort[];
  terminating: boolean;
  /** Required anti-affinity. */
  antiAffinity: { query: PodQuery; topologyKey: string }[];
}

/** A node with what its pods leave free. */
export interface Room {
  /** Place in `Placement.rooms`. */
  index: number;
  node: Node;
  name: string;
  labels: Labels;
  csi: CSINode | undefined;
  /** Amounts left, by resource. Below zero where more was placed than fits. */
  free: Map<string, number>;
  freePods: number;
  ports: HostPort[];
  pods: Set<PodView>;
  /** Volumes in use by driver and handle, with how many pods use each; made when a pod with such volumes asks. */
  attached?: Map<string, Map<string, number>>;
}

export function roomOf(node: Node, index: number, csi: CSINode | undefined): Room {
  const free = new Map(allocatableOf(node));
  const freePods = free.get("pods") ?? 0;
  free.delete("pods");
  const { name, labels = {} } = node.metadata;
  return { index, node, name, labels, csi, free, freePods, ports: [], pods: new Set() };
}

export const viewOf = (pod: Pod, antiAffinity: PodView["antiAffinity"]): PodView => ({
  pod,
  namespace: pod.metadata.namespace ?? "default",
  labels: pod.metadata.labels ?? {},
  requests: podRequests(pod),
  ports: hostPortsOf(pod),
  terminating: pod.metadata.deletionTimestamp !== undefined,
  antiAffinity,
});
