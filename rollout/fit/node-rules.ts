import type {
  Node,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Pod,
  Taint,
  Toleration,
} from "../cluster/types.ts";
import { listing } from "../preflight/causes/words.ts";
import type { Stop } from "./stop.ts";

/** What only the pod and the node decide: the same for every pod with these parts of its spec. */
export function stopAtNode(pod: Pod, node: Node): Stop | undefined {
  const { nodeName, nodeSelector, tolerations = [] } = pod.spec ?? {};
  if (node.spec?.unschedulable === true && !tolerated(UNSCHEDULABLE, tolerations))
    return { rule: "unschedulable", what: "cordoned" };
  if (nodeName !== undefined && nodeName !== "" && nodeName !== node.metadata.name)
    return { rule: "node-name", what: `not the node ${nodeName} that the pod names` };
  const taint = untolerated(node.spec?.taints ?? [], tolerations);
  if (taint !== undefined) return { rule: "taint", what: `untolerated taint ${taintText(taint)}` };
  const labels = node.metadata.labels ?? {};
  for (const [key, value] of Object.entries(nodeSelector ?? {})) {
    if (labels[key] !== value) return { rule: "node-affinity", what: `without the label ${key}=${value}` };
  }
  if (!matchesNodeAffinity(pod, node))
    return { rule: "node-affinity", what: `not matching its node affinity (${affinityText(pod)})` };
  return undefined;
}

const UNSCHEDULABLE: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

export const taintText = ({ key, value, effect }: Taint): string =>
  `${key}${value === undefined || value === "" ? "" : `=${value}`}:${effect}`;

/** The first taint that keeps a pod with these tolerations off (PreferNoSchedule never does). */
export const untolerated = (
  taints: readonly Taint[],
  tolerations: readonly Toleration[],
): Taint | undefined =>
  taints.find(
    (taint) =>
      (taint.effect === "NoSchedule" || taint.effect === "NoExecute") && !tolerated(taint, tolerations),
  );

/** https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/: no key means every key, no effect every effect. */
const tolerated = (taint: Taint, tolerations: readonly Toleration[]): boolean =>
  tolerations.some(({ key = "", operator = "Equal", value = "", effect = "" }) => {
    if (effect !== "" && effect !== taint.effect) return false;
    if (key !== "" && key !== taint.key) return false;
    if (operator === "Exists") return true;
    return (operator === "Equal" || operator === "") && value === (taint.value ?? "");
  });

/** nodeSelector and required node affinity, as spread constraints with nodeAffinityPolicy Honor ask. */
export const matchesSelectorAndAffinity = (pod: Pod, node: Node): boolean =>
  Object.entries(pod.spec?.nodeSelector ?? {}).every(
    ([key, value]) => node.metadata.labels?.[key] === value,
  ) && matchesNodeAffinity(pod, node);

/** `disk In ssd,nvme or cores Gt 8` */
function affinityText({ spec }: Pod): string {
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const terms = (required?.nodeSelectorTerms ?? []).map(({ matchExpressions = [], matchFields = [] }) =>
    [...matchExpressions, ...matchFields]
      .map(({ key, operator, values = [] }) => [key, operator, listing(values)].join(" ").trim())
      .join(" and "),
  );
  return listing(terms, 3, " or ");
}

function matchesNodeAffinity(pod: Pod, node: Node): boolean {
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || matchesTerms(required.nodeSelectorTerms ?? [], node);
}

/** One term is enough; within a term all must hold; a term that asks nothing matches nothing. */
export const matchesTerms = (terms: readonly NodeSelectorTerm[], { metadata }: Node): boolean =>
  terms.some(({ matchExpressions = [], matchFields = [] }) => {
    if (matchExpressions.length + matchFields.length === 0) return false;
    return (
      matchExpressions.every((it) => holds(it, metadata.labels?.[it.key])) &&
      matchFields.every((it) => holds(it, it.key === "metadata.name" ? metadata.name : undefined))
    );
  });

function holds({ operator, values = [] }: NodeSelectorRequirement, value: string | undefined): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
    case "Lt": {
      const [has, limit] = [integer(value), integer(values[0])];
      if (has === undefined || limit === undefined || values.length !== 1) return false;
      return operator === "Gt" ? has > limit : has < limit;
    }
    default:
      return false;
  }
}

/** 64-bit integers as text; anything else does not compare. */
function integer(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^[+-]?\d{1,20}$/.test(text)) return undefined;
  const value = BigInt(text.replace(/^\+/, ""));
  return BigInt.asIntN(64, value) === value ? value : undefined;
}
