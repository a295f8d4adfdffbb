import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { EksClusterConfig } from "../rollout/config/index.ts";
import { TAG_CLUSTER } from "../rollout/names.ts";
import { profileName, roleName } from "../rollout/generation.ts";

export interface NodeRoleArgs {
  cluster: EksClusterConfig;
  /** Self-managed nodes get their role through an instance profile. */
  withInstanceProfile: boolean;
}

/**
 * The role that all pools of a cluster share which name none of their own, with what nodes need to join. Groups depend on all of
 * it, so it is there before them and outlives them: deleting the last group of a role would take the access of the others with it.
 */
export class NodeRole extends pulumi.ComponentResource {
  readonly arn: pulumi.Output<string>;
  /** Name of the instance profile, where one was asked for. */
  readonly instanceProfile: pulumi.Output<string> | undefined;

  constructor(
    name: string,
    { cluster, withInstanceProfile }: NodeRoleArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("patchguard:index:NodeRole", name, {}, options);
    const partition = partitionOf(cluster.region);
    const { policyArns, permissionsBoundary, path, accessEntry } = cluster.nodeRole;
    const managed = (policy: string): string => `arn:${partition}:iam::aws:policy/${policy}`;
    const tags = { [TAG_CLUSTER]: cluster.name };

    const role = new aws.iam.Role(
      `${name}-role`,
      {
        name: roleName(cluster.name),
        description: `Nodes of cluster ${cluster.name}, made by PatchGuard`,
        path,
        permissionsBoundary,
        assumeRolePolicy: JSON.stringify({
          Version: "2012-10-17",
          Statement: [
            { Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" },
          ],
        }),
        tags,
      },
      { parent: this },
    );
    const policies = [
      managed("AmazonEKSWorkerNodePolicy"),
      managed("AmazonEC2ContainerRegistryPullOnly"),
      ...(policyArns ?? [managed("AmazonEKS_CNI_Policy")]),
    ];
    for (const policyArn of policies) {
      const short = policyArn.slice(policyArn.lastIndexOf("/") + 1);
      new aws.iam.RolePolicyAttachment(`${name}-${short}`, { role: role.name, policyArn }, { parent: this });
    }
    if (accessEntry)
      new aws.eks.AccessEntry(
        `${name}-access`,
        { clusterName: cluster.name, principalArn: role.arn, type: "EC2_LINUX", tags },
        { parent: this },
      );
    this.arn = role.arn;
    this.instanceProfile = withInstanceProfile
      ? new aws.iam.InstanceProfile(
          `${name}-profile`,
          { name: roleName(cluster.name), role: role.name, path, tags },
          { parent: this },
        ).name
      : undefined;
    this.registerOutputs({ arn: this.arn, instanceProfile: this.instanceProfile });
  }
}

/** An instance profile for a role of the user's own, for self-managed pools that name `nodeRole` only. */
export function profileFor(name: string, clusterName: string, roleArn: string): aws.iam.InstanceProfile {
  const role = roleArn.slice(roleArn.lastIndexOf("/") + 1);
  return new aws.iam.InstanceProfile(name, {
    name: profileName(clusterName, role),
    role,
    tags: { [TAG_CLUSTER]: clusterName },
  });
}

/** The part of AWS that a region belongs to, as ARNs name it. */
export function partitionOf(region: string): string {
  if (region.startsWith("cn-")) return "aws-cn";
  return region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
}
