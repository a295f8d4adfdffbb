import type { Clock } from "./clock.ts";
import type { Cloud, NodeGroup } from "./cloud/cloud.ts";
import type { Cluster } from "./cluster/cluster.ts";
import { reopenPool } from "./close.ts";
import { Refused } from "./errors.ts";
import { handoverTaint, ownershipOf } from "./ownership.ts";
import { otherHolder } from "./lease.ts";
import { readRecord } from "./run-state.ts";
import { instanceId } from "./target.ts";

/**
 * Break-glass: takes PatchGuard's own marks off every node and group of the cluster, from what is recorded on them and in the pools' run
 * states, without Pulumi. Cordons and taints of others stay. Idempotent.
 * @param pools of the stack's config; others, no longer in the config, are found by the marks on their nodes and groups.
 * @throws Refused while a live run holds the Lease (its marks are in use); NotReopened naming what is still closed.
 */
export async function restore(
  { cluster, cloud, clock }: { cluster: Cluster; cloud: Cloud; clock: Clock },
  pools: string[],
  options: { force: boolean },
): Promise<{ nodes: string[]; groups: string[] }> {
  const holder = await otherHolder(cluster, clock, "");
  if (holder !== undefined && !options.force) {
    throw new Refused(
      `a handover is running (Lease holder ${holder}): stop it first (Ctrl-C twice), or, if that process is dead, wait until its Lease runs out or pass --force.`,
    );
  }
  const nodes = (await cluster.list("Node")).filter(
    (node) => ownershipOf(node) !== undefined || handoverTaint(node) !== undefined,
  );
  const ids = nodes.flatMap((node) => instanceId(node) ?? []);
  const all = new Set([...pools, ...nodes.flatMap((node) => ownershipOf(node)?.pool ?? [])]);
  const marked = async (): Promise<NodeGroup[]> => {
    const groups = await cloud.closedGroups();
    for (const { pool } of groups) if (pool !== undefined) all.add(pool);
    return groups;
  };
  const recorded = async (): Promise<NodeGroup[]> => {
    const records = await Promise.all([...all].map((pool) => readRecord(cluster, pool)));
    const names = records.flatMap((record) => record?.groups ?? []);
    const groups = await Promise.all(names.map(({ kind, name }) => cloud.group(kind, name)));
    return groups.filter((group) => group !== undefined);
  };
  return reopenPool(
    { cluster, cloud },
    nodes,
    () => (ids.length > 0 ? cloud.groupsOf(ids) : Promise.resolve([])),
    marked,
    recorded,
  );
}
