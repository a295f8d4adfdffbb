import type { Pod } from "./cluster/types.ts";
import type { InTheWay } from "./errors.ts";
import type { Inventory } from "./inventory.ts";
import type { Mover } from "./mover.ts";
import { podName } from "./pods.ts";
import type { Workload } from "./whole.ts";

/** A pod that does not go. */
export const aboutPod = ({ metadata: { name, namespace, uid }, spec }: Pod): InTheWay => ({
  object: { kind: "Pod", namespace, name, uid },
  node: spec?.nodeName,
});

/** A workload that does not come back. */
export const aboutWorkload = ({ kind, namespace, name, uid }: Workload, node?: string): InTheWay => ({
  object: { kind, namespace, name, uid },
  workload: `${kind} ${namespace}/${name}`,
  node,
});

/** A pod that the Eviction API does not let go: its budget, where it was one; else the workload that is not whole, or the pod. */
export function aboutRefused(
  inventory: Inventory,
  { pod, refusal, refusedBy, workload }: Pick<Mover, "pod" | "refusal" | "refusedBy" | "workload">,
): InTheWay {
  const where = {
    pod: podName(pod),
    node: pod.spec?.nodeName,
    workload: workload && `${workload.kind} ${workload.namespace}/${workload.name}`,
  };
  const budgets = inventory.budgetsOf(pod);
  const budget = budgets.find(({ metadata }) => metadata.name === refusedBy);
  if (budget !== undefined) {
    const { name, namespace, uid } = budget.metadata;
    const { desiredHealthy: needs, currentHealthy: has } = budget.status ?? {};
    return { object: { kind: "PodDisruptionBudget", namespace, name, uid }, ...where, needs, has };
  }
  if (refusal === undefined && workload !== undefined)
    return { ...where, ...aboutWorkload(workload, where.node) };
  return { ...where, ...aboutPod(pod) };
}
