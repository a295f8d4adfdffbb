import type { LabelSelector, Node, Pod } from "../cluster/types.ts";
import type { Picture } from "../picture.ts";
import { isFinished } from "../pods.ts";
import { matches } from "../selectors.ts";
import { type Counter, CounterIndex, DomainCounts } from "./counters.ts";
import { type AffinityState, affinityStateOf, Keepers } from "./pod-affinity.ts";
import { type PodQuery, queryOfTerm, selects, slotsOf } from "./pod-query.ts";
import { type PodView, type Room, roomOf, viewOf } from "./room.ts";
import {
  countedBy,
  type CountedNodes,
  type HardSpread,
  hardSpreadOf,
  SpreadCounts,
  type SpreadState,
  spreadStateOf,
} from "./spread.ts";
import type { Stop } from "./stop.ts";
import { attachableVolume, attachedBy, claimKey } from "./volumes.ts";

/**
 * Pods on nodes, as the scheduler sees them: what each node has left, and how many pods of which kind stand where. Everything that a
 * check needs is counted when it is first asked for and kept up to date from then on, so that a check looks at no other pod.
 */
export class Placement {
  readonly picture: Picture;
  readonly rooms: readonly Room[];
  private readonly byName: Map<string, Room>;
  private readonly places = new Map<PodView, Room>();
  private readonly views = new Map<Pod, PodView>();
  private readonly claimUsers = new Map<string, number>();
  private readonly byNamespace = new Map<string, Set<PodView>>();
  private readonly counters = new CounterIndex<Counter>();
  private readonly domainCounts = new Map<string, DomainCounts>();
  private readonly spreadCounts = new Map<string, SpreadCounts>();
  private readonly countedNodes = new Map<string, CountedNodes>();
  private readonly keepers = new Map<string, Keepers>();
  private readonly keeperIndex = new CounterIndex<Keepers>();
  private readonly namespaces = new Map<string, string[]>();
  /** Verdicts that only the pod's spec and the node decide, by the spec's parts and the node's index. */
  readonly atNode = new Map<string, (Stop | null | undefined)[]>();

  /** @param podsOn the pods of each node; finished ones take no room and are left out */
  constructor(nodes: readonly Node[], podsOn: (node: string) => readonly Pod[], picture: Picture) {
    this.picture = picture;
    this.rooms = nodes.map((node, index) => roomOf(node, index, picture.get("CSINode", node.metadata.name)));
    this.byName = new Map(this.rooms.map((room) => [room.name, room]));
    for (const room of this.rooms)
      for (const pod of podsOn(room.name)) if (!isFinished(pod)) this.add(this.view(pod), room);
  }

  room(node: string): Room | undefined {
    return this.byName.get(node);
  }

  roomOfPod(view: PodView): Room | undefined {
    return this.places.get(view);
  }

  /** The rules' view of a pod; the same object for the same pod. */
  view(pod: Pod): PodView {
    let view = this.views.get(pod);
    if (view === undefined) {
      const terms = pod.spec?.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
      const antiAffinity = terms.map((term) => ({
        query: queryOfTerm(pod, term, this.namespacesBy),
        topologyKey: term.topologyKey,
      }));
      view = viewOf(pod, antiAffinity);
      this.views.set(pod, view);
    }
    return view;
  }

  /** Puts a pod on a node, whether or not it fits. */
  add(view: PodView, room: Room): void {
    room.pods.add(view);
    this.places.set(view, room);
    put(this.byNamespace, view.namespace, view);
    if (this.labelIndex.size > 0)
      for (const [key, value] of Object.entries(view.labels)) {
        const index = this.labelIndex.get(`${view.namespace} ${key}`);
        if (index) put(index, value, view);
      }
    room.ports.push(...view.ports);
    this.count(view, room, 1);
  }

