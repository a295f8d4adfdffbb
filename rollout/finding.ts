/** A Kubernetes object as people name it. */
export interface ObjectRef {
  kind: string;
  namespace?: string | undefined;
  name: string;
  uid?: string | undefined;
}

/** One pre-flight or audit result. */
export interface Finding {
  /** `block`: nothing may move. `warning`: the operator should know. `wait`: our own half-moved pods, no reason to alert. */
  severity: "block" | "warning" | "wait";
  /** Which rule found it (docs/reference.md). */
  rule: string;
  object: ObjectRef;
  why: string;
  fix: string;
}

/** `PodDisruptionBudget shop/web` */
export const nameOf = (object: ObjectRef): string =>
  `${object.kind} ${object.namespace === undefined ? "" : `${object.namespace}/`}${object.name}`;

/** `PodDisruptionBudget shop/web: why. To go on: fix` */
export const sentence = (finding: Finding): string =>
  `${nameOf(finding.object)}: ${finding.why}. To go on: ${finding.fix}`;

/** Stable order, so that messages do not flap from one look to the next. */
export function sortFindings(findings: Finding[]): Finding[] {
  const rank = { block: 0, wait: 1, warning: 2 };
  return findings.toSorted(
    (a, b) =>
      rank[a.severity] - rank[b.severity] ||
      nameOf(a.object).localeCompare(nameOf(b.object)) ||
      a.rule.localeCompare(b.rule),
  );
}

/** `1 pod`, `2 pods`. */
export const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? "" : "s"}`;
