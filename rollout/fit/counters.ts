import { type PodQuery, selects, slotName, slotNamesOfPod, slotsOf } from "./pod-query.ts";
import type { PodView, Room } from "./room.ts";

/** Something that is kept up to date while pods are placed and taken away. */
export interface Counter {
  /** All of them must select a pod for it to count. */
  readonly queries: readonly PodQuery[];
  count(view: PodView, room: Room, by: 1 | -1): void;
}

/** The counters that a pod concerns, without comparing it with all. */
export class CounterIndex<C extends Counter> {
  private readonly bySlot = new Map<string, C[]>();
  private readonly others: C[] = [];

  add(counter: C): void {
    const [first] = counter.queries;
    const slots = first === undefined ? [] : slotsOf(first);
    if (slots === undefined) this.others.push(counter);
    for (const slot of slots ?? []) {
      const name = slotName(slot);
      const there = this.bySlot.get(name);
      if (there === undefined) this.bySlot.set(name, [counter]);
      else there.push(counter);
    }
  }

  *of({ namespace, labels }: Pick<PodView, "namespace" | "labels">): Iterable<C> {
    const all = (counter: C): boolean => counter.queries.every((query) => selects(query, namespace, labels));
    for (const counter of this.others) if (all(counter)) yield counter;
    if (this.bySlot.size === 0) return;
    for (const slot of slotNamesOfPod(namespace, labels)) {
      for (const counter of this.bySlot.get(slot) ?? []) if (all(counter)) yield counter;
    }
  }
}

/** How many of the pods stand in each domain (value) of each topology key. */
export class DomainCounts implements Counter {
  readonly queries: readonly PodQuery[];
  private readonly topologyKeys: readonly string[];
  private readonly counts = new Map<string, Map<string, number>>();
  private pairs = 0;

  constructor(queries: readonly PodQuery[], topologyKeys: readonly string[]) {
    this.queries = queries;
    this.topologyKeys = topologyKeys;
    for (const key of topologyKeys) this.counts.set(key, new Map());
  }
  count(_: PodView, { labels }: Room, by: 1 | -1): void {
    for (const key of this.topologyKeys) {
      const value = labels[key];
      const counts = this.counts.get(key);
      if (value === undefined || counts === undefined) continue;
      counts.set(value, (counts.get(value) ?? 0) + by);
      this.pairs += by;
    }
  }
  in(topologyKey: string, value: string): number {
    return this.counts.get(topologyKey)?.get(value) ?? 0;
  }
  /** No such pod in any domain. */
  get none(): boolean {
    return this.pairs === 0;
  }
}