  /** Takes a pod off its node. */
  remove(view: PodView): void {
    const room = this.places.get(view);
    if (room === undefined) return;
    room.pods.delete(view);
    this.places.delete(view);
    this.byNamespace.get(view.namespace)?.delete(view);
    if (this.labelIndex.size > 0)
      for (const [key, value] of Object.entries(view.labels))
        this.labelIndex.get(`${view.namespace} ${key}`)?.get(value)?.delete(view);
    for (const port of view.ports) room.ports.splice(room.ports.indexOf(port), 1);
    this.count(view, room, -1);
  }

  private count(view: PodView, room: Room, by: 1 | -1): void {
    room.freePods -= by;
    for (const [name, amount] of view.requests) room.free.set(name, (room.free.get(name) ?? 0) - by * amount);
    for (const { persistentVolumeClaim: claim } of view.pod.spec?.volumes ?? []) {
      if (claim === undefined) continue;
      const key = claimKey(view.namespace, claim.claimName);
      this.claimUsers.set(key, (this.claimUsers.get(key) ?? 0) + by);
    }
    if (room.attached !== undefined) this.attach(room, view, by);
    for (const counter of this.counters.of(view)) counter.count(view, room, by);
    for (const { query, topologyKey } of view.antiAffinity)
      this.keeper(query, topologyKey).count(view, room, by);
  }

  /** Does a placed pod use this claim? */
  uses(claim: string): boolean {
    return (this.claimUsers.get(claim) ?? 0) > 0;
  }

  /** Volumes in use on a node, by driver and handle: those of its pods, and those that are attached without one. */
  attachedTo(room: Room): ReadonlyMap<string, ReadonlyMap<string, number>> {
    if (room.attached === undefined) {
      room.attached = new Map();
      for (const view of room.pods) this.attach(room, view, 1);
      for (const { attacher, volume } of this.attachments().get(room.name) ?? [])
        bump(room.attached, attacher, volume, 1);
    }
    return room.attached;
  }

  private attach(room: Room, view: PodView, by: 1 | -1): void {
    if (room.attached === undefined) return;
    for (const { driver, handle } of attachedBy(view.pod, this.picture))
      bump(room.attached, driver, handle, by);
  }

  private attachmentsByNode: Map<string, { attacher: string; volume: string }[]> | undefined;

  private attachments(): Map<string, { attacher: string; volume: string }[]> {
    if (this.attachmentsByNode === undefined) {
      this.attachmentsByNode = new Map();
      for (const { spec } of this.picture.all("VolumeAttachment")) {
        const name = spec.source.persistentVolumeName;
        const volume = name === undefined ? undefined : this.picture.get("PersistentVolume", name);
        const handle = volume && attachableVolume(volume)?.handle;
        if (handle === undefined) continue;
        const list = this.attachmentsByNode.get(spec.nodeName) ?? [];
        list.push({ attacher: spec.attacher, volume: handle });
        this.attachmentsByNode.set(spec.nodeName, list);
      }
    }
    return this.attachmentsByNode;
  }

  /** The state that a pod's affinity is judged by. Good until pods with new anti-affinity terms are placed. */
  affinityOf(view: PodView): AffinityState {
    return affinityStateOf(view, this.namespacesBy, {
      countsFor: (queries, topologyKeys) => this.countsFor(queries, topologyKeys),
      // in a fixed order: the first that stops the pod is named
      keepersOf: (of) =>
        [...this.keeperIndex.of(of)].toSorted((a, b) => (a.topologyKey < b.topologyKey ? -1 : 1)),
    });
  }

  spreadOf(view: PodView): SpreadState[] {
    const constraints = hardSpreadOf(view.pod);
    const topologyKeys = constraints.map(({ topologyKey }) => topologyKey);
    return constraints.map((constraint) =>
      spreadStateOf(view, constraint, this.spreadFor(constraint, topologyKeys, view.pod)),
    );
  }

