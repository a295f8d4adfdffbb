import type { Pod, TopologySpreadConstraint } from "../cluster/types.ts";
import type { Counter } from "./counters.ts";
import { matchesSelectorAndAffinity, untolerated } from "./node-rules.ts";
import { isEmpty, type PodQuery, queryOf, selects, withLabelKeys } from "./pod-query.ts";
import type { PodView, Room } from "./room.ts";
import type { Stop } from "./stop.ts";

/** A hard constraint with defaults filled in (https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/). */
export interface HardSpread {
  maxSkew: number;
  minDomains: number;
  topologyKey: string;
  honorsAffinity: boolean;
  honorsTaints: boolean;
  query: PodQuery;
}

export const hardSpreadOf = (pod: Pod): HardSpread[] =>
  (pod.spec?.topologySpreadConstraints ?? [])
    .filter(({ whenUnsatisfiable }) => whenUnsatisfiable === "DoNotSchedule")
    .map((it) => ({
      maxSkew: it.maxSkew,
      minDomains: it.minDomains ?? 1,
      topologyKey: it.topologyKey,
      honorsAffinity: (it.nodeAffinityPolicy ?? "Honor") === "Honor",
      honorsTaints: it.nodeTaintsPolicy === "Honor",
      query: queryOf([pod.metadata.namespace ?? "default"], selectorOf(it, pod)),
    }));

const selectorOf = (
  { labelSelector, matchLabelKeys }: TopologySpreadConstraint,
  pod: Pod,
): TopologySpreadConstraint["labelSelector"] => withLabelKeys(labelSelector, matchLabelKeys, "In", pod);

/** Pods per domain over the nodes that a constraint counts, with the least of them at hand. */
export class SpreadCounts implements Counter {
  readonly queries: readonly PodQuery[];
  private readonly topologyKey: string;
  /** By a room's index. */
  private readonly counted: readonly boolean[];
  private readonly domains = new Map<string, number>();
  /** How many domains hold so many pods. */
  private readonly histogram = new Map<number, number>();
  private lowest = 0;
  /** An empty selector counts no pods (but does match the pod itself): so does the scheduler. */
  private readonly blind: boolean;

  constructor({ query, topologyKey }: HardSpread, { rooms, domains }: CountedNodes) {
    this.queries = [query];
    this.topologyKey = topologyKey;
    this.counted = rooms;
    this.blind = query.selector === undefined || isEmpty(query.selector);
    const values = domains.get(topologyKey) ?? new Set<string>();
    for (const value of values) this.domains.set(value, 0);
    if (values.size > 0) this.histogram.set(0, values.size);
  }
  count({ terminating }: PodView, room: Room, by: 1 | -1): void {
    const value = room.labels[this.topologyKey];
    if (terminating || this.blind || this.counted[room.index] !== true || value === undefined) return;
    const before = this.domains.get(value) ?? 0;
    const after = before + by;
    this.domains.set(value, after);
    this.histogram.set(before, (this.histogram.get(before) ?? 0) - 1);
    this.histogram.set(after, (this.histogram.get(after) ?? 0) + 1);
    if (after < this.lowest) this.lowest = after;
    while ((this.histogram.get(this.lowest) ?? 0) === 0) this.lowest += 1;
  }
  in(value: string): number {
    return this.domains.get(value) ?? 0;
  }
  get size(): number {
    return this.domains.size;
  }
  /** 0 where there is no domain. */
  get least(): number {
    return this.domains.size === 0 ? 0 : this.lowest;
  }
  /** Domains that hold the least, at most so many of them. */
  emptiest(most: number): string[] {
    const found: string[] = [];
    for (const [value, count] of this.domains) {
      if (count !== this.least) continue;
      found.push(value);
      if (found.length === most) break;
    }
    return found;
  }
}

/** The nodes that a constraint counts. */
export interface CountedNodes {
  /** By a room's index. */
  rooms: readonly boolean[];
  /** Values of each topology key over these nodes. */
  domains: ReadonlyMap<string, ReadonlySet<string>>;
}

/** A node without one of the topology keys of all constraints counts for none. */
export function countedBy(
  { honorsAffinity, honorsTaints }: HardSpread,
  topologyKeys: readonly string[],
  pod: Pod,
  rooms: readonly Room[],
): CountedNodes {
  const domains = new Map(topologyKeys.map((key) => [key, new Set<string>()]));
  const counted = rooms.map(({ node, labels }) => {
    const counts =
      topologyKeys.every((key) => labels[key] !== undefined) &&
      (!honorsAffinity || matchesSelectorAndAffinity(pod, node)) &&
      (!honorsTaints || untolerated(node.spec?.taints ?? [], pod.spec?.tolerations ?? []) === undefined);
    if (counts) for (const [key, values] of domains) values.add(labels[key] ?? "");
    return counts;
  });
  return { rooms: counted, domains };
}

export interface SpreadState {
  constraint: HardSpread;
  counts: SpreadCounts;
  matchesItself: boolean;
}

export const spreadStateOf = (view: PodView, constraint: HardSpread, counts: SpreadCounts): SpreadState => ({
  constraint,
  counts,
  matchesItself: selects(constraint.query, view.namespace, view.labels),
});

export function stopBySpread(states: readonly SpreadState[], room: Room): Stop | undefined {
  for (const { constraint, counts, matchesItself } of states) {
    const { topologyKey, maxSkew, minDomains } = constraint;
    const value = room.labels[topologyKey];
    if (value === undefined) return { rule: "spread", what: `without the label ${topologyKey}`, topologyKey };
    const least = counts.size < minDomains ? 0 : counts.least;
    if (counts.in(value) + (matchesItself ? 1 : 0) - least > maxSkew) {
      return {
        rule: "spread",
        what: `full by its topology spread over ${topologyKey} (maxSkew ${maxSkew})`,
        topologyKey,
      };
    }
  }
  return undefined;
}
