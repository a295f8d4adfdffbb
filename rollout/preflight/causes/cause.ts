import { limitOf, operatorRun, standing } from "../budget-state.ts";
import type { Case, Cause, CauseRule } from "./case.ts";
import {
  alreadyDown,
  crashLoop,
  imagePull,
  notReady,
  oomKilled,
  starting,
  unschedulable,
} from "./pod-states.ts";
import { podsNotCreated, scaledDown } from "./replicas.ts";
import {
  loneInstance,
  maxUnavailableZero,
  minAvailableAll,
  overlapped,
  stale,
  syncFailed,
  unmanagedPods,
} from "./spec.ts";
import { selectorFlag } from "./words.ts";

/**
 * The order of precedence. A budget has one finding, its root cause: what would keep it at zero if all that follows were healed.
 * First what nobody can judge (no status that counts), then what the budget itself forbids for ever, then too few replicas, then the
 * state of pods: what no waiting heals before what it may.
 */
const STATUS: CauseRule[] = [syncFailed, stale, overlapped, unmanagedPods];
const SPEC: CauseRule[] = [maxUnavailableZero, loneInstance, minAvailableAll, scaledDown, podsNotCreated];
const PODS: CauseRule[] = [oomKilled, imagePull, crashLoop, unschedulable, alreadyDown, notReady, starting];

/** The first that says so. */
const first = (rules: readonly CauseRule[], given: Case): Cause | undefined => {
  for (const rule of rules) {
    const cause = rule(given);
    if (cause !== undefined) return cause;
  }
  return undefined;
};

/** Why a budget that allows nothing allows nothing. Never empty-handed: what cannot be proven is said in numbers. */
export function causeOf(given: Case): Cause {
  const unknown = first(STATUS, given);
  if (unknown?.rule === "budget-stale") return unknown;
  const numbers = `it allows 0 disruptions: ${standing(given.budget)}`;
  if (unknown !== undefined) return { ...unknown, why: `${numbers}; ${unknown.why}` };
  const state = first(PODS, given);
  // an operator keeps it at zero by design: only a fault of its pods, or nobody to take over, is a cause
  const root =
    operatorRun(given.budget) === undefined
      ? first(SPEC, given)
      : state === undefined
        ? first([loneInstance, podsNotCreated], given)
        : undefined;
  if (root === undefined) {
    const cause = state ?? spent(given);
    return { ...cause, why: `${numbers}; ${cause.why}` };
  }
  // what is wrong besides is a fact of the same sentence; that pods are on their way is not wrong
  if (state === undefined || state.rule === "budget-pods-starting") {
    return { ...root, why: `${numbers}; ${root.why}` };
  }
  return {
    rule: root.rule,
    why: `${numbers}; ${root.why}; besides, ${state.why}`,
    fix: `${root.fix}; and ${state.fix}`,
  };
}

/** None of the known causes could be proven. */
function spent(given: Case): Cause {
  return {
    rule: "budget-spent",
    why: `${limitOf(given.budget)}; ${given.pods.length} pods are selected, ${given.ill.length} of them not Ready, and nothing that can be read says why`,
    fix: `look at the pods and the budget: \`kubectl -n ${given.namespace} get pods${selectorFlag(given)}\` and \`kubectl -n ${given.namespace} describe pdb ${given.budget.metadata.name}\``,
  };
}
