import { count } from "../../finding.ts";
import type { Case } from "./case.ts";
import type { Owner } from "./owners.ts";
import { scalerOf } from "./owners.ts";

/** `a, b, c and 4 more`; never longer, so that a message stays readable. */
export function listing(items: readonly string[], most = 3, join = ", "): string {
  const more = items.length - most;
  return more > 0 ? `${items.slice(0, most).join(join)} and ${more} more` : items.join(join);
}

/** Somebody else's words, cut to a length that a message bears. */
export const quoted = (text: string, most = 300): string => {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most)}…` : line;
};

/** `Deployment shop/web` */
export const ownerName = ({ kind, namespace, name }: Owner): string => `${kind} ${namespace}/${name}`;

/** `Deployment shop/web wants 2 replicas` */
export const wants = (owner: Owner): string =>
  owner.wanted === undefined
    ? `${ownerName(owner)} has ${count(owner.pods.length, "pod")} (how many it wants cannot be read here)`
    : `${ownerName(owner)} wants ${count(owner.wanted, "replica")}`;

/** How many replicas each of them wants can be read. */
export const isKnown = (owners: readonly Owner[]): boolean =>
  owners.every(({ wanted }) => wanted !== undefined);

/** Who decided on the number of replicas: its autoscaler, or the last writer; nothing where nobody is on record. */
export function decidedBy(owner: Owner): string {
  const { autoscaler, wanted } = owner;
  if (autoscaler !== undefined && wanted !== undefined && wanted > 0) {
    const { minReplicas = 1, maxReplicas } = autoscaler.spec ?? {};
    const name = `HorizontalPodAutoscaler ${owner.namespace}/${autoscaler.metadata.name}`;
    return wanted <= minReplicas
      ? `${name} is at its minimum of ${minReplicas}`
      : `${name} decides (minimum ${minReplicas}, maximum ${maxReplicas ?? "unset"})`;
  }
  const scaler = scalerOf(owner.object);
  if (scaler === undefined) return "";
  const when = scaler.time === undefined ? "" : ` at ${scaler.time}`;
  return scaler.subresource ? `last scaled by ${scaler.manager}${when}` : `set by ${scaler.manager}${when}`;
}

/** `Deployment shop/web wants 1 replica (last scaled by kubectl at …)`, for each owner. */
export const whoWants = (owners: readonly Owner[]): string =>
  listing(
    owners.map((owner) => {
      const by = decidedBy(owner);
      return by === "" ? wants(owner) : `${wants(owner)} (${by})`;
    }),
  );

/** How to have this many replicas: by hand, or through what would scale it back. */
export function scaleTo(owner: Owner, replicas: number): string {
  const { autoscaler, namespace, kind, name } = owner;
  if (autoscaler !== undefined) {
    const keda = autoscaler.metadata.ownerReferences?.find((it) => it.kind === "ScaledObject");
    if (keda !== undefined) {
      return `raise the minimum: \`kubectl -n ${namespace} patch scaledobject ${keda.name} --type merge -p '{"spec":{"minReplicaCount":${replicas}}}'\``;
    }
    const { maxReplicas = replicas } = autoscaler.spec ?? {};
    const spec = { minReplicas: replicas, ...(maxReplicas < replicas ? { maxReplicas: replicas } : {}) };
    return `raise the minimum: \`kubectl -n ${namespace} patch hpa ${autoscaler.metadata.name} --type merge -p '${JSON.stringify({ spec })}'\``;
  }
  if (owner.wanted === undefined)
    return `see whether ${ownerName(owner)} lacks pods, and give it ${replicas}: \`kubectl -n ${namespace} describe ${kind.toLowerCase()} ${name}\``;
  return `scale up: \`kubectl -n ${namespace} scale ${kind.toLowerCase()}/${name} --replicas=${replicas}\``;
}

/** `kubectl -n shop patch pdb web …`: a change of the budget's spec, as merge patch. */
export const patchBudget = ({ namespace, budget }: Case, spec: Record<string, unknown>): string =>
  `\`kubectl -n ${namespace} patch pdb ${budget.metadata.name} --type merge -p '${JSON.stringify({ spec })}'\``;

/** The controller of a budget, if it has one: it writes the budget back. */
export function writtenBack({ budget }: Case): string {
  const owner = budget.metadata.ownerReferences?.find(({ controller }) => controller === true);
  return owner === undefined
    ? ""
    : ` (${owner.kind} ${owner.name} owns the budget and may write it back: change it there)`;
}

/** The pods that a budget guards, for a command. */
export const selectorFlag = ({ budget }: Case): string => {
  const { matchLabels = {}, matchExpressions = [] } = budget.spec?.selector ?? {};
  const labels = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  return labels.length === 0 || matchExpressions.length > 0 ? "" : ` -l ${labels.join(",")}`;
};
