import type { Metric, Subject, Watched } from "../metric.ts";

/** What Datadog and New Relic have in common: a query with holes, and groups that must be matched with what is watched. */

/** A list of pods that is longer than this (characters) is left to the namespaces: the services bound the length of a query. */
const LONGEST_LIST = 2500;

/** One condition `name is one of values`, in the service's language. */
export type OneOf = (name: string, values: readonly string[]) => string;

/** What the groups of a query are named by. */
export interface Names {
  namespace: string;
  pod: string;
  workload: string | undefined;
}

/** The query with `{{namespaces}}`, `{{pods}}` and `{{workloads}}` filled in. */
export function filled(template: string, workloads: readonly Watched[], names: Names, oneOf: OneOf): string {
  const namespaces = oneOf(names.namespace, unique(workloads.map(({ namespace }) => namespace)));
  const listed = (name: string, values: string[]): string => {
    const condition = values.length === 0 ? namespaces : oneOf(name, values);
    return condition.length > LONGEST_LIST ? namespaces : condition;
  };
  const fillings: Record<string, string> = {
    namespaces,
    pods: listed(names.pod, unique(workloads.flatMap(({ pods }) => pods.map(({ name }) => name)))),
    workloads:
      names.workload === undefined
        ? namespaces
        : listed(names.workload, unique(workloads.map(({ name }) => name))),
  };
  return template.replace(/\{\{\s*(\w+)\s*\}\}/g, (hole, name: string) => fillings[name] ?? hole);
}

const unique = (values: string[]): string[] => [...new Set(values)].sort();

/** `several`: the name alone stands for more than one that is watched. `other`: for none. */
export type Match = Subject | "other" | "several";

/** Finds what a group of an answer is about. Without a namespace the name must be unique among what is watched. */
export function matcher(
  workloads: readonly Watched[],
  of: "pod" | "workload",
): (namespace: string | undefined, name: string) => Match {
  const watched = new Map<string, Map<string, Subject>>();
  for (const { namespace, name: workload, pods } of workloads)
    for (const name of of === "pod" ? pods.map((pod) => pod.name) : [workload]) {
      const spaces = watched.get(name) ?? new Map<string, Subject>();
      watched.set(name, spaces.set(namespace, { of, namespace, name }));
    }
  return (namespace, name) => {
    const spaces = watched.get(name);
    if (spaces === undefined) return "other";
    if (namespace !== undefined) return spaces.get(namespace) ?? "other";
    const [only, ...others] = spaces.values();
    return only === undefined || others.length > 0 ? "several" : only;
  };
}

/** What the config of both says of a metric. */
interface Rule extends Omit<Metric, "source" | "measure" | "across"> {
  across: "mean" | "sum" | "max";
}

/** A metric of the config as the rest of the window knows it. */
export function metricOf(source: string, measure: "level" | "ratio", rule: Rule): Metric {
  const { name, unit, worse, limit, timesBaseline, critical, failureLimit } = rule;
  const { consecutiveSuccesses, minimumRequests, absent, across } = rule;
  return {
    name,
    source,
    measure,
    unit,
    ...(measure === "level" && { across }),
    worse,
    limit,
    timesBaseline,
    critical,
    failureLimit,
    consecutiveSuccesses,
    minimumRequests,
    absent,
  };
}
