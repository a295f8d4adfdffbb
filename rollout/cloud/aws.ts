import type { AutoScalingGroup } from "@aws-sdk/client-auto-scaling";
import type { Nodegroup } from "@aws-sdk/client-eks";
import { LABEL_GENERATION, LABEL_POOL, TAG_CLOSED_BY, TAG_CLUSTER } from "../names.ts";
import { matches } from "../selectors.ts";
import {
  closedScalingGroups,
  eksGroupOf,
  resizeScalingGroup,
  resumeProcesses,
  scalingGroups,
  scalingGroupsOfInstances,
  scalingGroupsOfPool,
  scalingGroupsWithLabels,
  sizesOf,
  suspendedOf,
  suspendProcesses,
  tagOf,
  tagScalingGroup,
} from "./autoscaling.ts";
import { awsClients, eachOf, type Aws, type AwsOptions } from "./aws-clients.ts";
import type { Cloud, Instance, NodeGroup, Waiting } from "./cloud.ts";
import { labelsOf, nodegroup, nodegroups, resizeNodegroup, scalingGroupOf, tagNodegroup } from "./eks.ts";
import { imagesOfInstances } from "./instances.ts";
import { limitsOf } from "./limits.ts";
import { delaysOf, healthOfTargets, instanceTargetGroups } from "./load-balancers.ts";
import { overridesOf, templateOf, type TemplateMemory } from "./templates.ts";

/**
 * EKS node groups and Auto Scaling groups of one cluster, through the AWS SDK: its credential chain, its region's endpoints
 * (or AWS_ENDPOINT_URL). Credentials stay inside the SDK.
 */
export function createAwsCloud(options: AwsOptions): Cloud {
  const aws = awsClients(options);
  const memory: TemplateMemory = new Map();

  const scalingGroupNow = async (group: NodeGroup): Promise<string | undefined> => {
    if (group.scalingGroup !== undefined || group.kind === "self-managed")
      return group.scalingGroup ?? group.name;
    const now = await nodegroup(aws, group.name); // EKS may have made it since
    return now && scalingGroupOf(now);
  };

  const waitingAs = (waiting: Waiting = {}): Aws => ({ ...aws, signal: waiting.signal });

  return {
    async groups(pool) {
      const [managed, scaling] = await Promise.all([nodegroups(aws), scalingGroupsOfPool(aws, pool)]);
      const ofPool = managed.filter(
        ({ tags }) => tags?.[LABEL_POOL] === pool && tags[TAG_CLUSTER] === aws.clusterName,
      );
      return assemble(aws, memory, ofPool, scaling);
    },

    async group(kind, name) {
      if (kind === "eks-managed") {
        const found = await nodegroup(aws, name);
        return found && (await assemble(aws, memory, [found], []))[0];
      }
      const found = (await scalingGroups(aws, [name])).filter((group) => eksGroupOf(group) === undefined);
      return (await assemble(aws, memory, [], found))[0];
    },

    async groupsOf(instanceIds) {
      const names = await scalingGroupsOfInstances(aws, instanceIds);
      const scaling = await scalingGroups(aws, names);
      const managed = new Set(scaling.flatMap((group) => eksGroupOf(group) ?? []));
      const found = await eachOf([...managed], (name) => nodegroup(aws, name));
      return assemble(
        aws,
        memory,
        found.filter((group) => group !== undefined),
        scaling.filter((group) => eksGroupOf(group) === undefined),
      );
    },

    async groupsWithLabels(labels) {
      const [managed, scaling] = await Promise.all([nodegroups(aws), scalingGroupsWithLabels(aws, labels)]);
      const found = managed.filter(
        (group) =>
          group.tags?.[LABEL_POOL] === undefined && matches({ matchLabels: labels }, labelsOf(group)),
      );
      return assemble(aws, memory, found, scaling);
    },

    async closedGroups() {
      const [managed, scaling] = await Promise.all([nodegroups(aws), closedScalingGroups(aws)]);
      const found = managed.filter(({ tags }) => tags?.[TAG_CLOSED_BY] !== undefined);
      return assemble(aws, memory, found, scaling);
    },

    imagesOf: (instanceIds) => imagesOfInstances(aws, instanceIds),

    resize: (group, sizes, waiting) =>
      group.kind === "eks-managed"
        ? resizeNodegroup(waitingAs(waiting), group.name, sizes, waiting?.toTheEnd)
        : resizeScalingGroup(waitingAs(waiting), group.name, sizes),

    async suspend(group, processes, waiting) {
      const name = await scalingGroupNow(group);
      if (name !== undefined) await suspendProcesses(waitingAs(waiting), name, processes);
    },

    async resume(group, processes, waiting) {
      const name = await scalingGroupNow(group);
      if (name !== undefined) await resumeProcesses(waitingAs(waiting), name, processes);
    },

    setOwnership: (group, value, waiting) =>
      group.kind === "eks-managed"
        ? tagNodegroup(waitingAs(waiting), group.name, value)
        : tagScalingGroup(waitingAs(waiting), group.name, value),

    targetGroups: () => instanceTargetGroups(aws),

    deregistrationDelays: (targetGroupArns) => delaysOf(aws, targetGroupArns),

    targetHealth: (targetGroupArns) => healthOfTargets(aws, targetGroupArns),

    facts: (question) => limitsOf(aws, question),
  };
}

