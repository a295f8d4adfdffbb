import {
  CreateOrUpdateTagsCommand,
  DeleteTagsCommand,
  paginateDescribeAutoScalingGroups,
  paginateDescribeAutoScalingInstances,
  ResumeProcessesCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
  type AutoScalingGroup,
} from "@aws-sdk/client-auto-scaling";
import { TAG_CLOSED_BY, TAG_CLUSTER, LABEL_POOL } from "../names.ts";
import { batches, collect, eachOf, whenFree, type Aws } from "./aws-clients.ts";
import { CloudError, type Resized, type Sizes } from "./cloud.ts";

/** Limits of one call: names of groups, ids of instances. */
const NAMES = 100;
const IDS = 50;

export const tagOf = (group: AutoScalingGroup, key: string): string | undefined =>
  group.Tags?.find(({ Key }) => Key === key)?.Value;

/** The tag with which EKS marks the Auto Scaling groups that it made. */
export const eksGroupOf = (group: AutoScalingGroup): string | undefined => tagOf(group, "eks:nodegroup-name");

const read = (aws: Aws, object: string, input: Parameters<typeof paginateDescribeAutoScalingGroups>[1]) =>
  collect(
    aws,
    "autoscaling:DescribeAutoScalingGroups",
    object,
    paginateDescribeAutoScalingGroups({ client: aws.autoScaling }, input),
    (page) => page.AutoScalingGroups,
  );

/** By name; those that do not exist are left out. */
export async function scalingGroups(aws: Aws, names: readonly string[]): Promise<AutoScalingGroup[]> {
  const found = await eachOf(batches([...new Set(names)], NAMES), (batch) =>
    read(aws, batch.length === 1 ? `Auto Scaling group ${batch[0]}` : `${batch.length} Auto Scaling groups`, {
      AutoScalingGroupNames: batch,
    }),
  );
  return found.flat();
}

/** The self-managed groups that carry the pool's tags; those that EKS made belong to their node group. */
export async function scalingGroupsOfPool(aws: Aws, pool: string): Promise<AutoScalingGroup[]> {
  const Filters = [
    { Name: `tag:${LABEL_POOL}`, Values: [pool] },
    { Name: `tag:${TAG_CLUSTER}`, Values: [aws.clusterName] },
  ];
  const groups = await read(aws, `the Auto Scaling groups of pool ${pool}`, { Filters });
  return groups.filter(
    (group) =>
      eksGroupOf(group) === undefined &&
      tagOf(group, LABEL_POOL) === pool &&
      tagOf(group, TAG_CLUSTER) === aws.clusterName,
  );
}

const belongsTo = (aws: Aws, group: AutoScalingGroup): boolean =>
  tagOf(group, TAG_CLUSTER) === aws.clusterName ||
  tagOf(group, `kubernetes.io/cluster/${aws.clusterName}`) !== undefined ||
  tagOf(group, `k8s.io/cluster-autoscaler/${aws.clusterName}`) !== undefined;

/** The self-managed groups of this cluster, of no pool, whose nodes get these labels, as their tags tell the cluster autoscaler. */
export async function scalingGroupsWithLabels(
  aws: Aws,
  labels: Readonly<Record<string, string>>,
): Promise<AutoScalingGroup[]> {
  const Filters = Object.entries(labels).map(([key, value]) => ({
    Name: `tag:k8s.io/cluster-autoscaler/node-template/label/${key}`,
    Values: [value],
  }));
  const groups = await read(aws, "the Auto Scaling groups to take over", { Filters });
  return groups.filter(
    (group) =>
      eksGroupOf(group) === undefined && tagOf(group, LABEL_POOL) === undefined && belongsTo(aws, group),
  );
}

/** The self-managed groups of this cluster that carry the ownership tag. */
export async function closedScalingGroups(aws: Aws): Promise<AutoScalingGroup[]> {
  const Filters = [{ Name: "tag-key", Values: [TAG_CLOSED_BY] }];
  const groups = await read(aws, "the Auto Scaling groups that PatchGuard closed", { Filters });
  return groups.filter(
    (group) =>
      eksGroupOf(group) === undefined && tagOf(group, TAG_CLOSED_BY) !== undefined && belongsTo(aws, group),
  );
}

/** Names of the groups that these instances belong to. */
export async function scalingGroupsOfInstances(aws: Aws, ids: readonly string[]): Promise<string[]> {
  const found = await eachOf(batches(ids, IDS), (batch) =>
    collect(
      aws,
      "autoscaling:DescribeAutoScalingInstances",
      `${batch.length} instances`,
      paginateDescribeAutoScalingInstances({ client: aws.autoScaling }, { InstanceIds: batch }),
      (page) => page.AutoScalingInstances,
    ),
  );
  return [...new Set(found.flat().flatMap(({ AutoScalingGroupName }) => AutoScalingGroupName ?? []))];
}

