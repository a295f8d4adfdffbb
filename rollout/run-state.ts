import { ApiError, type Cluster } from "./cluster/cluster.ts";
import type { NodeGroup } from "./cloud/cloud.ts";
import type { Pod } from "./cluster/types.ts";
import { runStateName, STATE_NAMESPACE } from "./names.ts";
import { workloadOf } from "./whole.ts";

/** What happened to one blue node. `in-hand`: evictions may have begun. `drained`: empty, proven. */
export interface NodeRecord {
  phase: "in-hand" | "drained";
  /** UIDs of the pods that this run set out to evict. */
  moved: string[];
  /**
   * UIDs of the controllers of those pods, until the node has passed its health window: on a resume their missing replicas are
   * our own doing, and a window that a kill cut off is begun again.
   */
  owners: string[];
}

/** A node group by the name that people know. */
export interface GroupName {
  kind: NodeGroup["kind"];
  name: string;
}

/** A health window that an operator did not want to wait for. */
export interface SkippedWindow {
  /** `node ip-10-0-0-4`, `the canary` */
  after: string;
  by: string;
  reason?: string;
  /** When, in UTC. */
  at: string;
}

/** A pool's run state (ConfigMap kube-system/patchguard-<pool>): what the next `up` resumes from. */
export interface RunRecord {
  /** Layout of this record. */
  version: 1;
  stack: string;
  /** The generation moved to. */
  generation: string;
  phase: "moving" | "held" | "rolled-back" | "paused" | "interrupted" | "succeeded";
  startedAt: string;
  finishedAt?: string;
  /** Why it did not succeed. */
  why?: string;
  nodes: Record<string, NodeRecord>;
  /** Replicas that a controller (by UID) lacked before anything was moved: not ours to wait for. */
  missingBefore: Record<string, number>;
  /**
   * Controllers (by UID) whose pods an earlier handover had in hand when it ended, with what they had lacked before it. What they lack
   * beyond that is our doing: no pod of theirs that is Ready goes, where no budget guards them, until they have it back.
   */
  owed?: Record<string, number>;
  /**
   * Generations that earlier handovers of the pool have moved pods to and not succeeded, since the last that did: their images may be bad,
   * and what is measured of pods there is no baseline.
   */
  failed?: string[];
  /**
   * Names of the pods that were set out to be evicted, by their controller's UID: so many of its pods on green stand in for them, and may
   * go back (rollout.rollback.workloads: return; not kept otherwise).
   */
  homes?: Record<string, string[]>;
  /** One pod of each workload has moved and passed its health window (rollout.drain.canary). */
  canary?: "passed";
  /** Health windows that an operator ended: they count as passed, though nothing was proven. */
  skipped?: SkippedWindow[];
  /**
   * Groups that PatchGuard did not create and that it closes: they carry no pool's tags, and one that has lost its last node would not
   * be found again. Stays when the next handover begins, since they stay closed.
   */
  groups?: GroupName[];
}

/** The run state, written before each act. One writer at a time: the holder of the Lease. */
export class RunState {
  record: RunRecord;
  private readonly cluster: Cluster;
  private readonly pool: string;
  private exists: boolean;

  private constructor(cluster: Cluster, pool: string, record: RunRecord, exists: boolean) {
    this.cluster = cluster;
    this.pool = pool;
    this.record = record;
    this.exists = exists;
  }

  /** Reads the pool's record. One of another generation, or of a finished run, is replaced when the first act is recorded. */
  static async load(cluster: Cluster, pool: string, fresh: RunRecord): Promise<RunState> {
    const old = await readRecord(cluster, pool);
    const owed = owedBy(old, fresh.generation);
    const next = goesOn(old, fresh.generation)
      ? { ...old, stack: fresh.stack }
      : { ...fresh, ...(owed && { owed }), ...failedBefore(old, fresh.generation) };
    const record = old?.groups === undefined ? next : { ...next, groups: old.groups };
    return new RunState(cluster, pool, record, old !== undefined);
  }

  async save(change: Partial<RunRecord> = {}): Promise<void> {
    this.record = { ...this.record, ...change };
    const data = { record: JSON.stringify(this.record) };
    const name = runStateName(this.pool);
    if (!this.exists) {
      try {
        await this.cluster.create("ConfigMap", { metadata: { name, namespace: STATE_NAMESPACE }, data });
        this.exists = true;
        return;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 409) throw error;
        this.exists = true;
      }
    }
    await this.cluster.patch("ConfigMap", name, STATE_NAMESPACE, { data });
  }

  async saveNode(node: string, record: NodeRecord): Promise<void> {
    await this.saveNodes({ [node]: record });
  }

  /** @param more to be written together with it */
  async saveNodes(records: Record<string, NodeRecord>, more: Partial<RunRecord> = {}): Promise<void> {
    await this.save({ nodes: { ...this.record.nodes, ...records }, ...more });
  }
}

/** The record's homes, with these pods that are about to be evicted. */
export function homesOf(record: RunRecord, pods: Iterable<Pod>): NonNullable<RunRecord["homes"]> {
  const homes = { ...record.homes };
  for (const pod of pods) {
    const uid = workloadOf(pod)?.uid;
    if (uid === undefined) continue;
    homes[uid] = [...new Set([...(homes[uid] ?? []), pod.metadata.name])];
  }
  return homes;
}

/** Does a handover to this generation take up the record? */
const goesOn = (old: RunRecord | undefined, generation: string): old is RunRecord =>
  old?.generation === generation && old.phase !== "succeeded" && old.phase !== "rolled-back";

/** See RunRecord.failed. */
export function failedBefore(old: RunRecord | undefined, generation: string): Pick<RunRecord, "failed"> {
  if (old === undefined || old.phase === "succeeded") return {};
  const own = Object.keys(old.nodes).length > 0 ? [old.generation] : [];
  const failed = [...new Set([...(old.failed ?? []), ...own])].filter((it) => it !== generation);
  return failed.length > 0 ? { failed } : {};
}

/** What a handover that did not succeed leaves to the next one, which goes to this generation. */
export function owedBy(old: RunRecord | undefined, generation: string): RunRecord["owed"] {
  if (old === undefined || old.phase === "succeeded") return undefined;
  return goesOn(old, generation) ? old.owed : lackedBefore(old);
}

/** What the workloads that this record's handover had in hand, and one before it left short, had lacked before. By UID. */
function lackedBefore({ nodes, missingBefore, owed = {} }: RunRecord): Record<string, number> {
  const owners = new Set(Object.values(nodes).flatMap((node) => node.owners));
  const lacked = [...owners].map((uid) => [uid, missingBefore[uid] ?? 0] as const);
  return { ...Object.fromEntries(lacked), ...owed };
}

/** @throws Error when the ConfigMap holds something else: a newer PatchGuard's record, or a hand's edit. */
export async function readRecord(cluster: Cluster, pool: string): Promise<RunRecord | undefined> {
  const name = runStateName(pool);
  const map = await cluster.get("ConfigMap", name, STATE_NAMESPACE);
  const text = map?.data?.["record"];
  if (text === undefined) return undefined;
  try {
    const record = JSON.parse(text) as RunRecord;
    if (record.version === 1) return record;
  } catch {
    // falls through to the one error for all that is not a record
  }
  throw new Error(
    `ConfigMap ${STATE_NAMESPACE}/${name} holds no run state that this version of PatchGuard reads. ` +
      `Look at its data.record; if no handover is under way, delete it and run again.`,
  );
}
