/** The rule that keeps a pod off a node, in the order in which the scheduler asks them. */
export type StopRule =
  | "scheduling-gate"
  | "unschedulable"
  | "node-name"
  | "taint"
  | "node-affinity"
  | "host-port"
  | "pods"
  | "resources"
  | "volume-in-use"
  | "attach-limit"
  | "claim"
  | "volume-topology"
  | "spread"
  | "pod-affinity"
  | "pod-anti-affinity";

/** Why a pod cannot go to a node. */
export interface Stop {
  rule: StopRule;
  /** A noun phrase that is the same for every node that is out for this reason: nodes are counted by it. */
  what: string;
  /** Of a resource: its name, and what the pod needs and the node has left of it (CPU in thousandths, else whole units). */
  short?: { resource: string; needs: number; free: number };
  /** Of a topology spread constraint: over what. */
  topologyKey?: string;
}
