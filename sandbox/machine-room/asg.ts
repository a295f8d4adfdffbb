/** EKS's own Auto Scaling group behind a node group, as a few calls. */

import {
  CreateAutoScalingGroupCommand,
  DeleteAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  TerminateInstanceInAutoScalingGroupCommand,
  UpdateAutoScalingGroupCommand,
  type AutoScalingClient,
  type AutoScalingGroup,
} from "@aws-sdk/client-auto-scaling";
import { WORLD } from "../images.ts";
import type { Group } from "./store.ts";

export const asgName = (group: Group): string => `eks-${group.name}-${group.uuid}`;

export async function describeAsg(
  client: AutoScalingClient,
  group: Group,
): Promise<AutoScalingGroup | undefined> {
  const answer = await client.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [asgName(group)] }),
  );
  return answer.AutoScalingGroups?.[0];
}

/** A mixed instances policy with the types as overrides, as real groups have. */
const policy = (group: Group) => ({
  LaunchTemplate: {
    LaunchTemplateSpecification: { LaunchTemplateId: group.ownTemplateId, Version: group.ownTemplateVersion },
    Overrides: group.instanceTypes.map((InstanceType) => ({ InstanceType })),
  },
  InstancesDistribution: {
    OnDemandAllocationStrategy: "prioritized",
    OnDemandBaseCapacity: 0,
    OnDemandPercentageAboveBaseCapacity: group.capacityType === "SPOT" ? 0 : 100,
    SpotAllocationStrategy: "capacity-optimized",
  },
});

export async function createAsg(client: AutoScalingClient, group: Group): Promise<void> {
  const tag = (Key: string, Value: string) => ({ Key, Value, PropagateAtLaunch: true });
  try {
    await client.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: asgName(group),
        MinSize: group.scaling.minSize,
        MaxSize: group.scaling.maxSize,
        DesiredCapacity: group.scaling.desiredSize,
        VPCZoneIdentifier: group.subnets.join(","),
        MixedInstancesPolicy: policy(group),
        HealthCheckGracePeriod: 15,
        CapacityRebalance: true,
        TerminationPolicies: ["AllocationStrategy", "OldestLaunchTemplate", "OldestInstance"],
        Tags: [
          tag("eks:cluster-name", WORLD.cluster),
          tag("eks:nodegroup-name", group.name),
          tag(`k8s.io/cluster-autoscaler/${WORLD.cluster}`, "owned"),
          tag("k8s.io/cluster-autoscaler/enabled", "true"),
          tag(`kubernetes.io/cluster/${WORLD.cluster}`, "owned"),
        ],
      }),
    );
  } catch (error) {
    if (!(error as Error).name.startsWith("AlreadyExists")) throw error;
  }
}

/** Sets the sizes, and with `template` the policy with the group's present template version. */
export async function updateAsg(
  client: AutoScalingClient,
  group: Group,
  sizes: { min: number; max: number; desired?: number },
  template = false,
): Promise<void> {
  await client.send(
    new UpdateAutoScalingGroupCommand({
      AutoScalingGroupName: asgName(group),
      MinSize: sizes.min,
      MaxSize: sizes.max,
      ...(sizes.desired === undefined ? {} : { DesiredCapacity: sizes.desired }),
      ...(template ? { MixedInstancesPolicy: policy(group) } : {}),
    }),
  );
}

export async function terminateInAsg(
  client: AutoScalingClient,
  instance: string,
  decrement: boolean,
): Promise<void> {
  await client.send(
    new TerminateInstanceInAutoScalingGroupCommand({
      InstanceId: instance,
      ShouldDecrementDesiredCapacity: decrement,
    }),
  );
}

export async function deleteAsg(client: AutoScalingClient, group: Group): Promise<void> {
  await client.send(
    new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: asgName(group), ForceDelete: true }),
  );
}
