import type * as pulumi from "@pulumi/pulumi";
import type { AwsPoolConfig, Config } from "../rollout/config/index.ts";
import { awsPools, greenSpecOf, targetOf } from "../rollout/targets.ts";
import { clusterRef } from "../rollout/world.ts";
import type { ClusterResources } from "./cluster.ts";
import { EksManagedPool } from "./eks-managed-pool.ts";
import { Gate, stackName } from "./gate.ts";
import { Handover } from "./handover.ts";
import type { Existing } from "./imports.ts";
import { NodeRole, profileFor } from "./node-role.ts";
import { SelfManagedPool } from "./self-managed-pool.ts";

export interface PoolsArgs {
  config: Config;
  cluster: ClusterResources;
  /** The guards of groups and templates. */
  guards: { group: pulumi.ResourceHookBinding; template: pulumi.ResourceHookBinding | undefined };
  /** What the cloud has under the names of each pool's generation, by pool. */
  existing: Map<string, Existing>;
}

/**
 * All pools of the stack, one after the other: Gate → green's template and groups → Handover → the next pool's Gate. A pool that
 * fails leaves the ones before it on green and the ones after it untouched.
 * @returns everything that was declared, for the consent resource to depend on
 */
export function declarePools({ config, cluster, guards, existing }: PoolsArgs): pulumi.Resource[] {
  const pools = awsPools(config);
  const roles = nodeRoles(config, pools);
  const targets = pools.map((pool) => targetOf(pool, config.cluster.name));
  const stack = stackName();
  const declared: pulumi.Resource[] = [...cluster.dependsOn, ...roles.resources];
  let before: pulumi.Resource[] = cluster.dependsOn;

  for (const [index, pool] of pools.entries()) {
    const target = targets[index];
    if (target === undefined) continue;
    const job = {
      cluster: clusterRef(config.cluster),
      target,
      later: targets.slice(index + 1),
      pools: pools.map(({ name }) => name),
      green: greenSpecOf(pool, target.generation),
      rollout: config.rollout,
      stack,
    };
    const gate = new Gate(`${pool.name}-gate`, job, { dependsOn: before });
    const common = {
      clusterName: config.cluster.name,
      generation: target.generation,
      bootstrap: cluster.bootstrap,
      clusterSecurityGroupId: cluster.securityGroupId,
      sizes: gate.sizes,
      imports: existing.get(pool.name)?.groups ?? {},
      importTemplate: existing.get(pool.name)?.template,
      dependsOn: [gate, ...roles.resources],
      hooks: guards.group,
      templateHooks: guards.template,
    };
    const green =
      pool.kind === "eks-managed"
        ? new EksManagedPool(pool.name, {
            ...common,
            pool,
            instanceProfile: undefined,
            nodeRoleArn: roles.arnOf(pool),
          })
        : new SelfManagedPool(pool.name, { ...common, pool, instanceProfile: roles.profileOf(pool) });
    const handover = new Handover(`${pool.name}-handover`, job, { dependsOn: [gate, green] });
    declared.push(gate, green, handover);
    before = [handover];
  }
  return declared;
}

interface Roles {
  resources: pulumi.Resource[];
  arnOf(pool: AwsPoolConfig): pulumi.Input<string>;
  profileOf(pool: AwsPoolConfig): pulumi.Input<string> | undefined;
}

/** The shared role, if any pool needs it, and profiles for roles that self-managed pools name. */
function nodeRoles({ cluster }: Config, pools: AwsPoolConfig[]): Roles {
  const profileNamed = (pool: AwsPoolConfig): string | undefined =>
    pool.kind === "self-managed" ? pool.instanceProfile : undefined;
  const sharing = pools.filter((pool) => pool.nodeRole === undefined && profileNamed(pool) === undefined);
  const shared =
    cluster.kind === "eks" && sharing.length > 0
      ? new NodeRole("nodes", {
          cluster,
          withInstanceProfile: sharing.some(({ kind }) => kind === "self-managed"),
        })
      : undefined;
  const named = new Set(
    pools.flatMap((pool) =>
      pool.kind === "self-managed" && pool.nodeRole !== undefined ? [pool.nodeRole] : [],
    ),
  );
  const profiles = new Map(
    Array.from(
      named,
      (arn) =>
        [arn, profileFor(`profile-${arn.slice(arn.lastIndexOf("/") + 1)}`, cluster.name, arn)] as const,
    ),
  );
  return {
    resources: [...(shared === undefined ? [] : [shared]), ...profiles.values()],
    arnOf: (pool) => pool.nodeRole ?? shared?.arn ?? "",
    profileOf: (pool) =>
      profileNamed(pool) ??
      (pool.nodeRole === undefined ? shared?.instanceProfile : profiles.get(pool.nodeRole)?.name),
  };
}