  private spreadFor(constraint: HardSpread, topologyKeys: readonly string[], pod: Pod): SpreadCounts {
    const { honorsAffinity, honorsTaints, query, topologyKey } = constraint;
    const { nodeSelector, affinity, tolerations } = pod.spec ?? {};
    const nodes = JSON.stringify([
      topologyKeys,
      honorsAffinity && [
        nodeSelector,
        affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution,
      ],
      honorsTaints && tolerations,
    ]);
    const key = `${query.key} ${topologyKey} ${nodes}`;
    let counts = this.spreadCounts.get(key);
    if (counts === undefined) {
      let counted = this.countedNodes.get(nodes);
      if (counted === undefined) {
        counted = countedBy(constraint, topologyKeys, pod, this.rooms);
        this.countedNodes.set(nodes, counted);
      }
      counts = new SpreadCounts(constraint, counted);
      this.follow(counts);
      this.spreadCounts.set(key, counts);
    }
    return counts;
  }

  private countsFor(queries: readonly PodQuery[], topologyKeys: readonly string[]): DomainCounts {
    const key = JSON.stringify([queries.map((query) => query.key), topologyKeys]);
    let counts = this.domainCounts.get(key);
    if (counts === undefined) {
      counts = new DomainCounts(queries, topologyKeys);
      this.follow(counts);
      this.domainCounts.set(key, counts);
    }
    return counts;
  }

  private keeper(query: PodQuery, topologyKey: string): Keepers {
    const key = `${query.key} ${topologyKey}`;
    let keeper = this.keepers.get(key);
    if (keeper === undefined) {
      keeper = new Keepers(query, topologyKey);
      this.keepers.set(key, keeper);
      this.keeperIndex.add(keeper);
    }
    return keeper;
  }

  /** Counts the pods that are there, and from now on those that come and go. */
  private follow(counter: Counter): void {
    const [first] = counter.queries;
    for (const view of first === undefined ? [] : this.candidatesOf(first)) {
      const room = this.places.get(view);
      if (room && counter.queries.every((query) => selects(query, view.namespace, view.labels)))
        counter.count(view, room, 1);
    }
    this.counters.add(counter);
  }

  /** At least the placed pods that a query selects. */
  private *candidatesOf(query: PodQuery): Iterable<PodView> {
    const slots = slotsOf(query);
    if (slots !== undefined) {
      for (const { namespace, key, value } of slots)
        for (const name of namespace === undefined ? this.byNamespace.keys() : [namespace])
          yield* this.byLabel(name, key).get(value) ?? [];
      return;
    }
    for (const name of query.namespaces ?? this.byNamespace.keys()) yield* this.byNamespace.get(name) ?? [];
  }

  private readonly labelIndex = new Map<string, Map<string, Set<PodView>>>();

  /** The placed pods of a namespace by a label's value. */
  private byLabel(namespace: string, key: string): Map<string, Set<PodView>> {
    const name = `${namespace} ${key}`;
    let index = this.labelIndex.get(name);
    if (index === undefined) {
      index = new Map();
      for (const view of this.byNamespace.get(namespace) ?? []) put(index, view.labels[key], view);
      this.labelIndex.set(name, index);
    }
    return index;
  }

  private readonly namespacesBy = (selector: LabelSelector): string[] => {
    const key = JSON.stringify(selector);
    let names = this.namespaces.get(key);
    if (names === undefined) {
      names = this.picture
        .all("Namespace")
        .filter(({ metadata }) => matches(selector, metadata.labels))
        .map(({ metadata }) => metadata.name);
      this.namespaces.set(key, names);
    }
    return names;
  };
}

function put<T>(index: Map<string, Set<T>>, key: string | undefined, item: T): void {
  if (key === undefined) return;
  const there = index.get(key);
  if (there === undefined) index.set(key, new Set([item]));
  else there.add(item);
}

function bump(counts: Map<string, Map<string, number>>, driver: string, handle: string, by: number): void {
  const handles = counts.get(driver) ?? new Map<string, number>();
  counts.set(driver, handles);
  const count = (handles.get(handle) ?? 0) + by;
  if (count <= 0) handles.delete(handle);
  else handles.set(handle, count);
}
