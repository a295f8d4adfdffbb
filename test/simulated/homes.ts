import type { Node, Pod } from "../../rollout/cluster/types.ts";
import type { Change } from "./store.ts";
import { ownerOf } from "./workloads.ts";

const TAINT = "patchguard.dev/handover";
/** A scheduler's decision is bound a moment later, whatever has become of the node's taints meanwhile. */
const BIND_MS = 1000;
/** A node that has just joined is open until somebody has seen it. */
const JOIN_MS = 5000;

/** A pod that stands in for one that was moved. */
interface Replacement {
  /** When that one was evicted. */
  since: number;
  /** Why it may have gone to a node that it has to leave again; undefined: it may not, or it has not. */
  excuse: string | undefined;
}

/**
 * Where the replacements of moved pods land, and whether they could help it. One that lands on a node of the old generation has to be
 * moved a second time: rightly only when blue was relaxed because green had no room, when it was reopened after a hold or a rollback,
 * or when the node had only just joined.
 */
export class Homes {
  private readonly clients: ReadonlySet<string>;
  private readonly landing: ReadonlyMap<string, number> | undefined;
  /** Evictions without a replacement yet, oldest first, by place. */
  private readonly owed = new Map<string, number[]>();
  /** The same for pods that others took away: their replacements are not ours. */
  private readonly owedByOthers = new Map<string, number>();
  private readonly replacements = new Map<string, Replacement>();
  private readonly joinedAt = new Map<string, number>();
  /** When a node last took pods that green had no room for. */
  private readonly relaxedAt = new Map<string, number>();
  /** Reopenings by our clients. */
  private readonly reopened: { at: number; by: string }[] = [];

  constructor(clients: ReadonlySet<string>, landing: ReadonlyMap<string, number> | undefined) {
    this.clients = clients;
    this.landing = landing;
  }

  turn(): void {
    this.owed.clear();
    this.replacements.clear();
  }

  evicted(pod: Pod, at: number): void {
    const place = placeOf(pod);
    this.owed.set(place, [...(this.owed.get(place) ?? []), at]);
  }

  isReplacement = (pod: Pod): boolean => this.replacements.has(pod.metadata.uid);
  isExcused = (pod: Pod): boolean => this.replacements.get(pod.metadata.uid)?.excuse !== undefined;

  /** Called for each change, in order, our own among them. */
  see({ at, by, kind, type, object, old }: Change): void {
    if (kind === "Node") this.seeNode(at, by, type, object as Node, old as Node | undefined);
    if (kind !== "Pod") return;
    const pod = object as Pod;
    const before = old as Pod | undefined;
    const place = placeOf(pod);
    if (type === "ADDED") this.seeNew(place, pod);
    else if (type === "MODIFIED" && before?.spec?.nodeName === undefined && pod.spec?.nodeName !== undefined)
      this.seeBound(at, pod);
    const going =
      type === "DELETED" ? before : pod.metadata.deletionTimestamp === undefined ? undefined : pod;
    const scaledDown = by === "replicaset-controller"; // it wants fewer: nobody comes in its place
    const theirs = !this.clients.has(by) && !scaledDown;
    if (going !== undefined && before?.metadata.deletionTimestamp === undefined && theirs)
      this.owedByOthers.set(place, (this.owedByOthers.get(place) ?? 0) + 1);
  }

  private seeNew(place: string, pod: Pod): void {
    const others = this.owedByOthers.get(place) ?? 0;
    const [since, ...rest] = this.owed.get(place) ?? [];
    if (others > 0) return void this.owedByOthers.set(place, others - 1);
    if (since === undefined) return;
    this.owed.set(place, rest);
    this.replacements.set(pod.metadata.uid, { since, excuse: undefined });
  }

  private seeBound(at: number, pod: Pod): void {
    const replacement = this.replacements.get(pod.metadata.uid);
    const node = pod.spec?.nodeName ?? "";
    if (replacement === undefined) return;
    const { since } = replacement;
    const patient = this.reopened.find(
      ({ at: then, by }) =>
        then >= since && then <= at && then - since >= (this.landing?.get(by) ?? 0) * 1000,
    );
    if (at - (this.relaxedAt.get(node) ?? -Infinity) < BIND_MS) replacement.excuse = "green had no room";
    else if (at - (this.joinedAt.get(node) ?? -Infinity) < JOIN_MS)
      replacement.excuse = "the node had just joined";
    else if (patient !== undefined) replacement.excuse = `${patient.by} had reopened blue`;
  }

  private seeNode(at: number, by: string, type: Change["type"], node: Node, old: Node | undefined): void {
    const { name } = node.metadata;
    if (type === "ADDED") this.joinedAt.set(name, at);
    const [now, before] = [effectOf(node), effectOf(old)];
    if (before === "PreferNoSchedule") this.relaxedAt.set(name, at);
    if (now === "PreferNoSchedule") this.relaxedAt.set(name, Infinity);
    if (before !== undefined && now === undefined && this.clients.has(by)) this.reopened.push({ at, by });
  }
}

const effectOf = (node: Node | undefined): string | undefined =>
  node?.spec?.taints?.find(({ key }) => key === TAINT)?.effect;

/** What a replacement takes: a StatefulSet's pod its own ordinal, any other one place of its controller's. */
function placeOf(pod: Pod): string {
  const owner = ownerOf(pod);
  return owner?.kind === "StatefulSet" ? `${owner.uid}/${pod.metadata.name}` : (owner?.uid ?? "");
}
