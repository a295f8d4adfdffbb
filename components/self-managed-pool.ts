import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { SelfManagedPoolConfig } from "../rollout/config/index.ts";
import { groupNames } from "../rollout/generation.ts";
import { launchTemplate } from "./launch-template.ts";
import { zonesOf } from "../rollout/targets.ts";
import { desiredSize, type GroupName, type PoolArgs } from "./pool.ts";
import { autoscalerTags, poolTags } from "./tags.ts";

export interface SelfManagedPoolArgs extends PoolArgs {
  pool: SelfManagedPoolConfig;
}

/** One generation of a self-managed pool: its launch template and one Auto Scaling group per zone (see EksManagedPool). */
export class SelfManagedPool extends pulumi.ComponentResource {
  /** The groups by the names that the cloud knows them by. */
  readonly groups: GroupName[];
  readonly template: aws.ec2.LaunchTemplate;

  constructor(name: string, args: SelfManagedPoolArgs, options?: pulumi.ComponentResourceOptions) {
    super("patchguard:index:SelfManagedPool", name, {}, options);
    const { pool, clusterName, generation } = args;
    this.template = launchTemplate(args, {
      parent: this,
      dependsOn: args.dependsOn,
      import: args.importTemplate,
      hooks: args.templateHooks,
    });
    this.groups = zonesOf(pool.zones).map(([zone, subnet]) => {
      scalingGroup(this, this.template, args, zone, subnet);
      return { kind: "self-managed", name: groupNames(pool, clusterName, generation, zone).physical, zone };
    });
    this.registerOutputs({ groups: this.groups, template: this.template.id });
  }
}

function scalingGroup(
  parent: pulumi.Resource,
  template: aws.ec2.LaunchTemplate,
  args: SelfManagedPoolArgs,
  zone: string,
  subnet: string,
): aws.autoscaling.Group {
  const { pool, clusterName, generation } = args;
  const { logical, physical } = groupNames(pool, clusterName, generation, zone);
  const autoscaled = pool.size.desired === undefined;
  return new aws.autoscaling.Group(
    logical,
    {
      name: physical,
      vpcZoneIdentifiers: [subnet],
      minSize: pool.size.min,
      maxSize: pool.size.max,
      desiredCapacity: desiredSize(pool.size, zone, args.sizes),
      ...instances(pool, template),
      targetGroupArns: pool.targetGroupArns.length > 0 ? pool.targetGroupArns : undefined,
      healthCheckType: pool.healthCheck.type,
      healthCheckGracePeriod: pool.healthCheck.gracePeriodSeconds,
      defaultInstanceWarmup: pool.warmupSeconds,
      defaultCooldown: pool.cooldownSeconds,
      capacityRebalance: pool.capacityRebalance,
      terminationPolicies: pool.terminationPolicies,
      maxInstanceLifetime: pool.maxInstanceLifetimeSeconds,
      suspendedProcesses: pool.suspendedProcesses.length > 0 ? pool.suspendedProcesses : undefined,
      enabledMetrics:
        pool.metrics.length > 0 ? (pool.metrics as aws.types.enums.autoscaling.Metric[]) : undefined,
      initialLifecycleHooks: lifecycleHooks(pool),
      serviceLinkedRoleArn: pool.serviceLinkedRoleArn,
      // the Handover waits until green has joined, with its own deadline and with more than instances to look at
      waitForCapacityTimeout: "0",
      tags: groupTags(args, zone),
    },
    {
      parent,
      dependsOn: args.dependsOn,
      hooks: args.hooks,
      import: args.imports[zone],
      ignoreChanges: autoscaled ? ["desiredCapacity"] : [],
    },
  );
}

/** One instance type on demand is a template alone; several types, or spot, need a policy that says what to take when. */
function instances(
  pool: SelfManagedPoolConfig,
  template: aws.ec2.LaunchTemplate,
): Pick<aws.autoscaling.GroupArgs, "launchTemplate" | "mixedInstancesPolicy"> {
  const { mixedInstances: mixed, instanceTypes, capacityType } = pool;
  if (mixed === undefined && instanceTypes.length === 1 && capacityType === "ON_DEMAND")
    return { launchTemplate: { id: template.id, version: "1" } };
  return {
    mixedInstancesPolicy: {
      instancesDistribution: {
        onDemandBaseCapacity: mixed?.onDemandBaseCapacity ?? 0,
        onDemandPercentageAboveBaseCapacity:
          mixed?.onDemandPercentageAboveBaseCapacity ?? (capacityType === "SPOT" ? 0 : 100),
        onDemandAllocationStrategy: mixed?.onDemandAllocationStrategy ?? "prioritized",
        spotAllocationStrategy: mixed?.spotAllocationStrategy ?? "price-capacity-optimized",
        spotMaxPrice: mixed?.spotMaxPrice,
      },
      launchTemplate: {
        launchTemplateSpecification: { launchTemplateId: template.id, version: "1" },
        overrides: instanceTypes.map((instanceType) => ({
          instanceType,
          weightedCapacity: mixed?.weights?.[instanceType]?.toString(),
        })),
      },
    },
  };
}

const TRANSITIONS = {
  launching: "autoscaling:EC2_INSTANCE_LAUNCHING",
  terminating: "autoscaling:EC2_INSTANCE_TERMINATING",
} as const;

function lifecycleHooks({
  lifecycleHooks: hooks,
}: SelfManagedPoolConfig): aws.autoscaling.GroupArgs["initialLifecycleHooks"] {
  if (hooks.length === 0) return undefined;
  return hooks.map((hook) => ({
    name: hook.name,
    lifecycleTransition: TRANSITIONS[hook.transition],
    heartbeatTimeout: hook.heartbeatTimeoutSeconds,
    defaultResult: hook.defaultResult,
    notificationTargetArn: hook.notificationTargetArn,
    notificationMetadata: hook.notificationMetadata,
    roleArn: hook.roleArn,
  }));
}

/** Tags of the group and, but for those that only the autoscaler reads, of its instances. */
function groupTags(args: SelfManagedPoolArgs, zone: string): aws.types.input.autoscaling.GroupTag[] {
  const { pool, clusterName } = args;
  const launched = {
    Name: `${clusterName}-${pool.name}`,
    // by this tag EKS and the cloud controller tell a cluster's instances
    [`kubernetes.io/cluster/${clusterName}`]: "owned",
    ...poolTags(args),
  };
  const tags = [
    ...Object.entries(launched).map(([key, value]) => ({ key, value, propagateAtLaunch: true })),
    ...Object.entries(autoscalerTags(args, zone)).map(([key, value]) => ({
      key,
      value,
      propagateAtLaunch: false,
    })),
  ];
  return tags.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}
