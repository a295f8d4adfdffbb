import { count, sentence } from "../finding.ts";
import { duration } from "../plan/duration.ts";
import type { PoolReport, Report } from "./schema.ts";

/** How much of a report the stack output shows of each list. */
const SHOWN = 20;

/** A report in short, by pool: what a reviewer reads in a preview. Empty when nothing moves, so that it shows only when there is news. */
export type Brief = Record<string, PoolBrief>;

export interface PoolBrief {
  image: string;
  verdict: "clear" | "blocked";
  /** One sentence each, blocks first. */
  findings: string[];
  /** `node: why` in the order of the drain. */
  order: string[];
  pods: number;
  about: string;
  extraNodeHours: number;
}

/** No times of day and no counters that run: two looks at the same cluster say the same. */
export const brief = ({ pools }: Report): Brief =>
  Object.fromEntries(
    pools.flatMap((pool) => (pool.plan === undefined ? [] : [[pool.pool, briefOf(pool, pool.plan)]])),
  );

const briefOf = (pool: PoolReport, plan: NonNullable<PoolReport["plan"]>): PoolBrief => ({
  image: pool.image,
  verdict: pool.verdict === "blocked" ? "blocked" : "clear",
  findings: capped(
    pool.findings.map((it) => `${it.severity}: ${sentence(it)}`),
    "finding",
  ),
  order: capped(
    plan.nodes.map(({ node, evictions, why }) => `${node}: ${count(evictions, "pod")}, ${why}`),
    "node",
  ),
  pods: plan.evictions,
  about: duration(plan.estimate.seconds),
  extraNodeHours: plan.estimate.extraNodeHours,
});

const capped = (list: string[], noun: string): string[] =>
  list.length <= SHOWN
    ? list
    : [...list.slice(0, SHOWN), `and ${count(list.length - SHOWN, `more ${noun}`)}`];
