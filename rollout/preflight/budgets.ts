import type { Pod, PodDisruptionBudget } from "../cluster/types.ts";
import type { Finding } from "../finding.ts";
import type { Picture } from "../picture.ts";
import { isWorkload } from "../pods.ts";
import type { RunRecord } from "../run-state.ts";
import {
  DECLARED,
  isDeclared,
  isSpent,
  isStale,
  type NamespacedName,
  operatorRun,
  standing,
  syncFailure,
} from "./budget-state.ts";
import { budgetOverlaps, budgetSelectsNothing } from "./budget-warnings.ts";
import { caseOf } from "./causes/case.ts";
import { causeOf } from "./causes/cause.ts";
import { Lookups } from "./causes/owners.ts";
import { loneInstance, uncounted } from "./causes/spec.ts";
import type { Scene } from "./question.ts";
import { finding, refOf } from "./rules.ts";

/** Every budget of the cluster, or with `scope: pool` those of the pods that move. */
export function budgets(scene: Scene): Finding[] {
  const { picture, config, now, moving, resumed } = scene;
  const concerned =
    config.preflight.scope === "pool" ? new Set(moving.flatMap((pod) => picture.budgetsOf(pod))) : undefined;
  const lists = new Lookups(picture);
  const found = picture.all("PodDisruptionBudget").flatMap((budget) => {
    if (concerned && !concerned.has(budget)) return [];
    const finding =
      judgeBudget(picture, lists, budget, config.preflight, now) ?? budgetSelectsNothing(lists, budget);
    if (finding === undefined) return [];
    const ours = finding.severity === "block" && resumed !== undefined && isOurDoing(scene, budget, resumed);
    return [ours ? { ...finding, severity: "wait" as const } : finding];
  });
  return concerned ? found : [...found, ...budgetOverlaps(scene, lists)];
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

/** The finding about one budget: its root cause if it would refuse an eviction, none while it has room. */
export function judgeBudget(
  picture: Picture,
  lists: Lookups,
  budget: PodDisruptionBudget,
  rules: BudgetRules,
  now: number,
): Finding | undefined {
  if (hasRoom(budget)) return undefined;
  if (!refuses(budget, lists.podsOf(budget))) return undefined;
  const object = refOf("PodDisruptionBudget", budget);
  const given = caseOf(picture, lists, budget, now);
  const byDesign = isDeclared(budget, rules.byDesign)
    ? DECLARED
    : isFault(budget, given.ill) || loneInstance(given) !== undefined
      ? undefined
      : operatorRun(budget)?.why;
  if (byDesign !== undefined) {
    return finding(
      "budget-by-design",
      object,
      `it allows 0 disruptions by design (${byDesign}); ${standing(budget)}`,
      byDesign === DECLARED ? PATIENCE : (withoutItsWebhook(picture, budget) ?? PATIENCE),
    );
  }
  const { rule, why, fix } = causeOf(given);
  const { name, namespace } = budget.metadata;
  const accepted = rules.exceptions.find(
    (it) => it.namespace === namespace && it.name === name && now < endOf(it.until),
  );
  if (accepted) {
    return finding(
      "budget-excepted",
      object,
      `${why}; accepted until ${accepted.until}: ${accepted.reason}`,
      `nothing until then; its own pods are still moved only as far as it allows (to be rid of it: ${fix})`,
    );
  }
  return finding(rule, object, why, fix);
}

const PATIENCE = "nothing: its node is drained late, with patience for the switch-over";

/** An operator that waits for a webhook nobody has installed moves nothing: said where the webhooks can be read. */
function withoutItsWebhook(picture: Picture, budget: PodDisruptionBudget): string | undefined {
  const part = operatorRun(budget)?.needsWebhook;
  const kind = "ValidatingWebhookConfiguration";
  if (part === undefined || picture.unread.some((unread) => unread.kind === kind)) return undefined;
  const names = picture
    .all(kind)
    .flatMap(({ metadata, webhooks = [] }) => [metadata.name, ...webhooks.map(({ name }) => name)]);
  if (names.some((name) => name.includes(part))) return undefined;
  return `make sure that somebody moves its pods: there is no ${kind} whose name contains ${part}, and without it an eviction is refused and nothing else happens`;
}

/** Up to date, and it allows a disruption: the common case, decided without a look at any pod. */
const hasRoom = (budget: PodDisruptionBudget): boolean =>
  !isStale(budget) && (budget.status?.disruptionsAllowed ?? 0) > 0;

/** An eviction of one of its pods would be refused now. Pods that no drain evicts are asked nothing. */
function refuses(budget: PodDisruptionBudget, selected: readonly Pod[]): boolean {
  const pods = selected.filter(isWorkload);
  if (isStale(budget)) return pods.length > 0 || (selected.length === 0 && isSpent(budget));
  if (isSpent(budget)) return pods.length > 0 || selected.length === 0;
  return pods.length > 0 && (syncFailure(budget) !== undefined || uncounted(budget, pods).length > 0);
}

/** Operators keep zero over healthy pods; one that is not is no part of the design. */
const isFault = (budget: PodDisruptionBudget, ill: readonly Pod[]): boolean =>
  isStale(budget) ||
  ill.length > 0 ||
  (budget.status?.currentHealthy ?? 0) < (budget.status?.desiredHealthy ?? 0);

/** A day ends at its midnight, UTC; an instant is itself. */
const endOf = (until: string): number => Date.parse(until) + (until.length === 10 ? 24 * 3600 * 1000 : 0);
