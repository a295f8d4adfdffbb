import type { Node, Pod } from "./cluster/types.ts";
import type { RolloutConfig } from "./config/index.ts";
import { controllerOf, type Picture } from "./picture.ts";
import { workloadPodsOn } from "./pods.ts";
import { zeroByDesign } from "./preflight/budget-state.ts";
import { zoneOf } from "./target.ts";

/** A node's place in the order, and why it stands there. */
export interface Place {
  node: Node;
  /** 0 stateless pods only, 1 StatefulSet pods and others with a volume, 2 an operator-run primary, 3 monitoring. */
  tier: 0 | 1 | 2 | 3;
  /** Holds an operator-run primary: never drained together with another node. */
  alone: boolean;
  why: string;
}

/** What the order is made from: the live run, or a plan's picture. */
export interface OrderBy {
  inventory: Pick<Picture, "podsOn" | "budgetsOf">;
  config: RolloutConfig;
}

/**
 * The order of the drain: nodes with stateless pods first, then those with StatefulSet pods, those with an operator-run primary (its
 * operator moves it when the replicas have moved), and last those that watch all others; within a tier zone by zone, then by name.
 */
export function nodeOrder(by: OrderBy, nodes: readonly Node[]): Place[] {
  return nodes
    .map((node) => place(by, node))
    .toSorted(
      (a, b) =>
        a.tier - b.tier ||
        Number(a.alone) - Number(b.alone) ||
        zoneOf(a.node).localeCompare(zoneOf(b.node)) ||
        a.node.metadata.name.localeCompare(b.node.metadata.name),
    );
}

function place({ inventory, config }: OrderBy, node: Node): Place {
  const pods = workloadPodsOn(inventory, node.metadata.name);
  const primary = pods.find((pod) =>
    inventory.budgetsOf(pod).some((budget) => zeroByDesign(budget, config.preflight.byDesign) !== undefined),
  );
  const alone = primary !== undefined;
  const watches = pods.find(({ metadata }) =>
    config.drain.monitoringNamespaces.includes(metadata.namespace ?? "default"),
  );
  if (watches) return { node, tier: 3, alone, why: `holds monitoring pod ${watches.metadata.name}` };
  if (primary)
    return { node, tier: 2, alone, why: `holds the operator-run primary ${primary.metadata.name}` };
  const stateful = pods.find((pod) => controllerOf(pod)?.kind === "StatefulSet" || hasVolume(pod));
  if (stateful) {
    const what = controllerOf(stateful)?.kind === "StatefulSet" ? "StatefulSet pod" : "pod with a volume";
    return { node, tier: 1, alone, why: `holds ${what} ${stateful.metadata.name}` };
  }
  return { node, tier: 0, alone, why: pods.length === 0 ? "holds no pod to move" : "stateless pods only" };
}

/** An operator's replicas are stateful, too, whatever owns them. */
const hasVolume = ({ spec }: Pod): boolean =>
  (spec?.volumes ?? []).some(({ persistentVolumeClaim }) => persistentVolumeClaim !== undefined);
