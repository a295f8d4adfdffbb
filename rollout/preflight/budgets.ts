import type { PodDisruptionBudget } from "../cluster/types.ts";
import type { Finding } from "../finding.ts";
import type { RunRecord } from "../run-state.ts";
import { isSpent, type NamespacedName, standing, zeroByDesign } from "./budget-state.ts";
import type { Scene } from "./question.ts";
import { finding, refOf } from "./rules.ts";

/** Every budget of the cluster, or with `scope: pool` those of the pods that move. */
export function budgets(scene: Scene): Finding[] {
  const { picture, config, now, moving, resumed } = scene;
  const concerned =
    config.preflight.scope === "pool" ? new Set(moving.flatMap((pod) => picture.budgetsOf(pod))) : undefined;
  return picture.all("PodDisruptionBudget").flatMap((budget) => {
    if (concerned && !concerned.has(budget)) return [];
    const finding = judgeBudget(budget, config.preflight, now);
    if (finding === undefined) return [];
    const ours = finding.severity === "block" && resumed !== undefined && isOurDoing(scene, budget, resumed);
    return [ours ? { ...finding, severity: "wait" as const } : finding];
  });
}

/** A budget is short because of pods that the interrupted run had in hand. */
function isOurDoing({ picture }: Scene, budget: PodDisruptionBudget, record: RunRecord): boolean {
  const owners = new Set(
    Object.values(record.nodes)
      .filter(({ phase }) => phase === "in-hand")
      .flatMap(({ owners }) => owners),
  );
  return [...owners].some((uid) =>
    picture.podsOf(uid).some((pod) => picture.budgetsOf(pod).includes(budget)),
  );
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
  const { name, namespace } = budget.metadata;
  const object = refOf("PodDisruptionBudget", budget);
  const reason = zeroByDesign(budget, rules.byDesign);
  if (reason !== undefined) {
    return finding(
      "budget-by-design",
      object,
      `it allows 0 disruptions by design (${reason}); ${standing(budget)}`,
      "nothing: its node is drained late, with patience for the switch-over",
    );
  }
  const accepted = rules.exceptions.find(
    (it) => it.namespace === namespace && it.name === name && now < endOf(it.until),
  );
  if (accepted) {
    return finding(
      "budget-excepted",
      object,
      `${cause(budget).why}; accepted until ${accepted.until}: ${accepted.reason}`,
      "nothing until then; its own pods are still moved only as far as it allows",
    );
  }
  const { why, fix } = cause(budget);
  return finding("budget-spent", object, why, fix);
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
