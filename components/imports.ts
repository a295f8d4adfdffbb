import { DescribeLaunchTemplatesCommand } from "@aws-sdk/client-ec2";
import * as pulumi from "@pulumi/pulumi";
import { createAwsCloud } from "../rollout/cloud/aws.ts";
import { awsClients, call } from "../rollout/cloud/aws-clients.ts";
import { systemClock } from "../rollout/clock.ts";
import { explain } from "../rollout/cluster/explain.ts";
import type { AwsPoolConfig, ClusterConfig } from "../rollout/config/index.ts";
import { generationOf, groupNames, templateNames } from "../rollout/generation.ts";

/** What exists in the cloud under the names of a pool's present generation. */
export interface Existing {
  /** Ids of groups by zone, as Pulumi imports them. */
  groups: Record<string, string>;
  /** Id of the launch template. */
  template: string | undefined;
}

/** Deadline for changes in the cloud; nothing is changed here. */
const CLOUD_TIMEOUT_SECONDS = 60;

/**
 * Looks for groups and templates that an `up` made and was killed before it could write them down: Pulumi imports them then,
 * and never makes a second one. For those that stand in the state with the same id, the import says nothing new.
 * @throws RunError with one line that says what is wrong with the access to the cloud
 */
export async function existing(
  cluster: ClusterConfig,
  pools: AwsPoolConfig[],
): Promise<Map<string, Existing>> {
  const options = {
    region: cluster.region,
    clusterName: cluster.name,
    clock: systemClock,
    cloudTimeoutSeconds: CLOUD_TIMEOUT_SECONDS,
  };
  const cloud = createAwsCloud(options);
  const aws = awsClients(options);
  const look = async (pool: AwsPoolConfig): Promise<[string, Existing]> => {
    const generation = generationOf(pool, cluster.name);
    const groups = await Promise.all(
      Object.keys(pool.zones).map(async (zone) => {
        const { physical } = groupNames(pool, cluster.name, generation, zone);
        const group = await cloud.group(pool.kind, physical);
        // one that failed is not worth having: where the state knows it, it is replaced
        if (group === undefined || group.status === "CREATE_FAILED" || group.status === "DELETING") return [];
        return [[zone, pool.kind === "eks-managed" ? `${cluster.name}:${physical}` : physical] as const];
      }),
    );
    const { physical } = templateNames(cluster.name, pool.name, generation);
    const { LaunchTemplates: found = [] } = await call(
      aws,
      "ec2:DescribeLaunchTemplates",
      `launch template ${physical}`,
      () =>
        aws.ec2.send(
          new DescribeLaunchTemplatesCommand({
            Filters: [{ Name: "launch-template-name", Values: [physical] }],
          }),
        ),
    );
    return [pool.name, { groups: Object.fromEntries(groups.flat()), template: found[0]?.LaunchTemplateId }];
  };
  try {
    return new Map(await Promise.all(pools.map(look)));
  } catch (error) {
    throw new pulumi.RunError(explain(error)); // one line, no stack: the program is not at fault
  }
}
