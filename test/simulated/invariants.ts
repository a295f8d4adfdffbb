import type { Lease, Pod } from "../../rollout/cluster/types.ts";
import { Homes } from "./homes.ts";
import { Replay } from "./replay.ts";
import type { Change } from "./store.ts";
import { Unguarded } from "./unguarded.ts";
import { isServing, ownerOf } from "./workloads.ts";
import type { World } from "./world.ts";

/** A pod that PatchGuard disrupted. */
export interface Move {
  at: number;
  by: string;
  /** `namespace/name` */
  pod: string;
  uid: string;
  node: string | undefined;
  /** It stood in for a pod that had been moved before, in the same direction. */
  again: boolean;
}

export interface Judgement {
  /** Broken promises, in the order in which they were broken. Empty: all were kept. */
  violations: string[];
  /** Every disruption by PatchGuard. */
  moves: Move[];
}

export interface JudgeOptions {
  /** Moving a pod twice is not a violation (green had no room). */
  mayMoveTwice?: boolean;
  /** Image that alone may be launched after the first eviction. */
  pinnedImage?: string;
  /** When each client's pre-flight passed; undefined: never. Before that it may touch no node and no pod. */
  passedAt?: ReadonlyMap<string, number | undefined>;
  /** Seconds that each client gives evicted pods to land before it reopens blue. */
  landing?: ReadonlyMap<string, number>;
  /** The stack of all clients: what they evict, they evict with the Lease in its name. */
  stack?: string;
}

/** A pod of a StatefulSet that we took away: open until its successor is Ready and its volumes are handed over. */
interface Open {
  name: string;
  uid: string;
  node: string | undefined;
  volumes: string[];
}

/** What an eviction takes to arrive. */
const TRAVEL_MS = 250;

/** The longest time between two renewals, and what a call takes. */
const MISSED_AFTER_MS = 5500;

/** By then the disruption controller has counted what has gone. */
const COUNTED_AFTER_MS = 1000;

/** What PatchGuard may write: never a workload, a budget's spec or a volume. */
const OURS_TO_WRITE = new Set(["Node", "Pod", "PodDisruptionBudget", "ConfigMap", "Lease", "Event"]);

/**
 * The promises of the design, checked on the record of the world, not on what the code says of itself.
 * `world.turn()` marks a change of direction (rollback, revert): pods may go back.
 */
