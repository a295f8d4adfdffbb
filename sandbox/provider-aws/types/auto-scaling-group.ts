import {
  AttachLoadBalancerTargetGroupsCommand,
  CreateAutoScalingGroupCommand,
  CreateOrUpdateTagsCommand,
  DeleteAutoScalingGroupCommand,
  DeleteTagsCommand,
  DescribeAutoScalingGroupsCommand,
  DetachLoadBalancerTargetGroupsCommand,
  DisableMetricsCollectionCommand,
  EnableMetricsCollectionCommand,
  ResumeProcessesCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from "@aws-sdk/client-auto-scaling";
import type { AutoScalingGroup, CreateAutoScalingGroupCommandInput } from "@aws-sdk/client-auto-scaling";
import { fromApi, oneReference, toApi } from "../codec.ts";
import { ifExists } from "../errors.ts";
import type { Context, ResourceType } from "../resource-type.ts";
import type { Fields, Values } from "../schema.ts";
import { boolean, list, number, object, set, text } from "../schema.ts";
import { until } from "../wait.ts";

const templateReference: Fields = {
  launchTemplateId: text({ computed: true }),
  launchTemplateName: text({ computed: true }),
  version: text({ computed: true }),
};

/** Sent with create, and with update where they changed. */
const SETTINGS: Fields = {
  minSize: number({ required: true }),
  maxSize: number({ required: true }),
  desiredCapacity: number({ computed: true }),
  launchTemplate: object({
    id: text({ computed: true, api: "LaunchTemplateId" }),
    name: text({ computed: true, api: "LaunchTemplateName" }),
    version: text({ computed: true }),
  }),
  mixedInstancesPolicy: object({
    instancesDistribution: object(
      {
        onDemandAllocationStrategy: text({ computed: true }),
        onDemandBaseCapacity: number({ computed: true }),
        onDemandPercentageAboveBaseCapacity: number({ computed: true }),
        spotAllocationStrategy: text({ computed: true }),
        spotInstancePools: number({ computed: true }),
        spotMaxPrice: text(),
      },
      { computed: true },
    ),
    launchTemplate: object({
      launchTemplateSpecification: object(templateReference, { required: true }),
      overrides: list(object({ instanceType: text(), weightedCapacity: text() })),
    }),
  }),
  availabilityZones: set(text(), { computed: true }),
  vpcZoneIdentifiers: set(text(), { computed: true, api: "VPCZoneIdentifier" }),
  capacityRebalance: boolean(),
  defaultCooldown: number({ computed: true }),
  defaultInstanceWarmup: number(),
  healthCheckGracePeriod: number({ fallback: 300 }),
  healthCheckType: text({ computed: true }),
  instanceMaintenancePolicy: object({
    minHealthyPercentage: number({ required: true }),
    maxHealthyPercentage: number({ required: true }),
  }),
  maxInstanceLifetime: number(),
  placementGroup: text(),
  protectFromScaleIn: boolean({ api: "NewInstancesProtectedFromScaleIn" }),
  serviceLinkedRoleArn: text({ computed: true, api: "ServiceLinkedRoleARN" }),
  terminationPolicies: list(text()),
};

const INPUTS: Fields = {
  ...SETTINGS,
  name: text({ replaces: true, computed: true }),
  targetGroupArns: set(text(), { computed: true, api: "TargetGroupARNs" }),
  suspendedProcesses: set(text()),
  enabledMetrics: set(text()),
  metricsGranularity: text({ keep: true, fallback: "1Minute" }),
  tags: set(
    object({
      key: text({ required: true }),
      value: text({ required: true }),
      propagateAtLaunch: boolean({ required: true }),
    }),
  ),
  forceDelete: boolean({ keep: true }),
  waitForCapacityTimeout: text({ keep: true, fallback: "10m" }),
};

const describe = async ({ aws }: Context, name: string): Promise<AutoScalingGroup | undefined> => {
  const answer = await ifExists(
    aws.autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] })),
  );
  return answer?.AutoScalingGroups?.[0];
};

