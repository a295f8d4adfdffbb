import type { Counter, DomainCounts } from "./counters.ts";
import { type PodQuery, queryOfTerm, type NamespacesBy, selects } from "./pod-query.ts";
import type { PodView, Room } from "./room.ts";
import type { Stop } from "./stop.ts";

/** Pods on nodes that keep others away: one term, and how many pods with that term stand in each of its domains. */
export class Keepers implements Counter {
  readonly queries: readonly PodQuery[];
  readonly topologyKey: string;
  private readonly counts = new Map<string, number>();

  constructor(query: PodQuery, topologyKey: string) {
    this.queries = [query];
    this.topologyKey = topologyKey;
  }
  /** @param view a pod that has the term (not one that the term is about) */
  count(_: PodView, { labels }: Room, by: 1 | -1): void {
    const value = labels[this.topologyKey];
    if (value !== undefined) this.counts.set(value, (this.counts.get(value) ?? 0) + by);
  }
  in({ labels }: Room): boolean {
    const value = labels[this.topologyKey];
    return value !== undefined && (this.counts.get(value) ?? 0) > 0;
  }
}

/** A pod's required affinity and anti-affinity, with the counts that they are judged by. */
export interface AffinityState {
  affinity: { topologyKeys: readonly string[]; counts: DomainCounts; matchesItself: boolean } | undefined;
  antiAffinity: readonly { topologyKey: string; counts: DomainCounts }[];
  keepers: readonly Keepers[];
}

export interface AffinityCounts {
  countsFor(queries: readonly PodQuery[], topologyKeys: readonly string[]): DomainCounts;
  keepersOf(view: PodView): Keepers[];
}

export function affinityStateOf(
  view: PodView,
  namespacesBy: NamespacesBy,
  counts: AffinityCounts,
): AffinityState {
  const terms = view.pod.spec?.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const queries = terms.map((term) => queryOfTerm(view.pod, term, namespacesBy));
  const topologyKeys = [...new Set(terms.map(({ topologyKey }) => topologyKey))];
  return {
    affinity:
      terms.length === 0
        ? undefined
        : {
            topologyKeys,
            counts: counts.countsFor(queries, topologyKeys),
            matchesItself: queries.every((query) => selects(query, view.namespace, view.labels)),
          },
    antiAffinity: view.antiAffinity.map(({ query, topologyKey }) => ({
      topologyKey,
      counts: counts.countsFor([query], [topologyKey]),
    })),
    keepers: counts.keepersOf(view),
  };
}

/**
 * Both directions of required pod (anti-)affinity
 * (https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity). A pod must find, in
 * each of its domains, pods that match all of its terms at once; the first of a group that matches only itself may go anywhere.
 */
export function stopByAffinity(state: AffinityState, room: Room): Stop | undefined {
  const { affinity, antiAffinity, keepers } = state;
  if (affinity !== undefined) {
    for (const key of affinity.topologyKeys)
      if (room.labels[key] === undefined) return { rule: "pod-affinity", what: `without the label ${key}` };
    const found = affinity.topologyKeys.every((key) => affinity.counts.in(key, room.labels[key] ?? "") > 0);
    if (!found && !(affinity.counts.none && affinity.matchesItself)) {
      return {
        rule: "pod-affinity",
        what: `without the pods that its affinity asks for in the same ${affinity.topologyKeys.join(", ")}`,
      };
    }
  }
  for (const { topologyKey, counts } of antiAffinity) {
    const value = room.labels[topologyKey];
    if (value !== undefined && counts.in(topologyKey, value) > 0) {
      return {
        rule: "pod-anti-affinity",
        what: `with pods that its anti-affinity keeps it from in the same ${topologyKey}`,
      };
    }
  }
  for (const keeper of keepers) {
    if (keeper.in(room)) {
      return {
        rule: "pod-anti-affinity",
        what: `with pods whose anti-affinity keeps it from the same ${keeper.topologyKey}`,
      };
    }
  }
  return undefined;
}