export const suspendedOf = (group: AutoScalingGroup): string[] =>
  (group.SuspendedProcesses ?? []).flatMap(({ ProcessName }) => ProcessName ?? []).sort();

async function one(aws: Aws, name: string): Promise<AutoScalingGroup> {
  const [group] = await scalingGroups(aws, [name]);
  if (group !== undefined) return group;
  throw new CloudError(
    "NotFound",
    `Auto Scaling group ${name} in ${aws.region} is not there any more. Find out who deleted it, then run again.`,
  );
}

const deadlineOf = (aws: Aws): number => aws.clock.now() + aws.timeoutSeconds * 1000;

export async function suspendProcesses(aws: Aws, name: string, processes: readonly string[]): Promise<void> {
  const already = suspendedOf(await one(aws, name));
  const missing = processes.filter((process) => !already.includes(process));
  if (missing.length === 0) return;
  const input = { AutoScalingGroupName: name, ScalingProcesses: missing };
  await whenFree(
    aws,
    deadlineOf(aws),
    "autoscaling:SuspendProcesses",
    `${missing.join(", ")} of Auto Scaling group ${name}`,
    () => aws.autoScaling.send(new SuspendProcessesCommand(input)),
  );
}

export async function resumeProcesses(aws: Aws, name: string, processes: readonly string[]): Promise<void> {
  const suspended = suspendedOf(await one(aws, name));
  const wanted = processes.filter((process) => suspended.includes(process));
  // an empty list would mean: resume all, also what others suspended
  if (wanted.length === 0) return;
  const input = { AutoScalingGroupName: name, ScalingProcesses: wanted };
  await whenFree(
    aws,
    deadlineOf(aws),
    "autoscaling:ResumeProcesses",
    `${wanted.join(", ")} of Auto Scaling group ${name}`,
    () => aws.autoScaling.send(new ResumeProcessesCommand(input)),
  );
}

/**
 * The sizes to write, from those that are and those that are asked for. Without a `desired` the number of nodes stays as it
 * is and the bounds give way to it: a picture that is a moment old must not terminate a node that an autoscaler has added.
 */
export function sizesFor(now: Required<Sizes>, asked: Sizes): Required<Sizes> {
  const desired = asked.desired ?? now.desired;
  return {
    desired,
    min: Math.min(asked.min ?? now.min, desired),
    max: Math.max(asked.max ?? now.max, desired),
  };
}

export const sameSizes = (a: Required<Sizes>, b: Required<Sizes>): boolean =>
  a.min === b.min && a.max === b.max && a.desired === b.desired;

export const sizesOf = (group: AutoScalingGroup): Required<Sizes> => ({
  min: group.MinSize ?? 0,
  max: group.MaxSize ?? 0,
  desired: group.DesiredCapacity ?? 0,
});

export async function resizeScalingGroup(aws: Aws, name: string, sizes: Sizes): Promise<Resized> {
  const deadline = deadlineOf(aws);
  await whenFree(
    aws,
    deadline,
    "autoscaling:UpdateAutoScalingGroup",
    `the sizes of Auto Scaling group ${name}`,
    async () => {
      const now = sizesOf(await one(aws, name));
      const wanted = sizesFor(now, sizes);
      if (sameSizes(now, wanted)) return;
      await aws.autoScaling.send(
        new UpdateAutoScalingGroupCommand({
          AutoScalingGroupName: name,
          MinSize: wanted.min,
          MaxSize: wanted.max,
          // left out unless asked for: an autoscaler may be changing it at this moment
          ...(sizes.desired === undefined ? {} : { DesiredCapacity: wanted.desired }),
        }),
      );
    },
  );
  return "done";
}

/** Ownership on a self-managed group. Not handed on to instances: it says something about the group. */
export async function tagScalingGroup(aws: Aws, name: string, value: string | undefined): Promise<void> {
  if (tagOf(await one(aws, name), TAG_CLOSED_BY) === value) return;
  const tag = { ResourceId: name, ResourceType: "auto-scaling-group", Key: TAG_CLOSED_BY };
  const object = `tag ${TAG_CLOSED_BY} of Auto Scaling group ${name}`;
  if (value === undefined) {
    await whenFree(aws, deadlineOf(aws), "autoscaling:DeleteTags", object, () =>
      aws.autoScaling.send(new DeleteTagsCommand({ Tags: [tag] })),
    );
    return;
  }
  await whenFree(aws, deadlineOf(aws), "autoscaling:CreateOrUpdateTags", object, () =>
    aws.autoScaling.send(
      new CreateOrUpdateTagsCommand({ Tags: [{ ...tag, Value: value, PropagateAtLaunch: false }] }),
    ),
  );
}