/** The API's members of the given inputs; the subnets are one comma-separated string there. */
function settings(values: Values, changed: (name: string) => boolean = () => true): Values {
  const wanted = Object.fromEntries(Object.entries(SETTINGS).filter(([name]) => changed(name)));
  const api = toApi(wanted, oneReference(values), "pascal");
  if (Array.isArray(api.VPCZoneIdentifier)) api.VPCZoneIdentifier = api.VPCZoneIdentifier.join(",");
  return api;
}

const tagList = (name: string, values: unknown) =>
  ((values ?? []) as { key: string; value: string; propagateAtLaunch: boolean }[]).map((t) => ({
    ResourceId: name,
    ResourceType: "auto-scaling-group",
    Key: t.key,
    Value: t.value,
    PropagateAtLaunch: t.propagateAtLaunch,
  }));

/** Seconds in a Go duration such as "10m" or "1h30m"; "0" means: do not wait. */
export function durationSeconds(duration: string): number {
  if (duration === "0") return 0;
  const units: Record<string, number> = { h: 3600, m: 60, s: 1 };
  const parts = [...duration.matchAll(/(\d+)([hms])/g)];
  if (parts.map((p) => p[0]).join("") !== duration || parts.length === 0)
    throw new Error(`waitForCapacityTimeout must read like "10m" or "90s", not ${JSON.stringify(duration)}`);
  return parts.reduce((sum, [, n, unit]) => sum + Number(n) * (units[unit ?? "s"] ?? 1), 0);
}

/** Waits, as the real provider does, until the group has as many healthy instances in service as it should. */
async function capacity(context: Context, name: string, inputs: Values): Promise<void> {
  const seconds = durationSeconds(String(inputs.waitForCapacityTimeout));
  const wanted = Number(inputs.desiredCapacity ?? inputs.minSize);
  if (seconds === 0 || wanted === 0) return;
  const patience = { ...context.patience, timeoutSeconds: seconds, deadline: Date.now() + seconds * 1000 };
  await until(`group ${name} has ${wanted} healthy instances in service`, patience, async () => {
    const instances = (await describe(context, name))?.Instances ?? [];
    const healthy = instances.filter(
      (i) => i.LifecycleState === "InService" && i.HealthStatus?.toLowerCase() === "healthy",
    );
    return healthy.length >= wanted ? true : undefined;
  });
}

const names = (value: unknown): string[] => (value ?? []) as string[];
const without = (a: unknown, b: unknown): string[] => names(a).filter((x) => !names(b).includes(x));