/** Brings together what EKS, Auto Scaling and EC2 each know. Sorted by name. */
async function assemble(
  aws: Aws,
  memory: TemplateMemory,
  managed: Nodegroup[],
  selfManaged: AutoScalingGroup[],
): Promise<NodeGroup[]> {
  const behind = await scalingGroups(
    aws,
    managed.flatMap((group) => scalingGroupOf(group) ?? []),
  );
  const ids = [...behind, ...selfManaged].flatMap(({ Instances }) =>
    (Instances ?? []).flatMap(({ InstanceId }) => InstanceId ?? []),
  );
  const images = await imagesOfInstances(aws, ids);
  const common = async (group: AutoScalingGroup) => ({
    zones: [...(group.AvailabilityZones ?? [])].sort(),
    suspended: suspendedOf(group),
    template: await templateOf(aws, memory, group),
    instances: instancesOf(group, images),
    targetGroupArns: group.TargetGroupARNs ?? [],
  });

  const fromEks = await eachOf(managed, async (group): Promise<NodeGroup> => {
    const name = scalingGroupOf(group);
    const live = behind.find(({ AutoScalingGroupName }) => AutoScalingGroupName === name);
    const { minSize = 0, maxSize = 0, desiredSize = 0 } = group.scalingConfig ?? {};
    return {
      kind: "eks-managed",
      name: group.nodegroupName ?? "",
      scalingGroup: live?.AutoScalingGroupName,
      pool: group.tags?.[LABEL_POOL],
      generation: group.tags?.[LABEL_GENERATION],
      status: group.status ?? "UNKNOWN",
      issues: [
        ...(group.health?.issues ?? []).map(({ code, message }) => `${code}: ${message}`),
        ...(live ? overridesOf(live) : []),
      ],
      size: live ? sizesOf(live) : { min: minSize, max: maxSize, desired: desiredSize },
      releaseVersion: group.releaseVersion,
      ownership: group.tags?.[TAG_CLOSED_BY],
      ...(live
        ? await common(live)
        : { zones: [], suspended: [], template: undefined, instances: [], targetGroupArns: [] }),
    };
  });

  const own = await eachOf(selfManaged, async (group): Promise<NodeGroup> => ({
    kind: "self-managed",
    name: group.AutoScalingGroupName ?? "",
    scalingGroup: group.AutoScalingGroupName,
    pool: tagOf(group, LABEL_POOL),
    generation: tagOf(group, LABEL_GENERATION),
    status: group.Status === undefined ? "ACTIVE" : "DELETING", // Auto Scaling has a status only for "Delete in progress"
    issues: overridesOf(group),
    size: sizesOf(group),
    releaseVersion: undefined,
    ownership: tagOf(group, TAG_CLOSED_BY),
    ...(await common(group)),
  }));
  return [...fromEks, ...own].sort((a, b) => (a.name < b.name ? -1 : 1));
}

const instancesOf = (group: AutoScalingGroup, images: Map<string, string>): Instance[] =>
  (group.Instances ?? []).flatMap(({ InstanceId, AvailabilityZone, LifecycleState }) =>
    InstanceId === undefined
      ? []
      : {
          id: InstanceId,
          zone: AvailabilityZone ?? "",
          lifecycle: LifecycleState ?? "Unknown",
          imageId: images.get(InstanceId),
        },
  );
