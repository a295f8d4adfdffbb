import type { LabelSelector, Pod, PodAffinityTerm } from "../cluster/types.ts";
import { matches } from "../selectors.ts";

/** Which pods a term of affinity or spread is about. */
export interface PodQuery {
  /** The same for queries that ask the same. */
  key: string;
  /** Undefined: all. */
  namespaces: ReadonlySet<string> | undefined;
  /** Undefined selects nothing, `{}` everything. */
  selector: LabelSelector | undefined;
}

export type Labels = Readonly<Record<string, string>>;

export const queryOf = (
  namespaces: readonly string[] | undefined,
  selector: LabelSelector | undefined,
): PodQuery => ({
  key: JSON.stringify([namespaces?.toSorted() ?? "*", selector ?? null]),
  namespaces: namespaces === undefined ? undefined : new Set(namespaces),
  selector,
});

export const selects = ({ namespaces, selector }: PodQuery, namespace: string, labels: Labels): boolean =>
  (namespaces === undefined || namespaces.has(namespace)) && matches(selector, labels);

/** Names of the namespaces that a selector selects. */
export type NamespacesBy = (selector: LabelSelector) => string[];

/**
 * The pods that a (anti-)affinity term of a pod is about. Without namespaces and selector of namespaces: the pod's own; an empty
 * selector of namespaces: all of them.
 */
export function queryOfTerm(pod: Pod, term: PodAffinityTerm, namespacesBy: NamespacesBy): PodQuery {
  const { namespaces = [], namespaceSelector } = term;
  const selector = withLabelKeys(
    withLabelKeys(term.labelSelector, term.matchLabelKeys, "In", pod),
    term.mismatchLabelKeys,
    "NotIn",
    pod,
  );
  if (namespaceSelector === undefined) {
    return queryOf(namespaces.length === 0 ? [pod.metadata.namespace ?? "default"] : namespaces, selector);
  }
  if (isEmpty(namespaceSelector)) return queryOf(undefined, selector);
  return queryOf([...new Set([...namespaces, ...namespacesBy(namespaceSelector)])], selector);
}

export const isEmpty = ({ matchLabels = {}, matchExpressions = [] }: LabelSelector): boolean =>
  Object.keys(matchLabels).length + matchExpressions.length === 0;

/**
 * matchLabelKeys and mismatchLabelKeys: the pod's own values of these labels. The API server writes them into the selector when a pod
 * is created (KEP-3633, and KEP-3243 since 1.34); an older one leaves that to the scheduler.
 */
export function withLabelKeys(
  selector: LabelSelector | undefined,
  keys: readonly string[] | undefined,
  operator: "In" | "NotIn",
  { metadata: { labels = {} } }: Pod,
): LabelSelector | undefined {
  if (selector === undefined) return undefined;
  const missing = (keys ?? []).filter(
    (key) =>
      labels[key] !== undefined &&
      !selector.matchExpressions?.some((it) => it.key === key && it.operator === operator),
  );
  if (missing.length === 0) return selector;
  return {
    ...selector,
    matchExpressions: [
      ...(selector.matchExpressions ?? []),
      ...missing.map((key) => ({ key, operator, values: [labels[key] ?? ""] })),
    ],
  };
}

/**
 * Slots narrow down which queries can select a pod, and which pods a query can select: one label with its value in one namespace.
 * @returns undefined when the query names no label's value: it has to be compared with every pod.
 */
export function slotsOf({ namespaces, selector }: PodQuery): Slot[] | undefined {
  if (selector === undefined) return [];
  const [first] = Object.entries(selector.matchLabels ?? {});
  const single = selector.matchExpressions?.find(
    ({ operator, values }) => operator === "In" && values?.length === 1,
  );
  const label =
    first ?? (single === undefined ? undefined : ([single.key, single.values?.[0] ?? ""] as const));
  if (label === undefined) return undefined;
  const [key, value] = label;
  return namespaces === undefined
    ? [{ namespace: undefined, key, value }]
    : [...namespaces].map((namespace) => ({ namespace, key, value }));
}

export interface Slot {
  /** Undefined: any. */
  namespace: string | undefined;
  key: string;
  value: string;
}

export const slotName = ({ namespace, key, value }: Slot): string => `${namespace ?? "*"} ${key}=${value}`;

/** The slots in which queries that can select such a pod stand. */
export const slotNamesOfPod = (namespace: string, labels: Labels): string[] =>
  Object.entries(labels).flatMap(([key, value]) => [
    slotName({ namespace, key, value }),
    slotName({ namespace: undefined, key, value }),
  ]);
