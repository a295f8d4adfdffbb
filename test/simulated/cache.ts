import type { Selection, WatchCache } from "../../rollout/cluster/cluster.ts";
import type { Kind, Kinds } from "../../rollout/cluster/types.ts";
import type { Random } from "./random.ts";
import { selects } from "./select.ts";
import { type Change, keyOf, type Store } from "./store.ts";

/** Milliseconds from a change in the store to its arrival at a watcher. */
export interface WatchDelay {
  low: number;
  high: number;
}

/** A watch cache of a simulated client: sees every change of its selection in order, each a little late, nothing once closed. */
export class SimulatedCache<K extends Kind> implements WatchCache<Kinds[K]> {
  private readonly copy = new Map<string, Kinds[K]>();
  private readonly listeners = new Set<() => void>();
  private readonly queue: Change[] = [];
  private readonly store: Store;
  private readonly alive: () => boolean;
  private list: Kinds[K][] | undefined;
  private lastArrival = 0;
  private stalledUntil = 0;
  private heardAt: number;
  private closed = false;
  private readonly unsubscribe: () => void;

  constructor(
    store: Store,
    kind: K,
    selection: Selection,
    delay: WatchDelay,
    random: Random,
    alive: () => boolean,
  ) {
    this.store = store;
    this.alive = alive;
    this.heardAt = store.clock.now();
    for (const object of store.list(kind, selection))
      this.copy.set(keyOf(object.metadata.name, object.metadata.namespace), object);
    this.unsubscribe = store.onChange((change) => {
      if (change.kind !== kind) return;
      const relevant =
        selects(kind, selection, change.object) ||
        (change.old !== undefined && selects(kind, selection, change.old));
      if (!relevant) return;
      // leaving the selection looks like a deletion to its watchers
      const type =
        change.type !== "DELETED" && !selects(kind, selection, change.object) ? "DELETED" : change.type;
      this.queue.push({ ...change, type });
      this.schedule(random.between(delay.low, delay.high));
    });
  }

  items(): readonly Kinds[K][] {
    return (this.list ??= [...this.copy.values()]);
  }

  get(name: string, namespace?: string): Kinds[K] | undefined {
    return this.copy.get(keyOf(name, namespace));
  }

  onChange(callback: () => void): () => void {
    this.listeners.add(callback);
    return () => void this.listeners.delete(callback);
  }

  /** A live watch is heard from all the time (changes and bookmarks); a stalled one stands still. */
  syncedAt(): number {
    const now = this.store.clock.now();
    if (now >= this.stalledUntil) this.heardAt = now;
    return this.heardAt;
  }

  close(): void {
    this.closed = true;
    this.unsubscribe();
    this.listeners.clear();
  }

  /** Fault: nothing arrives for a while; then all of it does. */
  stall(milliseconds: number): void {
    this.syncedAt();
    this.stalledUntil = this.store.clock.now() + milliseconds;
  }

  private schedule(delay: number): void {
    const now = this.store.clock.now();
    const arrival = Math.max(now + delay, this.lastArrival, this.stalledUntil);
    this.lastArrival = arrival;
    this.store.clock.after(arrival - now, "watch", () => this.deliver());
  }

  private deliver(): void {
    const change = this.queue.shift();
    if (change === undefined || this.closed || !this.alive()) return;
    const { object } = change;
    const key = keyOf(object.metadata.name, object.metadata.namespace);
    if (change.type === "DELETED") this.copy.delete(key);
    else this.copy.set(key, object as Kinds[K]);
    this.list = undefined;
    for (const listener of [...this.listeners]) listener();
  }
}
