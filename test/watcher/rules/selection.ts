/** Which budgets guard a pod. */
import type { Budget, Pod } from "../objects.ts";
import { selects } from "../objects.ts";
import type { WatchState } from "../state.ts";

export const budgetsOver = (state: WatchState, pod: Pod): Budget[] =>
  [...state.budgets.values()]
    .map(({ budget }) => budget)
    .filter(
      (budget) =>
        budget.metadata.namespace === pod.metadata.namespace &&
        selects(budget.spec?.selector, pod.metadata.labels ?? {}),
    );
