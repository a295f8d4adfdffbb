/** What the watcher proved, in figures and in words. */
import { showActor } from "./observation.ts";
import { keyOf } from "./objects.ts";
import type { WatchState } from "./state.ts";

export interface Summary {
  /** Granted evictions of workload pods, by who asked. */
  evictions: Record<string, number>;
  /** Evictions that the API server refused (a spent budget), by who asked. */
  refusedEvictions: Record<string, number>;
  /** Workload pods that ended in any other way, by who did it. */
  otherDisruptions: Record<string, number>;
  /** The same, one by one: pod, node, how and by whom. */
  otherEnds: string[];
  /** Moves by PatchGuard of each place of a workload, in all and in its busiest leg. */
  moves: Record<string, { total: number; mostInOneLeg: number }>;
  /** Each budget's worst moment. */
  budgets: Record<string, { maxUnavailable: number; minHealthy: number; breaches: number }>;
  /** Successful writes by PatchGuard, by resource. */
  productWrites: Record<string, number>;
  nodes: string[];
  violations: number;
  notes: string[];
}

export function summarize(state: WatchState): Summary {
  const evictions: Record<string, number> = {};
  const otherDisruptions: Record<string, number> = {};
  const otherEnds: string[] = [];
  for (const { cause, pod, node, at } of state.disruptions) {
    const into = cause.how === "eviction" ? evictions : otherDisruptions;
    const who = showActor(cause.actor);
    if (into === otherDisruptions)
      otherEnds.push(`${new Date(at).toISOString()} ${pod} on ${node}: ${cause.how} by ${who}`);
    into[who] = (into[who] ?? 0) + 1;
  }
  const moves: Summary["moves"] = {};
  for (const slot of state.slots) {
    if (slot.moves.length === 0) continue;
    const legs = new Map<number, number>();
    for (const { leg } of slot.moves) legs.set(leg, (legs.get(leg) ?? 0) + 1);
    moves[slot.id] = { total: slot.moves.length, mostInOneLeg: Math.max(...legs.values()) };
  }
  return {
    evictions,
    refusedEvictions: Object.fromEntries(state.refusedEvictions),
    otherDisruptions,
    otherEnds,
    moves,
    budgets: Object.fromEntries(
      [...state.budgets.values()]
        .filter(({ stats }) => stats.minHealthy !== Infinity)
        .map(({ budget, stats: { maxUnavailable, minHealthy, breaches } }) => [
          keyOf(budget),
          { maxUnavailable, minHealthy, breaches },
        ]),
    ),
    productWrites: Object.fromEntries(state.productWrites),
    nodes: [...state.nodes.keys()].sort(),
    violations: state.violations.length,
    notes: [...state.notes],
  };
}

const list = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .map(([who, count]) => `${count} by ${who}`)
    .join(", ") || "none";

/** A few lines for a terminal. */
export function showSummary(summary: Summary): string[] {
  const moved = Object.values(summary.moves);
  const most = Math.max(0, ...moved.map((each) => each.mostInOneLeg));
  return [
    `broken promises:    ${summary.violations}`,
    `evictions:          ${list(summary.evictions)} (refused by a budget: ${list(summary.refusedEvictions)})`,
    `other disruptions:  ${list(summary.otherDisruptions)}`,
    ...summary.otherEnds.map((end) => `                    ${end}`),
    `places moved:       ${moved.length}, each at most ${most} time${most === 1 ? "" : "s"} in one direction`,
    ...Object.entries(summary.budgets).map(
      ([name, b]) =>
        `budget ${name}: at most ${b.maxUnavailable} unavailable at once, ${b.breaches === 0 ? "never" : `${b.breaches} times`} below what it wants`,
    ),
    ...summary.notes.map((note) => `note: ${note}`),
  ];
}
