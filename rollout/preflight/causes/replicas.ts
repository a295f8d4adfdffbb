import { count } from "../../finding.ts";
import type { Condition } from "../../cluster/types.ts";
import { isPodReady } from "../../pods.ts";
import type { CauseRule } from "./case.ts";
import type { Owner } from "./owners.ts";
import { isKnown, listing, ownerName, patchBudget, quoted, scaleTo, whoWants, writtenBack } from "./words.ts";

/** Causes that lie in the number of replicas: too few are wanted, or too few could be made. */

/** Fewer replicas are wanted than minAvailable (a number) asks for. */
export const scaledDown: CauseRule = (given) => {
  const { budget, owners, wanted } = given;
  const { minAvailable } = budget.spec ?? {};
  if (typeof minAvailable !== "number" || owners.length === 0 || minAvailable <= wanted) return undefined;
  const [only, ...others] = owners;
  const grow =
    only !== undefined && others.length === 0
      ? scaleTo(only, minAvailable + 1)
      : `scale ${listing(owners.map(ownerName))} up to ${minAvailable + 1} replicas together`;
  const lower = patchBudget(given, { minAvailable: Math.max(0, wanted - 1) });
  return {
    rule: "budget-scaled-down",
    why: `minAvailable ${minAvailable} is more than the ${isKnown(owners) ? "replicas that are wanted" : "pods that there are"}: ${whoWants(owners)}`,
    fix: `${grow}, or ask for less: ${lower}${writtenBack(given)}`,
  };
};

/**
 * The controller cannot make its pods: Deployments and ReplicaSets say so in a condition
 * (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment); a StatefulSet only in events.
 */
export const podsNotCreated: CauseRule = (given) => {
  for (const owner of given.owners) {
    const failure = failureOf(owner);
    if (failure !== undefined) {
      return {
        rule: "budget-pods-not-created",
        why: `${ownerName(owner)} has ${existing(owner)} and cannot create the others: "${quoted(failure.message ?? "no reason given")}"`,
        fix: `${remedy(failure.message ?? "", owner)}; it then creates them by itself`,
      };
    }
  }
  const short = given.owners.find(isShort);
  if (short === undefined) return undefined;
  return {
    rule: "budget-pods-not-created",
    why: `${ownerName(short)} has ${existing(short)}, all of them healthy, and none of the others has been created`,
    fix: `see what stops it (a quota, a webhook, its controller) in the events: \`kubectl -n ${short.namespace} describe ${short.kind.toLowerCase()} ${short.name}\``,
  };
};

function failureOf({ object, sets }: Owner): Condition | undefined {
  const live = sets.filter(({ spec, status }) => (spec?.replicas ?? 1) > (status?.replicas ?? 0));
  return [...live, ...(object === undefined ? [] : [object])]
    .flatMap(({ status }) => status?.conditions ?? [])
    .find(({ type, status }) => type === "ReplicaFailure" && status === "True");
}

const existing = (owner: Owner): string => `${owner.pods.length} of ${count(owner.wanted ?? 0, "pod")}`;

/** Pods are missing although nothing that is there explains it: none is ending or ill, and the controller has seen its spec. */
const isShort = ({ wanted, object, pods, leaving }: Owner): boolean =>
  wanted !== undefined &&
  object !== undefined &&
  pods.length < wanted &&
  leaving.length === 0 &&
  (object.status?.observedGeneration ?? 0) >= (object.metadata.generation ?? 0) &&
  pods.every(isPodReady);

function remedy(message: string, owner: Owner): string {
  const { namespace } = owner;
  const quota = /exceeded quota: ([^,\s]+)/.exec(message)?.[1];
  if (quota !== undefined)
    return `raise ResourceQuota ${namespace}/${quota}, or free what it counts: \`kubectl -n ${namespace} describe quota ${quota}\``;
  const webhook = /admission webhook "([^"]+)" denied/.exec(message)?.[1];
  if (webhook !== undefined)
    return `make the pods pass admission webhook ${webhook}, or ask its owner for an exemption`;
  const account = /serviceaccount "([^"]+)" not found/.exec(message)?.[1];
  if (account !== undefined)
    return `create its service account: \`kubectl -n ${namespace} create serviceaccount ${account.split("/").at(-1)}\``;
  return `clear what the message names: \`kubectl -n ${namespace} describe ${owner.kind.toLowerCase()} ${owner.name}\``;
}
