import type { Node } from "./cluster/types.ts";
import { zeroByDesign } from "./preflight/budget-state.ts";
import { controllerOf } from "./picture.ts";
import { workloadPodsOn } from "./pods.ts";
import type { Run } from "./run.ts";
import { zoneOf } from "./target.ts";

/** A node's place in the order, and why it stands there. */
export interface Place {
  node: Node;
  tier: 0 | 1 | 2;
  why: string;
}

/**
 * The order of the drain: nodes with stateless pods first, then those with StatefulSet pods, those with an operator-run
 * primary last; within a tier zone by zone, then by name.
 */
export function nodeOrder(run: Run, nodes: readonly Node[]): Place[] {
  return nodes
    .map((node) => place(run, node))
    .toSorted(
      (a, b) =>
        a.tier - b.tier ||
        zoneOf(a.node).localeCompare(zoneOf(b.node)) ||
        a.node.metadata.name.localeCompare(b.node.metadata.name),
    );
}

function place(run: Run, node: Node): Place {
  const { inventory, config } = run;
  const pods = workloadPodsOn(inventory, node.metadata.name);
  const primary = pods.find((pod) =>
    inventory.budgetsOf(pod).some((budget) => zeroByDesign(budget, config.preflight.byDesign) !== undefined),
  );
  if (primary) return { node, tier: 2, why: `holds the operator-run primary ${primary.metadata.name}` };
  const stateful = pods.find((pod) => controllerOf(pod)?.kind === "StatefulSet");
  if (stateful) return { node, tier: 1, why: `holds StatefulSet pod ${stateful.metadata.name}` };
  return { node, tier: 0, why: "stateless pods only" };
}
