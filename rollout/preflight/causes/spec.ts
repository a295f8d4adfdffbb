import type { Pod } from "../../cluster/types.ts";
import { controllerOf } from "../../picture.ts";
import { isTerminating, podName } from "../../pods.ts";
import { isStale, isZero, limitOf, operatorRun, syncFailure } from "../budget-state.ts";
import type { Case, CauseRule } from "./case.ts";
import { isKnown, listing, patchBudget, quoted, scaleTo, whoWants, writtenBack } from "./words.ts";

/** Causes that lie in the budget itself: healing pods would not help. */

/**
 * The disruption controller gave up on the budget: a pod's owner has no scale subresource, so a percentage or maxUnavailable means
 * nothing (k8s.io/kubernetes pkg/controller/disruption/disruption.go, getExpectedScale and failSafe).
 */
export const syncFailed: CauseRule = (given) => {
  const { budget, pods } = given;
  const failed = syncFailure(budget);
  if (failed === undefined) return undefined;
  const named = /pod "([^"]+)"/.exec(failed.message ?? "")?.[1];
  const culprit = pods.find(({ metadata }) => metadata.name === named) ?? pods.find(hasNoScale);
  const owner = culprit === undefined ? undefined : controllerOf(culprit);
  const who =
    culprit === undefined || owner === undefined
      ? ""
      : `; it selects pod ${podName(culprit)} of ${owner.kind} ${owner.name}`;
  return {
    rule: "budget-sync-failed",
    why: `the disruption controller cannot work it out: "${quoted(failed.message ?? "no reason given")}"${who}`,
    fix: `narrow its selector to pods of Deployments, StatefulSets and the like, or give minAvailable as a number: ${patchBudget(given, { maxUnavailable: null, minAvailable: Math.max(0, pods.length - 1) })}${writtenBack(given)}`,
  };
};

const hasNoScale = (pod: Pod): boolean => {
  const kind = controllerOf(pod)?.kind;
  return kind !== undefined && kind !== "ReplicaSet" && kind !== "StatefulSet";
};

/** The status is of an older spec, or there is none yet. */
export const stale: CauseRule = ({ budget }) => {
  if (!isStale(budget)) return undefined;
  const { generation } = budget.metadata;
  const seen = budget.status?.observedGeneration ?? 0;
  return {
    rule: "budget-stale",
    why: `its status is older than its spec (generation ${generation ?? "unknown"}, seen by the disruption controller: ${seen === 0 ? "none" : seen}), so every eviction is refused until it has caught up`,
    fix: "wait a few seconds; if this lasts, look at kube-controller-manager (`kubectl -n kube-system logs -l component=kube-controller-manager`), whose disruption controller is down or far behind",
  };
};

/**
 * Of several budgets over a pod the disruption controller brings one up to date when the pod changes; the others keep the numbers that
 * they had (k8s.io/kubernetes pkg/controller/disruption/disruption.go, getPdbForPod).
 */
export const overlapped: CauseRule = ({ picture, budget, pods, ill }) => {
  const counted = budget.status?.currentHealthy ?? 0;
  const healthy = pods.length - ill.length;
  if (counted === healthy) return undefined;
  const others = new Set(
    pods.flatMap((pod) =>
      picture
        .budgetsOf(pod)
        .filter((other) => other !== budget)
        .map(({ metadata: { namespace, name } }) => `PodDisruptionBudget ${namespace}/${name}`),
    ),
  );
  if (others.size === 0) return undefined;
  return {
    rule: "several-budgets",
    why: `${listing([...others].toSorted())} ${others.size === 1 ? "selects" : "select"} the same pods, and of several budgets the disruption controller keeps only one up to date: this one still counts ${counted} healthy where ${healthy} are`,
    fix: "leave one PodDisruptionBudget per pod: narrow the others' selectors or delete them",
  };
};

/** Pods without a controller count for nothing in a percentage or in maxUnavailable: none expected, none allowed. */
export const unmanagedPods: CauseRule = (given) => {
  const { budget, pods } = given;
  if ((budget.status?.expectedPods ?? 0) > 0) return undefined;
  const bare = uncounted(given.budget, pods);
  if (bare.length === 0) return undefined;
  return {
    rule: "budget-unmanaged-pods",
    why: `${limitOf(budget)} counts only pods with a controller, and ${listing(bare.map((pod) => `pod ${podName(pod)}`))} ${bare.length === 1 ? "has" : "have"} none`,
    fix: `give minAvailable as a number, which counts every pod: ${patchBudget(given, { maxUnavailable: null, minAvailable: bare.length - 1 })}, or run the pods under a controller`,
  };
};

