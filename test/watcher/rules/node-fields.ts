/** The fields of a node that decide what is scheduled there, or that PatchGuard owns, as a flat map. */
import { ANNOTATION_SCALE_DOWN_DISABLED, LABEL_EXCLUDE_LB, OUR_PREFIX } from "../names.ts";
import type { Node } from "../objects.ts";

/** Taints that Kubernetes keeps by itself: they follow conditions and the cordon. */
const KUBERNETES_TAINT = /^node\.(cloudprovider\.)?kubernetes\.io\//;

export function schedulingFields(node: Node): Map<string, string> {
  const fields = new Map<string, string>();
  if (node.spec?.unschedulable === true) fields.set("cordon", "true");
  for (const taint of node.spec?.taints ?? []) {
    if (!KUBERNETES_TAINT.test(taint.key))
      fields.set(`taint ${taint.key}:${taint.effect}`, taint.value ?? "");
  }
  for (const [key, value] of Object.entries(node.metadata.labels ?? {})) {
    if (key === LABEL_EXCLUDE_LB || key.startsWith(OUR_PREFIX)) fields.set(`label ${key}`, value);
  }
  for (const [key, value] of Object.entries(node.metadata.annotations ?? {})) {
    if (key === ANNOTATION_SCALE_DOWN_DISABLED || key.startsWith(OUR_PREFIX))
      fields.set(`annotation ${key}`, value);
  }
  return fields;
}

/** The field manager that owns a field, by the object's managedFields. */
export function managerOf(node: Node, field: string): string | undefined {
  const [kind, key = ""] = field.split(" ");
  const path =
    kind === "cordon"
      ? ["f:spec", "f:unschedulable"]
      : kind === "taint"
        ? ["f:spec", "f:taints"]
        : ["f:metadata", kind === "label" ? "f:labels" : "f:annotations", `f:${key}`];
  const owners = (node.metadata.managedFields ?? []).filter((entry) => {
    let at: unknown = entry.fieldsV1;
    for (const step of path) {
      if (typeof at !== "object" || at === null || !(step in at)) return false;
      at = (at as Record<string, unknown>)[step];
    }
    return true;
  });
  return owners.sort((a, b) => (a.time ?? "").localeCompare(b.time ?? "")).at(-1)?.manager;
}
