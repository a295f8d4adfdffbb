import type { Clock } from "./clock.ts";
import type { Cloud, NodeGroup } from "./cloud/cloud.ts";
import type { Cluster } from "./cluster/cluster.ts";
import { reopenPool } from "./close.ts";
import { Refused } from "./errors.ts";
import { readOwnership } from "./freeze.ts";
import { handoverTaint, ownershipOf } from "./ownership.ts";
import { otherHolder } from "./lease.ts";
import { instanceId } from "./target.ts";

/**
 * Break-glass: takes PatchGuard's own marks off every node and group of the stack's pools, from what is recorded on them, without
 * Pulumi. Cordons and taints of others stay. Idempotent.
 * @throws Refused while a live run holds the Lease (its marks are in use); AggregateError naming what is still closed.
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
  const nodes = (await cluster.list("Node")).filter((node) => {
    const owner = ownershipOf(node);
    return owner === undefined ? handoverTaint(node) !== undefined : pools.includes(owner.pool);
  });
  const groups = new Map<string, NodeGroup>();
  const keep = (list: NodeGroup[]): void => {
    for (const group of list)
      if (readOwnership(group.ownership)) groups.set(`${group.kind}/${group.name}`, group);
  };
  const findGroups = async (): Promise<NodeGroup[]> => {
    for (const pool of pools) keep(await cloud.groups(pool));
    const ids = nodes.flatMap((node) => instanceId(node) ?? []);
    if (ids.length > 0) keep(await cloud.groupsOf(ids));
    return [...groups.values()];
  };
  return reopenPool({ cluster, cloud }, nodes, findGroups);
}
