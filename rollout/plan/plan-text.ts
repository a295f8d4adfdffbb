import { duration } from "./duration.ts";
import type { Plan } from "./plan.ts";

/** The plan as a table. */
export function planText(plan: Plan): string[] {
  const rows = plan.nodes.map((it) => [
    String(it.wave),
    it.node,
    it.zone,
    String(it.evictions),
    duration(it.seconds),
    it.why,
    it.budgets.map(({ budget, pods, allowed }) => `${budget} ${pods} (allows ${allowed} now)`).join(", "),
  ]);
  return [summary(plan), ...table(["wave", "node", "zone", "pods", "about", "place", "budgets used"], rows)];
}

/** `about 42 min: green 4 min, starts 3 min, …` */
export function summary({ estimate: { seconds, parts, extraNodeHours } }: Plan): string {
  return (
    `Plan: about ${duration(seconds)} (green ${duration(parts.green)}, pods starting ${duration(parts.start)}, ` +
    `stopping ${duration(parts.stop)}, health windows ${duration(parts.windows)}), ${extraNodeHours} extra node-hours`
  );
}

/** Columns as wide as their widest cell; the last one is left ragged. */
function table(heads: string[], rows: string[][]): string[] {
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => row[at]?.length ?? 0)));
  return [heads, ...rows].map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
