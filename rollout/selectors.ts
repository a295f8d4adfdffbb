import type { LabelSelector } from "./cluster/types.ts";

type Labels = Record<string, string> | undefined;

/**
 * Does a policy/v1 or apps/v1 selector match these labels? An empty selector matches everything
 * (https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/#labelselector-v1-meta).
 */
export function matches(selector: LabelSelector | undefined, labels: Labels): boolean {
  if (selector === undefined) return false;
  const has = labels ?? {};
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (has[key] !== value) return false;
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const value = has[key];
    if (operator === "In" && (value === undefined || !values.includes(value))) return false;
    if (operator === "NotIn" && value !== undefined && values.includes(value)) return false;
    if (operator === "Exists" && value === undefined) return false;
    if (operator === "DoesNotExist" && value !== undefined) return false;
  }
  return true;
}

/**
 * Parses what kubectl takes as `--selector`: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, joined by commas.
 * @throws Error naming the part that is not a selector.
 */
export function parseSelector(text: string): LabelSelector {
  const matchExpressions: NonNullable<LabelSelector["matchExpressions"]> = [];
  for (const part of text.split(/,(?![^(]*\))/).map((piece) => piece.trim())) {
    if (part === "") continue;
    const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(part);
    const equal = /^([^\s=!]+)\s*(==|=|!=)\s*(\S*)$/.exec(part);
    const exists = /^(!?)\s*([A-Za-z0-9][-A-Za-z0-9_./]*)$/.exec(part);
    if (set) {
      const values = (set[3] ?? "").split(",").map((value) => value.trim());
      matchExpressions.push({ key: set[1] ?? "", operator: set[2] === "in" ? "In" : "NotIn", values });
    } else if (equal) {
      const operator = equal[2] === "!=" ? "NotIn" : "In";
      matchExpressions.push({ key: equal[1] ?? "", operator, values: [equal[3] ?? ""] });
    } else if (exists) {
      matchExpressions.push({
        key: exists[2] ?? "",
        operator: exists[1] === "!" ? "DoesNotExist" : "Exists",
      });
    } else {
      throw new Error(`"${part}" is not a label selector (examples: role!=critical, tier in (a,b), !legacy)`);
    }
  }
  return { matchExpressions };
}
