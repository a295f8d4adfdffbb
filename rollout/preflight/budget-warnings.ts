import type { PodDisruptionBudget } from "../cluster/types.ts";
import type { Finding } from "../finding.ts";
import { controllerOf } from "../picture.ts";
import { isWorkload, podName } from "../pods.ts";
import { matches } from "../selectors.ts";
import { isStale } from "./budget-state.ts";
import { type Lookups } from "./causes/owners.ts";
import { listing } from "./causes/words.ts";
import type { Scene } from "./question.ts";
import { finding, refOf } from "./rules.ts";

/** Budgets that protect nothing, or pods that two of them protect: no drain hangs on it now, but it is not what anybody meant. */

/**
 * A budget without a pod. Not said of one whose workload exists and wants no pods at this moment (scaled to 0 on purpose, or a
 * CronJob's between two runs), nor of one that an operator owns and fills when it needs it.
 */
export function budgetSelectsNothing(lists: Lookups, budget: PodDisruptionBudget): Finding | undefined {
  if ((budget.status?.expectedPods ?? 0) > 0) return drainedByNobody(lists, budget);
  if (controllerOf(budget) !== undefined || isFilledOnDemand(budget)) return undefined;
  const namespace = budget.metadata.namespace ?? "";
  const { selector } = budget.spec ?? {};
  if (lists.podsOf(budget).length > 0) return undefined;
  const templates = [
    ...(["Deployment", "StatefulSet", "ReplicaSet", "DaemonSet"] as const).flatMap((kind) =>
      lists.all(kind, namespace).map(({ spec }) => spec?.template),
    ),
    ...lists.all("CronJob", namespace).map(({ spec }) => spec?.jobTemplate?.spec?.template),
  ];
  if (templates.some((template) => template !== undefined && matches(selector, template.metadata?.labels)))
    return undefined;
  const labels = selectorText(budget);
  return finding(
    "budget-selects-nothing",
    refOf("PodDisruptionBudget", budget),
    `it selects no pod and no workload of its namespace (${labels}), so it protects nothing`,
    `compare its selector with the pods' labels: \`kubectl -n ${namespace} get pods --show-labels\`; if its workload is gone: \`kubectl -n ${namespace} delete pdb ${budget.metadata.name}\``,
  );
}

/** At zero over pods of DaemonSets, finished or mirror pods alone: no drain asks for these. */
function drainedByNobody(lists: Lookups, budget: PodDisruptionBudget): Finding | undefined {
  if (!isStale(budget) && (budget.status?.disruptionsAllowed ?? 0) > 0) return undefined;
  const selected = lists.podsOf(budget);
  if (selected.length === 0 || selected.some(isWorkload)) return undefined;
  return finding(
    "budget-selects-nothing",
    refOf("PodDisruptionBudget", budget),
    `it allows 0 disruptions, but selects only pods that no drain evicts (of DaemonSets, finished or static): ${listing(selected.map((pod) => `pod ${podName(pod)}`))}`,
    `nothing for this handover; a budget has no effect on such pods: \`kubectl -n ${budget.metadata.namespace} delete pdb ${budget.metadata.name}\``,
  );
}

/** Zalando's postgres-operator labels pods for the time of a critical operation (pkg/cluster/k8sres.go): between two, none is selected. */
const isFilledOnDemand = ({ spec }: PodDisruptionBudget): boolean =>
  spec?.selector?.matchLabels?.["application"] === "spilo" &&
  spec.selector.matchLabels["critical-operation"] !== undefined;

function selectorText({ spec }: PodDisruptionBudget): string {
  if (spec?.selector === undefined) return "it has no selector";
  const { matchLabels = {}, matchExpressions = [] } = spec.selector;
  const parts = [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(({ key, operator, values = [] }) =>
      `${key} ${operator} ${values.join(" ")}`.trim(),
    ),
  ];
  return `selector ${listing(parts)}`;
}

/** Two budgets over pods that do not move now. Over pods that do, it blocks: see `several-budgets`. */
export function budgetOverlaps({ picture, moving }: Scene, lists: Lookups): Finding[] {
  const moves = new Set(moving.map(({ metadata }) => metadata.uid));
  const sets = new Map<string, { over: PodDisruptionBudget[]; pods: string[] }>();
  for (const pod of lists.overlapped()) {
    if (!isWorkload(pod) || moves.has(pod.metadata.uid)) continue;
    const over = picture.budgetsOf(pod).toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
    const key = over.map(({ metadata: { namespace, name } }) => `${namespace}/${name}`).join(" ");
    const set = sets.get(key) ?? { over, pods: [] };
    set.pods.push(`pod ${podName(pod)}`);
    sets.set(key, set);
  }
  return [...sets.values()].flatMap(({ over: [first, ...others], pods }) => {
    if (first === undefined) return [];
    const names = others.map(
      ({ metadata: { namespace, name } }) => `PodDisruptionBudget ${namespace}/${name}`,
    );
    return [
      finding(
        "budget-overlaps",
        refOf("PodDisruptionBudget", first),
        `it and ${listing(names)} select the same pods (${listing(pods.toSorted())}); none of them moves now, but the Eviction API refuses pods with more than one budget, always`,
        "leave one PodDisruptionBudget per pod before their nodes are patched: narrow a selector, or delete one",
      ),
    ];
  });
}