export const autoScalingGroup: ResourceType = {
  token: "aws:autoscaling/group:Group",
  nameProperty: "name",
  inputs: INPUTS,
  outputs: [
    "arn",
    "availabilityZones",
    "defaultCooldown",
    "desiredCapacity",
    "healthCheckType",
    "vpcZoneIdentifiers",
  ],

  async create(context, inputs) {
    const { autoScaling } = context.aws;
    const name = String(inputs.name);
    await autoScaling.send(
      new CreateAutoScalingGroupCommand({
        ...settings(inputs),
        AutoScalingGroupName: name,
        TargetGroupARNs: inputs.targetGroupArns as string[] | undefined,
        Tags: tagList(name, inputs.tags),
      } as CreateAutoScalingGroupCommandInput),
    );
    context.created(name);
    const suspended = names(inputs.suspendedProcesses);
    if (suspended.length > 0)
      await autoScaling.send(
        new SuspendProcessesCommand({ AutoScalingGroupName: name, ScalingProcesses: suspended }),
      );
    const metrics = names(inputs.enabledMetrics);
    if (metrics.length > 0)
      await autoScaling.send(
        new EnableMetricsCollectionCommand({
          AutoScalingGroupName: name,
          Metrics: metrics,
          Granularity: String(inputs.metricsGranularity),
        }),
      );
    // An instance that must not launch cannot be waited for.
    if (!suspended.includes("Launch")) await capacity(context, name, inputs);
    return name;
  },

  async read(context, id) {
    const group = await describe(context, id);
    if (!group || group.Status) return undefined; // Status is set only while the group is being deleted
    const state = fromApi(
      { ...INPUTS, suspendedProcesses: list(object({ processName: text() })) },
      {
        ...group,
        Name: group.AutoScalingGroupName,
        VPCZoneIdentifier: (group.VPCZoneIdentifier ?? "").split(",").filter((s) => s !== ""),
        EnabledMetrics: (group.EnabledMetrics ?? []).map((m) => m.Metric),
      },
      "pascal",
    );
    // As the real provider: the API's own default is no setting of the program.
    if (group.TerminationPolicies?.join() === "Default") delete state.terminationPolicies;
    return {
      ...state,
      suspendedProcesses: (group.SuspendedProcesses ?? []).map((p) => p.ProcessName),
      arn: group.AutoScalingGroupARN,
    };
  },

  async update(context, name, { olds, news, changed }) {
    const { autoScaling } = context.aws;
    const group = { AutoScalingGroupName: name };
    const change = settings(news, (setting) => changed(setting));
    if (Object.keys(change).length > 0)
      await autoScaling.send(new UpdateAutoScalingGroupCommand({ ...change, ...group }));
    if (changed("targetGroupArns")) {
      const added = without(news.targetGroupArns, olds.targetGroupArns);
      const removed = without(olds.targetGroupArns, news.targetGroupArns);
      if (removed.length > 0)
        await autoScaling.send(
          new DetachLoadBalancerTargetGroupsCommand({ ...group, TargetGroupARNs: removed }),
        );
      if (added.length > 0)
        await autoScaling.send(
          new AttachLoadBalancerTargetGroupsCommand({ ...group, TargetGroupARNs: added }),
        );
    }
    if (changed("suspendedProcesses")) {
      const added = without(news.suspendedProcesses, olds.suspendedProcesses);
      const removed = without(olds.suspendedProcesses, news.suspendedProcesses);
      if (removed.length > 0)
        await autoScaling.send(new ResumeProcessesCommand({ ...group, ScalingProcesses: removed }));
      if (added.length > 0)
        await autoScaling.send(new SuspendProcessesCommand({ ...group, ScalingProcesses: added }));
    }
    if (changed("enabledMetrics")) {
      const added = without(news.enabledMetrics, olds.enabledMetrics);
      const removed = without(olds.enabledMetrics, news.enabledMetrics);
      if (removed.length > 0)
        await autoScaling.send(new DisableMetricsCollectionCommand({ ...group, Metrics: removed }));
      if (added.length > 0)
        await autoScaling.send(
          new EnableMetricsCollectionCommand({
            ...group,
            Metrics: added,
            Granularity: String(news.metricsGranularity),
          }),
        );
    }
    if (changed("tags")) {
      const kept = new Set(tagList(name, news.tags).map((t) => t.Key));
      const removed = tagList(name, olds.tags).filter((t) => !kept.has(t.Key));
      if (removed.length > 0) await autoScaling.send(new DeleteTagsCommand({ Tags: removed }));
      if (kept.size > 0)
        await autoScaling.send(new CreateOrUpdateTagsCommand({ Tags: tagList(name, news.tags) }));
    }
    const launches = !names(news.suspendedProcesses).includes("Launch");
    if (launches && changed("minSize", "desiredCapacity")) await capacity(context, name, news);
  },

  async delete(context, name, inputs) {
    const { autoScaling } = context.aws;
    const group = { AutoScalingGroupName: name };
    const force = inputs.forceDelete === true;
    if (!(await describe(context, name))) return;
    if (!force) {
      await autoScaling.send(
        new UpdateAutoScalingGroupCommand({ ...group, MinSize: 0, MaxSize: 0, DesiredCapacity: 0 }),
      );
      await until(`group ${name} has no instance left`, context.patience, async () =>
        ((await describe(context, name))?.Instances ?? []).length === 0 ? true : undefined,
      );
    }
    await ifExists(autoScaling.send(new DeleteAutoScalingGroupCommand({ ...group, ForceDelete: force })));
    await until(`group ${name} is gone`, context.patience, async () =>
      (await describe(context, name)) ? undefined : true,
    );
  },
};
