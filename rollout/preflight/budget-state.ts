import type { PodDisruptionBudget } from "../cluster/types.ts";

export interface NamespacedName {
  namespace: string;
  name: string;
}

/** 0 allowed disruptions over pods that exist: an eviction would be refused now. */
export const isSpent = ({ status }: PodDisruptionBudget): boolean =>
  (status?.disruptionsAllowed ?? 0) === 0 && (status?.expectedPods ?? 0) > 0;

/**
 * Budgets that are zero on purpose: the operator moves the pod by itself once its node is cordoned.
 * CloudNativePG keeps `<cluster>-primary` at zero until a replica is promoted; Strimzi's drain cleaner asks for maxUnavailable 0.
 */
export function zeroByDesign(
  budget: PodDisruptionBudget,
  declared: readonly NamespacedName[],
): string | undefined {
  const { name, namespace, labels = {} } = budget.metadata;
  if (declared.some((it) => it.namespace === namespace && it.name === name))
    return "declared in rollout.preflight.byDesign";
  if (labels["cnpg.io/cluster"] !== undefined && name.endsWith("-primary"))
    return "CloudNativePG switches the primary over by itself";
  if (labels["strimzi.io/cluster"] !== undefined && String(budget.spec?.maxUnavailable) === "0")
    return "Strimzi's drain cleaner rolls the pod by itself";
  return undefined;
}

/** `needs 2 healthy and has 2 of 3` */
export function standing({ status }: PodDisruptionBudget): string {
  return `needs ${status?.desiredHealthy ?? 0} healthy and has ${status?.currentHealthy ?? 0} of ${status?.expectedPods ?? 0}`;
}
