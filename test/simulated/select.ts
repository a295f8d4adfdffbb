import { ApiError, type Selection } from "../../rollout/cluster/cluster.ts";
import type { Kind, KubeObject, LabelSelector } from "../../rollout/cluster/types.ts";

/** Field labels that the server knows beyond metadata.name and metadata.namespace; others are refused with 400. */
const FIELDS: Partial<Record<Kind, string[]>> = {
  Pod: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
  ],
  Node: ["spec.unschedulable"],
  Event: [
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.uid",
    "reason",
    "source",
    "type",
  ],
};

/** Does the selection of a list or watch cover the object? @throws ApiError 400 on a field label that the server does not know. */
export function selects(kind: Kind, selection: Selection, object: KubeObject): boolean {
  const { namespace, labelSelector, fieldSelector } = selection;
  if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
  if (labelSelector !== undefined && !labelsMatch(labelSelector, object.metadata.labels ?? {})) return false;
  return fieldSelector === undefined || fieldsMatch(kind, fieldSelector, object);
}

function fieldsMatch(kind: Kind, text: string, object: KubeObject): boolean {
  return text.split(",").every((term) => {
    const match = /^([A-Za-z.]+)(==|!=|=)(.*)$/.exec(term.trim());
    if (match === null) throw new ApiError(400, "BadRequest", `invalid field selector: '${term}'`);
    const [, path = "", operator, wanted] = match;
    if (!["metadata.name", "metadata.namespace", ...(FIELDS[kind] ?? [])].includes(path)) {
      throw new ApiError(400, "BadRequest", `field label not supported: ${path}`);
    }
    let value: unknown = object;
    for (const step of path.split(".")) value = (value as Record<string, unknown> | undefined)?.[step];
    const text =
      value === undefined
        ? path === "spec.unschedulable"
          ? "false"
          : ""
        : JSON.stringify(value).replaceAll('"', "");
    return (text === wanted) === (operator !== "!=");
  });
}

/** A label selector as in `?labelSelector=`. @throws ApiError 400 when it cannot be read. */
export function labelsMatch(text: string, labels: Record<string, string>): boolean {
  return text
    .split(/,(?![^(]*\))/)
    .filter((term) => term.trim() !== "")
    .every((term) => termMatches(term.trim(), labels));
}

function termMatches(term: string, labels: Record<string, string>): boolean {
  const set = /^(\S+) (in|notin) \(([^)]*)\)$/.exec(term);
  if (set) {
    const [, key = "", operator, list = ""] = set;
    const inside =
      labels[key] !== undefined &&
      list
        .split(",")
        .map((it) => it.trim())
        .includes(labels[key]);
    return inside === (operator === "in");
  }
  const equal = /^([^!=\s]+)\s*(==|!=|=)\s*(\S*)$/.exec(term);
  if (equal) return (labels[equal[1] ?? ""] === equal[3]) === (equal[2] !== "!=");
  const bare = /^(!?)([^!=\s]+)$/.exec(term);
  if (bare) return (labels[bare[2] ?? ""] !== undefined) === (bare[1] === "");
  throw new ApiError(400, "BadRequest", `unable to parse requirement: ${term}`);
}

/** A selector as it stands in an object; one that is missing matches nothing, an empty one everything. */
export function selectorMatches(
  selector: LabelSelector | undefined,
  labels: Record<string, string> = {},
): boolean {
  if (selector === undefined) return false;
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every((it) => requirementHolds(it, labels))
  );
}

/** One requirement of a label selector or of a node selector term. */
export function requirementHolds(
  it: { key: string; operator: string; values?: string[] },
  labels: Record<string, string>,
): boolean {
  const value = labels[it.key];
  switch (it.operator) {
    case "In":
      return value !== undefined && (it.values ?? []).includes(value);
    case "NotIn":
      return value === undefined || !(it.values ?? []).includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    default:
      throw new Error(`operator ${it.operator} is not simulated`);
  }
}
