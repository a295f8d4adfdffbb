import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { EksManagedPoolConfig, Taint } from "../rollout/config/index.ts";
import { groupNames } from "../rollout/generation.ts";
import { launchTemplate } from "./launch-template.ts";
import { zonesOf } from "../rollout/targets.ts";
import { desiredSize, type GroupName, type PoolArgs } from "./pool.ts";
import { poolTags } from "./tags.ts";
import { nodeLabels } from "./user-data.ts";

export interface EksManagedPoolArgs extends PoolArgs {
  pool: EksManagedPoolConfig;
  /** ARN of the nodes' role. */
  nodeRoleArn: pulumi.Input<string>;
}

/**
 * One generation of an EKS managed pool: its launch template and one node group per zone, since volumes live in one zone and need
 * capacity there. An older generation is declared nowhere: Pulumi deletes it at the end of an `up` whose Handover succeeded.
 */
export class EksManagedPool extends pulumi.ComponentResource {
  /** The groups by the names that the cloud knows them by. */
  readonly groups: GroupName[];
  readonly template: aws.ec2.LaunchTemplate;

  constructor(name: string, args: EksManagedPoolArgs, options?: pulumi.ComponentResourceOptions) {
    super("patchguard:index:EksManagedPool", name, {}, options);
    const { pool, clusterName, generation } = args;
    this.template = launchTemplate(args, {
      parent: this,
      dependsOn: args.dependsOn,
      import: args.importTemplate,
      hooks: args.templateHooks,
    });
    this.groups = zonesOf(pool.zones).map(([zone, subnet]) => {
      nodeGroup(this, this.template, args, zone, subnet);
      return { kind: "eks-managed", name: groupNames(pool, clusterName, generation, zone).physical, zone };
    });
    this.registerOutputs({ groups: this.groups, template: this.template.id });
  }
}

function nodeGroup(
  parent: pulumi.Resource,
  template: aws.ec2.LaunchTemplate,
  args: EksManagedPoolArgs,
  zone: string,
  subnet: string,
): aws.eks.NodeGroup {
  const { pool, clusterName, generation } = args;
  const { logical, physical } = groupNames(pool, clusterName, generation, zone);
  const autoscaled = pool.size.desired === undefined;
  return new aws.eks.NodeGroup(
    logical,
    {
      clusterName,
      nodeGroupName: physical,
      nodeRoleArn: args.nodeRoleArn,
      subnetIds: [subnet],
      instanceTypes: pool.instanceTypes,
      capacityType: pool.capacityType,
      // an AMI in the template makes the group's type CUSTOM; to say so as well is refused
      amiType: pool.amiType,
      releaseVersion: "releaseVersion" in pool.image ? pool.image.releaseVersion : undefined,
      version: pool.kubernetesVersion,
      launchTemplate: { id: template.id, version: "1" },
      scalingConfig: {
        minSize: pool.size.min,
        maxSize: pool.size.max,
        desiredSize: desiredSize(pool.size, zone, args.sizes),
      },
      labels: nodeLabels(pool, generation),
      taints: pool.taints.map(eksTaint),
      nodeRepairConfig: pool.nodeRepair ? { enabled: true } : undefined,
      tags: poolTags(args),
    },
    {
      parent,
      dependsOn: args.dependsOn,
      hooks: args.hooks,
      import: args.imports[zone],
      ignoreChanges: autoscaled ? ["scalingConfig.desiredSize"] : [],
    },
  );
}

const EFFECTS = {
  NoSchedule: "NO_SCHEDULE",
  PreferNoSchedule: "PREFER_NO_SCHEDULE",
  NoExecute: "NO_EXECUTE",
} as const;

const eksTaint = ({ key, value, effect }: Taint): aws.types.input.eks.NodeGroupTaint => ({
  key,
  value: value === "" ? undefined : value,
  effect: EFFECTS[effect],
});
