import type { EvictionResult } from "./cluster/cluster.ts";
import type { Pod, PodDisruptionBudget } from "./cluster/types.ts";
import { Hold } from "./errors.ts";
import { aboutPod } from "./in-the-way.ts";
import type { Inventory } from "./inventory.ts";
import { placeOf } from "./mover.ts";
import { operatorRun } from "./preflight/budget-state.ts";

export type Refusal = Exclude<EvictionResult, { outcome: "evicted" | "gone" }>;

/** Seconds until an eviction is asked again, where the API server does not name a longer time. */
const RETRY_SECONDS: Record<Refusal["outcome"], number> = {
  budget: 5,
  "budget-stale": 10,
  throttled: 5,
  "namespace-terminating": 5,
  "several-budgets": 5,
  refused: 5,
};

/**
 * What a refused eviction means: when to ask again, and why in words.
 * @throws Hold where asking again can never help.
 */
export function judgeRefusal(
  inventory: Inventory,
  pod: Pod,
  result: Refusal,
): { text: string; retrySeconds: number } {
  const over = inventory.budgetsOf(pod);
  const budgets = over.map(({ metadata }) => metadata.name);
  if (result.outcome === "several-budgets") {
    throw new Hold(
      `${placeOf(pod)} cannot be evicted: ${budgets.join(", ")} all select it, ` +
        `and the Eviction API refuses pods with more than one PodDisruptionBudget. To go on: leave one of them.`,
      { about: aboutPod(pod) },
    );
  }
  if (result.outcome === "refused" && result.status === 403) {
    throw new Hold(
      `${placeOf(pod)} may not be evicted: ${result.message}. To go on: give PatchGuard \`create\` on pods/eviction (docs/permissions.md).`,
      { about: aboutPod(pod) },
    );
  }
  const asked = "retryAfterSeconds" in result ? result.retryAfterSeconds : undefined;
  return {
    text: textOf(pod, over, result),
    retrySeconds: Math.max(asked ?? 0, RETRY_SECONDS[result.outcome]),
  };
}

function textOf(pod: Pod, budgets: readonly PodDisruptionBudget[], result: Refusal): string {
  const namespace = pod.metadata.namespace ?? "default";
  switch (result.outcome) {
    case "budget":
    case "budget-stale": {
      const names = budgets.map(({ metadata }) => metadata.name).join(", ");
      const name = "budget" in result && result.budget !== undefined ? result.budget : names;
      const budget = budgets.find(({ metadata }) => metadata.name === name);
      const why = budget && operatorRun(budget)?.why;
      return `PodDisruptionBudget ${namespace}/${name} allows no disruption now (${result.message})${why ? `: ${why}` : ""}`;
    }
    case "throttled":
      return `the API server asks for patience (${result.message})`;
    case "namespace-terminating":
      return `namespace ${namespace} is terminating (${result.message})`;
    case "several-budgets":
    case "refused":
      return `the API server refuses the eviction (${result.message})`;
  }
}
