import { nameOf } from "../finding.ts";
import type { Alert, Severity } from "./alert.ts";

/** The headline for people: `Critical: hold, pool workers of shop/prod`, `Resolved: …`, `Success: …`. */
export function titleOf({ status, kind, severity, pool, stack }: Alert): string {
  const of = `pool ${pool} of ${stack}`;
  if (kind === "success") return `Success: ${of}`;
  return `${status === "resolved" ? "Resolved" : WORDS[severity]}: ${kind}, ${of}`;
}

const WORDS: Record<Severity, string> = { critical: "Critical", warning: "Warning", info: "Info" };

/** What is known besides the summary, label and value, in the order in which people ask. */
export function factsFor(alert: Alert): [string, string][] {
  const { cluster, object, workload, pod, nodes, metric, needs, has, since, rule, run, evidence } = alert;
  const facts: [string, string | undefined][] = [
    ["Cluster", cluster],
    ["Object", nameOf(object)],
    ["Metric", metric],
    ["Workload", workload],
    ["Pod", pod],
    [nodes?.length === 1 ? "Node" : "Nodes", nodes && someOf(nodes)],
    ["Needs", numberIn(needs)],
    ["Has", numberIn(has)],
    ["Rule", rule],
    ["Since", since],
    ["Run", run],
    ["Evidence", [evidence.configMap, ...(evidence.file === undefined ? [] : [evidence.file])].join(", ")],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
}

/** At most so many characters, with a sign that there was more. */
export const cut = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most - 1)}…` : text;

/** Nodes of a large wave are counted, not listed. */
const someOf = (names: readonly string[]): string =>
  names.length > 5 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ");

const numberIn = (value: number | undefined): string | undefined =>
  value === undefined ? undefined : String(Number(value.toPrecision(6)));
