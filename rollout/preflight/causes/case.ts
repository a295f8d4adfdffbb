import type { Pod, PodDisruptionBudget } from "../../cluster/types.ts";
import { controllerOf, type Picture } from "../../picture.ts";
import { isPodReady, isTerminating, isWorkload } from "../../pods.ts";
import type { RuleName } from "../rules.ts";
import { type Lookups, type Owner, ownersOf } from "./owners.ts";

/** One budget with everything its cause can be worked out from. */
export interface Case {
  picture: Picture;
  lists: Lookups;
  budget: PodDisruptionBudget;
  namespace: string;
  /** Pods that the budget selects and that an eviction could be asked for: not finished, not of a DaemonSet, no mirror pods; by name. */
  pods: Pod[];
  /** Those of them that are not Ready. */
  ill: Pod[];
  owners: Owner[];
  /** Replicas that the owners want together, pods without a readable owner counted as they are. */
  wanted: number;
  /** Milliseconds. */
  now: number;
}

/** Why a budget allows no disruption, and what the operator does about it. */
export interface Cause {
  rule: RuleName;
  /** A clause that goes on after "it allows 0 disruptions: needs … healthy and has … of …; ". */
  why: string;
  fix: string;
}

/** One way in which a budget can be spent: says so if it is this one. */
export type CauseRule = (given: Case) => Cause | undefined;

export function caseOf(picture: Picture, lists: Lookups, budget: PodDisruptionBudget, now: number): Case {
  const namespace = budget.metadata.namespace ?? "";
  // a pod that has ended and cannot go keeps its place in a StatefulSet
  const pods = lists
    .podsOf(budget)
    .filter((pod) => isWorkload(pod) || (isTerminating(pod) && controllerOf(pod)?.kind === "StatefulSet"));
  const owners = ownersOf(lists, namespace, budget.spec?.selector, pods);
  const owned = new Set(owners.flatMap((owner) => [...owner.pods, ...owner.leaving]));
  const bare = pods.filter((pod) => !owned.has(pod) && !isTerminating(pod)).length;
  return {
    picture,
    lists,
    budget,
    namespace,
    pods,
    ill: pods.filter((pod) => !isPodReady(pod)),
    owners,
    wanted: owners.reduce(
      (sum, owner) => sum + (owner.wanted ?? owner.pods.length + owner.leaving.length),
      bare,
    ),
    now,
  };
}