/** Running pods that a budget guards without counting them. */
export function uncounted(budget: Case["budget"], pods: readonly Pod[]): Pod[] {
  if (typeof budget.spec?.minAvailable === "number") return [];
  return pods.filter(
    (pod) => controllerOf(pod) === undefined && pod.status?.phase === "Running" && !isTerminating(pod),
  );
}

export const maxUnavailableZero: CauseRule = (given) => {
  const { budget } = given;
  if (!isZero(budget.spec?.maxUnavailable)) return undefined;
  return {
    rule: "budget-max-unavailable-zero",
    why: `${limitOf(budget)} never allows one, however many pods are healthy`,
    fix: `allow one at a time: ${patchBudget(given, { maxUnavailable: 1 })}${writtenBack(given)}; if zero is on purpose, list it in rollout.preflight.byDesign`,
  };
};

/** An operator-run primary that nobody can take over from: zero, and it stays so. */
export const loneInstance: CauseRule = (given) => {
  const operator = operatorRun(given.budget);
  const label = operator?.needsReplica;
  if (label === undefined) return undefined;
  const [primary] = given.pods;
  const cluster = primary?.metadata.labels?.[label];
  if (primary === undefined || cluster === undefined) return undefined;
  // only of the operator's own instances is it known what they are
  if (controllerOf(primary)?.kind !== "Cluster") return undefined;
  const instances = given.picture
    .podsIn(given.namespace)
    .filter(
      (pod) =>
        pod.metadata.labels?.[label] === cluster &&
        pod.metadata.uid !== primary.metadata.uid &&
        controllerOf(pod)?.kind === "Cluster",
    );
  if (instances.length > 0) return undefined;
  return {
    rule: "budget-min-available-all",
    why: `${limitOf(given.budget)} guards the primary ${podName(primary)} of cluster ${cluster}, which has no replica that could take over`,
    fix: `add one: \`kubectl -n ${given.namespace} patch cluster ${cluster} --type merge -p '{"spec":{"instances":2}}'\`, or accept the interruption: \`kubectl -n ${given.namespace} patch cluster ${cluster} --type merge -p '{"spec":{"enablePDB":false}}'\``,
  };
};

/** minAvailable is all of the replicas, as a number, as 100 %, or as a percentage that rounds up to all. */
export const minAvailableAll: CauseRule = (given) => {
  const { budget, owners, wanted } = given;
  const { minAvailable } = budget.spec ?? {};
  if (minAvailable === undefined || minAvailable === 0) return undefined;
  const { expectedPods = 0, desiredHealthy = 0 } = budget.status ?? {};
  const rounded = typeof minAvailable === "string";
  const all = rounded ? expectedPods : owners.length > 0 ? wanted : expectedPods;
  if (all === 0 || (rounded ? desiredHealthy < all : minAvailable !== all)) return undefined;
  const of = owners.length === 0 ? `${all} pods that there are` : whoWants(owners);
  const why =
    minAvailable === "100%"
      ? "minAvailable 100% asks for every replica"
      : rounded
        ? `minAvailable ${minAvailable} of ${all} rounds up to ${desiredHealthy}, which is every replica`
        : `minAvailable ${minAvailable} is as many ${isKnown(owners) ? "replicas as are wanted" : "pods as there are"}`;
  return {
    rule: "budget-min-available-all",
    why: owners.length === 0 ? `${why}, the ${of}` : `${why}: ${of}`,
    fix: roomFor(given, all),
  };
};

/** How a budget over `all` replicas gets room for one. */
function roomFor(given: Case, all: number): string {
  const { budget, owners } = given;
  const { minAvailable } = budget.spec ?? {};
  const percent = typeof minAvailable === "string" ? Number.parseInt(minAvailable, 10) : undefined;
  const [only, ...others] = owners;
  const enough = percent === undefined ? all + 1 : leastReplicas(percent);
  const grow =
    only === undefined || others.length > 0 || enough === undefined || enough <= all
      ? undefined
      : scaleTo(only, enough);
  const scalable = owners.length > 0 && isKnown(owners);
  const shrink = scalable
    ? patchBudget(given, { minAvailable: null, maxUnavailable: 1 })
    : patchBudget(given, { minAvailable: all - 1 });
  const price = all === 1 ? " (its only replica is then down for the time of its move)" : "";
  const patch = `allow one at a time: ${shrink}${price}${writtenBack(given)}`;
  if (grow === undefined) return patch;
  // where nobody knows how many it wants, pods may be missing: less is not the first thing to ask for
  return all === 1 || !scalable ? `${grow}, or ${patch}` : `${patch}, or ${grow}`;
}

/** The least number of replicas of which this percentage, rounded up, leaves one over. */
function leastReplicas(percent: number): number | undefined {
  return percent >= 100 ? undefined : Math.ceil(100 / (100 - percent));
}