export function judge(world: World, options: JudgeOptions = {}): Judgement {
  const clients = new Map(world.sessions.map((session) => [session.name, session]));
  const replay = new Replay();
  const violations: string[] = [];
  const moves: Move[] = [];
  const open = new Map<string, Open[]>();
  const unguarded = new Unguarded(replay);
  const homes = new Homes(new Set(clients.keys()), options.landing);
  /** When each holder of the Lease was last seen to hold it. */
  const heldAt = new Map<string, number>();
  /** What the Eviction API let go. */
  const granted = new Set(
    world.happenings.flatMap((it) =>
      it.what === "eviction" && it.eviction.status.code === 201 && !it.eviction.dryRun
        ? [it.eviction.pod.uid]
        : [],
    ),
  );
  /** Serving pods that others took away, of late: the disruption controller counts them a moment later. */
  const losses: { at: number; pod: Pod }[] = [];
  let firstMove: number | undefined;
  const broken = (at: number, text: string): void => void violations.push(`${world.clock.stamp(at)} ${text}`);

  const disrupted = (change: Change<"Pod">, pod: Pod): void => {
    const { at, by } = change;
    const name = `${pod.metadata.namespace ?? ""}/${pod.metadata.name}`;
    const owner = ownerOf(pod);
    firstMove ??= at;
    const again = homes.isReplacement(pod);
    moves.push({ at, by, pod: name, uid: pod.metadata.uid, node: pod.spec?.nodeName, again });
    if (again && !options.mayMoveTwice && !homes.isExcused(pod))
      broken(at, `${by} moved ${name} twice: it was the replacement of a pod moved before`);
    if (options.stack !== undefined) {
      const why = withoutLease(
        replay.get("Lease", "patchguard", "kube-system"),
        `${options.stack}/${by}`,
        at,
        heldAt,
      );
      if (why !== undefined) broken(at, `${by} evicted ${name}, and ${why}`);
    }
    const died = clients.get(by)?.diedAt;
    if (died !== undefined && at > died) broken(at, `${by} evicted ${name} after its crash`);
    if (owner?.kind === "DaemonSet") broken(at, `${by} evicted ${name}, a pod of DaemonSet ${owner.name}`);
    const counted = losses.filter((loss) => at - loss.at > COUNTED_AFTER_MS).length;
    losses.splice(0, counted);
    const overtaken = granted.has(pod.metadata.uid) ? losses.map((loss) => loss.pod) : [];
    for (const text of budgetsBroken(replay, pod, overtaken)) broken(at, `${by} evicted ${name}: ${text}`);
    const why = unguarded.disrupted(change, pod);
    if (why !== undefined) broken(at, `${by} evicted ${name}: ${why}`);
    if (owner?.kind === "StatefulSet") {
      const still = (open.get(owner.uid) ?? []).flatMap((it) => notWhole(replay, owner.uid, it, at) ?? []);
      for (const why of still)
        broken(at, `${by} disrupted ${name} of StatefulSet ${owner.name} while ${why}`);
      const volumes = replay.volumesOf(pod);
      open.set(owner.uid, [
        { name: pod.metadata.name, uid: pod.metadata.uid, node: pod.spec?.nodeName, volumes },
      ]);
    }
    homes.evicted(pod, at);
  };

  for (const it of world.happenings) {
    if (it.what === "turn") homes.turn();
    if (it.what !== "change") continue;
    const { change } = it;
    const { kind, type, by, at, object } = change;
    if (clients.has(by)) {
      if (!OURS_TO_WRITE.has(kind) || (kind === "Node" && type !== "MODIFIED"))
        broken(at, `${by} wrote ${type} ${kind} ${object.metadata.name}`);
      if (kind === "Pod" || (kind === "Node" && marks(change as Change<"Node">))) {
        const passed = options.passedAt?.get(by);
        if (options.passedAt !== undefined && (passed === undefined || at < passed))
          broken(at, `${by} changed ${kind} ${object.metadata.name} before its pre-flight had passed`);
      }
      if (kind === "Pod" && begins(change as Change<"Pod">)) {
        const pod = change.old as Pod;
        disrupted(
          change as Change<"Pod">,
          replay.get("Pod", pod.metadata.name, pod.metadata.namespace) ?? pod,
        );
        const { deletionGracePeriodSeconds: given } = object.metadata;
        if (given !== undefined && given < (pod.spec?.terminationGracePeriodSeconds ?? 30))
          broken(at, `${by} shortened the grace period of ${pod.metadata.name}`);
      }
    } else if (kind === "Pod" && change.old !== undefined) {
      const old = change.old as Pod;
      if (isServing(old) && (type === "DELETED" || !isServing(object as Pod))) {
        losses.push({ at, pod: old });
        unguarded.lost(old);
        letGo(replay, open, old, at);
      }
    }
    if (kind === "PodDisruptionBudget" && (type === "DELETED" || type === "ADDED"))
      unguarded.budgetChanged(at);
    if (kind === "Lease") heldAt.set((change.old as Lease | undefined)?.spec?.holderIdentity ?? "", at);
    homes.see(change);
    replay.apply(change);
  }
  if (options.pinnedImage !== undefined && firstMove !== undefined) {
    const thawed = new Set<string>(); // groups of a blue that serves again
    for (const { at, by, what, group, image } of world.cloud.changes) {
      if (clients.has(by) && what.startsWith("suspend")) thawed.delete(group);
      if (clients.has(by) && what.startsWith("resume")) thawed.add(group);
      if (at > firstMove && image !== undefined && image !== options.pinnedImage && !thawed.has(group))
        broken(at, `group ${group} ${what} with image ${image}`);
    }
  }
  return { violations, moves };
}

