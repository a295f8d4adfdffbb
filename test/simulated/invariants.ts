import type { Pod } from "../../rollout/cluster/types.ts";
import { Replay } from "./replay.ts";
import type { Change } from "./store.ts";
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
}

/** A pod of a StatefulSet that we took away: open until its successor is Ready and its volumes are handed over. */
interface Open {
  name: string;
  uid: string;
  node: string | undefined;
  volumes: string[];
}

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
  /** Replacements to come, by controller; and UIDs of those that came. */
  const owed = new Map<string, number>();
  const replacements = new Set<string>();
  let firstMove: number | undefined;
  const broken = (at: number, text: string): void => void violations.push(`${world.clock.stamp(at)} ${text}`);

  const disrupted = (change: Change<"Pod">, pod: Pod): void => {
    const { at, by } = change;
    const name = `${pod.metadata.namespace ?? ""}/${pod.metadata.name}`;
    const owner = ownerOf(pod);
    firstMove ??= at;
    const again = replacements.has(pod.metadata.uid);
    moves.push({ at, by, pod: name, uid: pod.metadata.uid, node: pod.spec?.nodeName, again });
    if (again && !options.mayMoveTwice)
      broken(at, `${by} moved ${name} twice: it was the replacement of a pod moved before`);
    const died = clients.get(by)?.diedAt;
    if (died !== undefined && at > died) broken(at, `${by} evicted ${name} after its crash`);
    if (owner?.kind === "DaemonSet") broken(at, `${by} evicted ${name}, a pod of DaemonSet ${owner.name}`);
    for (const text of budgetsBroken(replay, pod)) broken(at, `${by} evicted ${name}: ${text}`);
    if (owner?.kind === "StatefulSet") {
      const still = (open.get(owner.uid) ?? []).flatMap((it) => notWhole(replay, owner.uid, it) ?? []);
      for (const why of still)
        broken(at, `${by} disrupted ${name} of StatefulSet ${owner.name} while ${why}`);
      const volumes = replay.volumesOf(pod);
      open.set(owner.uid, [
        { name: pod.metadata.name, uid: pod.metadata.uid, node: pod.spec?.nodeName, volumes },
      ]);
    }
    if (owner) owed.set(owner.uid, (owed.get(owner.uid) ?? 0) + 1);
  };

  for (const it of world.happenings) {
    if (it.what === "turn") {
      owed.clear();
      replacements.clear();
    }
    if (it.what !== "change") continue;
    const { change } = it;
    const { kind, type, by, at, object } = change;
    if (clients.has(by)) {
      if (!OURS_TO_WRITE.has(kind) || (kind === "Node" && type !== "MODIFIED"))
        broken(at, `${by} wrote ${type} ${kind} ${object.metadata.name}`);
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
    } else if (kind === "Pod" && type === "ADDED") {
      const owner = ownerOf(object as Pod)?.uid ?? "";
      const due = owed.get(owner) ?? 0;
      if (due > 0) {
        owed.set(owner, due - 1);
        replacements.add(object.metadata.uid);
      }
    }
    replay.apply(change);
  }
  if (options.pinnedImage !== undefined && firstMove !== undefined) {
    for (const { at, what, group, image } of world.cloud.changes) {
      if (at > firstMove && image !== undefined && image !== options.pinnedImage)
        broken(at, `group ${group} ${what} with image ${image}`);
    }
  }
  return { violations, moves };
}

/** The moment at which a pod begins to go: marked for deletion, or gone without ever having been. */
const begins = ({ type, object, old }: Change<"Pod">): boolean =>
  old !== undefined &&
  old.metadata.deletionTimestamp === undefined &&
  (type === "DELETED" || object.metadata.deletionTimestamp !== undefined);

/** Budgets that a disruption of this pod breaks, counted afresh from the pods as they were. */
function budgetsBroken(replay: Replay, pod: Pod): string[] {
  if (!isServing(pod)) return []; // it served nobody: nothing is lost
  return replay.budgetsOf(pod).flatMap((budget) => {
    const needs = budget.status?.desiredHealthy ?? 0;
    const left = replay.healthyOf(budget) - 1;
    return left < needs
      ? [`budget ${budget.metadata.name} needs ${needs} healthy pods, ${left} were left`]
      : [];
  });
}

/** Why a pod that we took away is not back yet; undefined when it is. */
function notWhole(replay: Replay, owner: string, { name, uid, node, volumes }: Open): string | undefined {
  const successor = replay.podOf(owner, name);
  if (successor === undefined) return `${name}, which it took away, is not back`;
  if (successor.metadata.uid === uid) return `${name}, which it took away, is still going`;
  if (!isServing(successor)) return `${name}, which it took away, is not Ready again`;
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
