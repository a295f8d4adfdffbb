import type { Condition, PodDisruptionBudget } from "../cluster/types.ts";

export interface NamespacedName {
  namespace: string;
  name: string;
}

/** 0 allowed disruptions over pods that exist: an eviction would be refused now. */
export const isSpent = ({ status }: PodDisruptionBudget): boolean =>
  (status?.disruptionsAllowed ?? 0) <= 0 && (status?.expectedPods ?? 0) > 0;

/**
 * The disruption controller has not seen the budget as it stands. The Eviction API then refuses whatever the status says
 * (k8s.io/kubernetes pkg/registry/core/pod/storage/eviction.go, checkAndDecrement).
 */
export const isStale = ({ metadata, status }: PodDisruptionBudget): boolean =>
  status === undefined || (status.observedGeneration ?? 0) < (metadata.generation ?? 0);

/**
 * The disruption controller gave up on the budget: a pod's owner has no scale subresource. It then allows nothing, and where it never
 * succeeded it expects no pods either (k8s.io/kubernetes pkg/controller/disruption/disruption.go, failSafe).
 */
export const syncFailure = ({ status }: PodDisruptionBudget): Condition | undefined =>
  status?.conditions?.find(
    ({ type, status, reason }) =>
      type === "DisruptionAllowed" && status === "False" && reason === "SyncFailed",
  );

/** An operator that keeps a budget at zero on purpose, and moves the pod by itself. */
export interface ZeroByDesign {
  /** What the operator does, for the message. */
  why: string;
  /** What to do when it does not: as an imperative, for the message. */
  byHand?: string;
  /** The pod is the primary of a cluster: its node is drained last. */
  primary: boolean;
  /** The operator needs another Ready instance of the same cluster to do so: pods with this label and the same value. */
  needsReplica?: string;
  /** The operator hears of evictions by this webhook: part of the name of its ValidatingWebhookConfiguration. */
  needsWebhook?: string;
}

/**
 * Budgets that are zero on purpose: the operator moves the pod by itself once its node is cordoned. Read in the operators' sources;
 * a name alone proves nothing, so each is told by labels that only its operator sets.
 */
export function operatorRun(budget: PodDisruptionBudget): ZeroByDesign | undefined {
  const { name, labels = {}, ownerReferences = [] } = budget.metadata;
  const { minAvailable, maxUnavailable, selector } = budget.spec ?? {};
  const selects = selector?.matchLabels ?? {};
  // pkg/specs/poddisruptionbudget.go of CloudNativePG; EDB's product is the same operator under its own name
  for (const cluster of ["cnpg.io/cluster", "k8s.enterprisedb.io/cluster"]) {
    const ofCluster = labels[cluster] !== undefined || selects[cluster] !== undefined;
    if (ofCluster && name.endsWith("-primary")) {
      return {
        why: "CloudNativePG switches the primary over by itself",
        primary: true,
        needsReplica: cluster,
        byHand: `see in the operator's log why it does not (it waits until all instances are Ready, the replicas off the primary's node, and one of them on a schedulable node; one that is installed for a single namespace may not read nodes), or promote a replica: \`kubectl cnpg promote ${clusterOf(budget, cluster)} <instance>\``,
      };
    }
  }
  // PodDisruptionBudgetUtils.java of Strimzi: maxUnavailable 0 in its template becomes minAvailable = all of a StrimziPodSet
  const all = Math.max(1, budget.status?.expectedPods ?? 0);
  const zero =
    isZero(maxUnavailable) ||
    (typeof minAvailable === "number" && minAvailable >= all) ||
    minAvailable === "100%";
  if (zero && labels["strimzi.io/cluster"] !== undefined) {
    return {
      why: "Strimzi's drain cleaner rolls the pod by itself",
      primary: true,
      needsWebhook: "drain-cleaner",
    };
  }
  // pkg/cluster/k8sres.go and pkg/controller/node.go of Zalando's postgres-operator: it moves the master off a cordoned node
  if (selects["application"] === "spilo" && selects["spilo-role"] === "master") {
    return {
      why: "Zalando's postgres-operator moves the master off a cordoned node by itself",
      primary: true,
    };
  }
  // controller/instance_manager_controller.go of Longhorn: taken away once the cordoned node's volumes are detached or safe elsewhere
  if (selects["longhorn.io/component"] === "instance-manager") {
    return {
      why: "Longhorn removes it once the volumes of the cordoned node are safe elsewhere",
      primary: false,
    };
  }
  // virt-controller's disruption budgets of KubeVirt: an eviction starts a live migration
  if (
    selects["kubevirt.io/created-by"] !== undefined &&
    ownerReferences.some(({ kind }) => kind === "VirtualMachineInstance")
  ) {
    return { why: "KubeVirt migrates the virtual machine when its pod is asked to leave", primary: false };
  }
  return undefined;
}

const clusterOf = ({ metadata, spec }: PodDisruptionBudget, label: string): string =>
  spec?.selector?.matchLabels?.[label] ?? metadata.labels?.[label] ?? "";

/** Why a budget is zero on purpose and its pod is to be moved last: its operator's way with a primary, or declared in the config. */
export function zeroByDesign(
  budget: PodDisruptionBudget,
  declared: readonly NamespacedName[],
): string | undefined {
  if (isDeclared(budget, declared)) return DECLARED;
  const operator = operatorRun(budget);
  return operator?.primary === true ? operator.why : undefined;
}

export const DECLARED = "declared in rollout.preflight.byDesign";

export const isDeclared = (
  { metadata: { name, namespace } }: PodDisruptionBudget,
  declared: readonly NamespacedName[],
): boolean => declared.some((it) => it.namespace === namespace && it.name === name);

/** 0 or 0 %: no rounding ever makes it more. */
export const isZero = (limit: number | string | undefined): boolean =>
  limit === 0 || (typeof limit === "string" && /^0+%$/.test(limit));

/** `needs 2 healthy and has 2 of 3` */
export function standing({ status }: PodDisruptionBudget): string {
  return `needs ${status?.desiredHealthy ?? 0} healthy and has ${status?.currentHealthy ?? 0} of ${status?.expectedPods ?? 0}`;
}

/** `minAvailable 2`, `maxUnavailable 25%` */
export const limitOf = ({ spec }: PodDisruptionBudget): string =>
  spec?.minAvailable !== undefined
    ? `minAvailable ${spec.minAvailable}`
    : `maxUnavailable ${spec?.maxUnavailable ?? "unset"}`;
