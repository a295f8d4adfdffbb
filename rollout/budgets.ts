import type { PodDisruptionBudget } from "./cluster/types.ts";
import type { Finding } from "./finding.ts";

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

/** `rollout.preflight`, as far as budgets go. */
export interface BudgetRules {
  byDesign: readonly NamespacedName[];
  exceptions: readonly (NamespacedName & { reason: string; until: string })[];
}

/** The finding about one budget: none while it has room. Root causes are worked out from the budget's own numbers. */
export function judgeBudget(
  budget: PodDisruptionBudget,
  rules: BudgetRules,
  now: number,
): Finding | undefined {
  if (!isSpent(budget)) return undefined;
  const { name, namespace, uid } = budget.metadata;
  const object = { kind: "PodDisruptionBudget", namespace, name, uid };
  const reason = zeroByDesign(budget, rules.byDesign);
  if (reason !== undefined) {
    return {
      severity: "warning",
      rule: "budget-by-design",
      object,
      why: `it allows 0 disruptions by design (${reason}); ${standing(budget)}`,
      fix: "nothing: its node is drained late, with patience for the switch-over",
    };
  }
  const accepted = rules.exceptions.find(
    (it) => it.namespace === namespace && it.name === name && now < endOf(it.until),
  );
  if (accepted) {
    return {
      severity: "warning",
      rule: "budget-excepted",
      object,
      why: `${cause(budget).why}; accepted until ${accepted.until}: ${accepted.reason}`,
      fix: "nothing until then; its own pods are still moved only as far as it allows",
    };
  }
  return { severity: "block", rule: "budget-spent", object, ...cause(budget) };
}

/** A day ends at its midnight, UTC; an instant is itself. */
const endOf = (until: string): number => Date.parse(until) + (until.length === 10 ? 24 * 3600 * 1000 : 0);

function cause(budget: PodDisruptionBudget): { why: string; fix: string } {
  const {
    desiredHealthy = 0,
    currentHealthy = 0,
    expectedPods = 0,
    observedGeneration = 0,
  } = budget.status ?? {};
  const numbers = `it allows 0 disruptions: ${standing(budget)}`;
  const where = `-n ${budget.metadata.namespace}`;
  if (observedGeneration < (budget.metadata.generation ?? 0)) {
    return {
      why: `its status is older than its spec, so nobody knows what it allows`,
      fix: "wait; if this lasts, look at kube-controller-manager's disruption controller",
    };
  }
  if (currentHealthy >= expectedPods && desiredHealthy >= expectedPods) {
    return {
      why: `${numbers}; all pods are healthy, so it can never allow one (${rule(budget)})`,
      fix: `leave it room: \`kubectl ${where} edit pdb ${budget.metadata.name}\` (maxUnavailable: 1), or add replicas`,
    };
  }
  return {
    why: `${numbers}; ${expectedPods - currentHealthy} of its pods ${expectedPods - currentHealthy === 1 ? "is" : "are"} not healthy (${rule(budget)})`,
    fix: `make the pods healthy: \`kubectl ${where} get pods\` and \`kubectl ${where} describe pdb ${budget.metadata.name}\``,
  };
}

function rule({ spec }: PodDisruptionBudget): string {
  return spec?.minAvailable !== undefined
    ? `minAvailable ${spec.minAvailable}`
    : `maxUnavailable ${spec?.maxUnavailable ?? "unset"}`;
}