/** What an eviction lacked that was asked for in the Lease's name; undefined: nothing. A Lease that is taken is missed at the next renewal. */
function withoutLease(
  lease: Lease | undefined,
  me: string,
  at: number,
  heldAt: ReadonlyMap<string, number>,
): string | undefined {
  const { holderIdentity: holder = "nobody", renewTime = "", leaseDurationSeconds = 0 } = lease?.spec ?? {};
  if (holder !== me)
    return at - (heldAt.get(me) ?? -Infinity) <= MISSED_AFTER_MS ? undefined : `${holder} held the Lease`;
  const age = at - Date.parse(renewTime);
  return age <= leaseDurationSeconds * 1000 + TRAVEL_MS
    ? undefined
    : `the Lease had not been renewed for ${age / 1000} s`;
}

/** It sets something on a node: reopening what an earlier run has closed is no such thing. */
const marks = ({ object, old }: Change<"Node">): boolean =>
  (object.spec?.unschedulable === true && old?.spec?.unschedulable !== true) ||
  (object.spec?.taints ?? []).length > (old?.spec?.taints ?? []).length;

/** The moment at which a pod begins to go: marked for deletion, or gone without ever having been. */
const begins = ({ type, object, old }: Change<"Pod">): boolean =>
  old !== undefined &&
  old.metadata.deletionTimestamp === undefined &&
  (type === "DELETED" || object.metadata.deletionTimestamp !== undefined);

/** A pod that we took away is back, whole, and now somebody else takes away the one that stands for it: that is not ours. */
function letGo(replay: Replay, open: Map<string, Open[]>, pod: Pod, at: number): void {
  const owner = ownerOf(pod)?.uid ?? "";
  const still = (open.get(owner) ?? []).filter(
    (it) => it.name !== pod.metadata.name || notWhole(replay, owner, it, at) !== undefined,
  );
  if (open.has(owner)) open.set(owner, still);
}

/**
 * Budgets that a disruption of this pod breaks, counted afresh from the pods as they were.
 * @param overtaken pods that went by somebody else's hand a moment before, when the API server let this one go
 */
function budgetsBroken(replay: Replay, pod: Pod, overtaken: readonly Pod[]): string[] {
  if (!isServing(pod)) return []; // it served nobody: nothing is lost
  return replay.budgetsOf(pod).flatMap((budget) => {
    const needs = budget.status?.desiredHealthy ?? 0;
    const notCounted = overtaken.filter((it) => replay.budgetsOf(it).includes(budget)).length;
    const left = replay.healthyOf(budget) + notCounted - 1;
    return left < needs
      ? [`budget ${budget.metadata.name} needs ${needs} healthy pods, ${left} were left`]
      : [];
  });
}

/** Why a pod that we took away is not back yet; undefined when it is. */
function notWhole(
  replay: Replay,
  owner: string,
  { name, uid, node, volumes }: Open,
  at: number,
): string | undefined {
  const set = replay.all("StatefulSet").find(({ metadata }) => metadata.uid === owner);
  const end = (set?.spec?.ordinals?.start ?? 0) + (set?.spec?.replicas ?? 1);
  if (Number(name.slice(name.lastIndexOf("-") + 1)) >= end) return undefined; // the set has shrunk: it does not come back
  const successor = replay.podOf(owner, name);
  if (successor === undefined) return `${name}, which it took away, is not back`;
  if (successor.metadata.uid === uid) return `${name}, which it took away, is still going`;
  if (!isServing(successor)) return `${name}, which it took away, is not Ready again`;
  const { minReadySeconds = 0 } = set?.spec ?? {};
  const { lastTransitionTime = "" } =
    successor.status?.conditions?.find(({ type }) => type === "Ready") ?? {};
  if (at - Date.parse(lastTransitionTime) < minReadySeconds * 1000)
    return `${name}, which it took away, has not been Ready for ${minReadySeconds} s`;
  for (const volume of volumes) {
    const attachments = replay.attachments(volume);
    if (attachments.some(({ spec }) => spec.nodeName === node && node !== successor.spec?.nodeName))
      return `volume ${volume} of ${name} is still attached to ${node ?? "?"}`;
    if (
      !attachments.some(
        ({ spec, status }) => spec.nodeName === successor.spec?.nodeName && status?.attached === true,
      )
    )
      return `volume ${volume} of ${name} is not attached yet`;
  }
  return undefined;
}
