import type { Stranded } from "./packing.ts";
import { amountText } from "./quantities.ts";
import type { Stop, StopRule } from "./stop.ts";

/** Reasons that are named; the others are only counted. */
const NAMED = 3;

/**
 * Why no node takes a pod, as the scheduler counts it: `0 of 6 green nodes take it (4 insufficient memory (it needs 3Gi, the largest gap
 * is 1.2Gi), 2 untolerated taint a=b:NoSchedule), nor does any of the 3 others (3 cordoned)`.
 */
export function summary({ stops }: Pick<Stranded, "stops">, green: number, others: number): string {
  const nodes = `green node${green === 1 ? "" : "s"}`;
  const first =
    green === 0 ? "there will be no green node" : `0 of ${green} ${nodes} take it (${counted(stops.green)})`;
  if (others === 0) return first;
  const rest = others === 1 ? "nor does the 1 other" : `nor does any of the ${others} others`;
  return `${first}, ${rest} (${counted(stops.others)})`;
}

function counted(stops: readonly Stop[]): string {
  const groups = [...Map.groupBy(stops, ({ what }) => what)].toSorted(
    ([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1),
  );
  const named = groups.slice(0, NAMED).map(([what, same]) => `${same.length} ${what}${gap(same)}`);
  const rest = groups.slice(NAMED).reduce((sum, [, same]) => sum + same.length, 0);
  return [...named, ...(rest === 0 ? [] : [`${rest} for other reasons`])].join(", ");
}

function gap(stops: readonly Stop[]): string {
  const [first] = stops;
  if (first?.short === undefined) return "";
  const { resource, needs } = first.short;
  const largest = Math.max(...stops.map(({ short }) => short?.free ?? 0), 0);
  return ` (it needs ${amountText(resource, needs)}, the largest gap is ${amountText(resource, largest)})`;
}

/** What stops the pod on most of the green nodes. */
export function mainRule({ stops }: Pick<Stranded, "stops">): StopRule | undefined {
  const groups = [...Map.groupBy(stops.green, ({ rule }) => rule)];
  return groups.toSorted(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1))[0]?.[0];
}
