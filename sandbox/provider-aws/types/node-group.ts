import {
  CreateNodegroupCommand,
  DeleteNodegroupCommand,
  DescribeNodegroupCommand,
  DescribeUpdateCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateNodegroupConfigCommand,
  UpdateNodegroupVersionCommand,
} from "@aws-sdk/client-eks";
import type {
  CreateNodegroupCommandInput,
  LaunchTemplateSpecification,
  Nodegroup,
  Taint,
  Update as EksUpdate,
  UpdateNodegroupConfigCommandInput,
} from "@aws-sdk/client-eks";
import { fromApi, mapChanges, oneReference, toApi } from "../codec.ts";
import { ifExists } from "../errors.ts";
import type { Context, ResourceType } from "../resource-type.ts";
import type { Fields, Values } from "../schema.ts";
import { boolean, list, map, number, object, set, text } from "../schema.ts";
import { until } from "../wait.ts";

const INPUTS: Fields = {
  clusterName: text({ required: true, replaces: true }),
  nodeGroupName: text({ replaces: true, computed: true, api: "nodegroupName" }),
  nodeRoleArn: text({ required: true, replaces: true, api: "nodeRole" }),
  subnetIds: set(text(), { required: true, replaces: true, api: "subnets" }),
  scalingConfig: object(
    {
      desiredSize: number({ required: true }),
      maxSize: number({ required: true }),
      minSize: number({ required: true }),
    },
    { required: true },
  ),
  amiType: text({ replaces: true, computed: true }),
  capacityType: text({ replaces: true, computed: true }),
  diskSize: number({ replaces: true, computed: true }),
  instanceTypes: list(text(), { replaces: true, computed: true }),
  labels: map(),
  launchTemplate: object({
    id: text({ replaces: true, computed: true }),
    name: text({ replaces: true, computed: true }),
    version: text({ required: true }),
  }),
  nodeRepairConfig: object(
    {
      enabled: boolean({ computed: true }),
      maxParallelNodesRepairedCount: number({ computed: true }),
      maxParallelNodesRepairedPercentage: number({ computed: true }),
      maxUnhealthyNodeThresholdCount: number({ computed: true }),
      maxUnhealthyNodeThresholdPercentage: number({ computed: true }),
    },
    { computed: true },
  ),
  releaseVersion: text({ computed: true }),
  remoteAccess: object(
    {
      ec2SshKey: text({ replaces: true }),
      sourceSecurityGroupIds: set(text(), { replaces: true, api: "sourceSecurityGroups" }),
    },
    { replaces: true },
  ),
  taints: set(object({ effect: text({ required: true }), key: text({ required: true }), value: text() })),
  updateConfig: object(
    {
      maxUnavailable: number(),
      maxUnavailablePercentage: number(),
      updateStrategy: text({ computed: true }),
    },
    { computed: true },
  ),
  version: text({ computed: true }),
  tags: map(),
  forceUpdateVersion: boolean({ keep: true }),
};

/** moto gives every group without remoteAccess this key; EKS gives none. */
const MOTO_KEY = "eksKeypair";

interface Names {
  clusterName: string;
  nodegroupName: string;
}

function parse(id: string): Names {
  const [clusterName, nodegroupName, ...rest] = id.split(":");
  if (!clusterName || !nodegroupName || rest.length > 0)
    throw new Error(`an EKS node group's id reads <cluster>:<group>, not ${id}`);
  return { clusterName, nodegroupName };
}

const describe = async ({ aws }: Context, names: Names): Promise<Nodegroup | undefined> =>
  (await ifExists(aws.eks.send(new DescribeNodegroupCommand(names))))?.nodegroup;

/** What EKS says is wrong with the group. */
const issues = (group: Nodegroup): string =>
  (group.health?.issues ?? [])
    .map((i) => `${i.code}: ${i.message} (${(i.resourceIds ?? []).join(", ")})`)
    .join("; ") || "EKS gives no reason";

/** Waits until EKS has carried out an update of the group; throws when it failed or was cancelled. */
async function finish(context: Context, names: Names, update: EksUpdate | undefined): Promise<void> {
  const id = update?.id;
  if (!id) return;
  const label = `EKS ends update ${id} of node group ${names.nodegroupName}`;
  const ended =
    update.status !== "InProgress"
      ? update
      : await until(label, context.patience, async () => {
          const answer = await context.aws.eks.send(
            new DescribeUpdateCommand({
              name: names.clusterName,
              nodegroupName: names.nodegroupName,
              updateId: id,
            }),
          );
          return answer.update?.status === "InProgress" ? undefined : answer.update;
        });
  if (ended.status !== "Successful") {
    const why = (ended.errors ?? []).map((e) => `${e.errorCode}: ${e.errorMessage}`).join("; ");
    throw new Error(`EKS ended the update as ${ended.status}: ${why || "no reason given"}`);
  }
}

const taintId = (t: Taint): string => `${t.key}=${t.value ?? ""}:${t.effect}`;

function configChange(
  olds: Values,
  news: Values,
  changed: (name: string) => boolean,
): Partial<UpdateNodegroupConfigCommandInput> {
  const change: Partial<UpdateNodegroupConfigCommandInput> = {};
  const api = toApi(INPUTS, news, "camel") as Partial<CreateNodegroupCommandInput>;
  if (changed("scalingConfig")) change.scalingConfig = api.scalingConfig;
  if (changed("updateConfig")) change.updateConfig = api.updateConfig;
  if (changed("nodeRepairConfig")) change.nodeRepairConfig = api.nodeRepairConfig;
  if (changed("labels")) {
    const { put, remove } = mapChanges(olds.labels, news.labels);
    change.labels = { addOrUpdateLabels: put, removeLabels: remove };
  }
  if (changed("taints")) {
    const before = (olds.taints ?? []) as Taint[];
    const after = (news.taints ?? []) as Taint[];
    const slot = (t: Taint) => `${t.key}:${t.effect}`;
    change.taints = {
      addOrUpdateTaints: after.filter((t) => !before.some((b) => taintId(b) === taintId(t))),
      removeTaints: before.filter((t) => !after.some((a) => slot(a) === slot(t))),
    };
  }
  return change;
}

export const nodeGroup: ResourceType = {
  token: "aws:eks/nodeGroup:NodeGroup",
  nameProperty: "nodeGroupName",
  inputs: INPUTS,
  outputs: [
    "arn",
    "resources",
    "status",
    "amiType",
    "capacityType",
    "diskSize",
    "instanceTypes",
    "releaseVersion",
    "version",
  ],
  changesOutputs: (changed) => (changed("version", "launchTemplate") ? ["releaseVersion", "version"] : []),
  spoilt: (state) =>
    state.status === "CREATE_FAILED" ? "its creation failed, and EKS cannot repair such a group" : undefined,

  async create(context, inputs) {
    const names = { clusterName: String(inputs.clusterName), nodegroupName: String(inputs.nodeGroupName) };
    const id = `${names.clusterName}:${names.nodegroupName}`;
    const { forceUpdateVersion: _, ...sent } = INPUTS;
    await context.aws.eks.send(
      new CreateNodegroupCommand(
        toApi(sent, oneReference(inputs), "camel") as unknown as CreateNodegroupCommandInput,
      ),
    );
    context.created(id);
    const group = await until(`node group ${id} is ACTIVE`, context.patience, async () => {
      const now = await describe(context, names);
      if (!now) throw new Error(`node group ${id} vanished while it was being created`);
      return now.status === "CREATING" ? undefined : now;
    });
    if (group.status !== "ACTIVE")
      throw new Error(
        `EKS ended its creation as ${group.status}: ${issues(group)}. The next update replaces it`,
      );
    return id;
  },

  async read(context, id) {
    const group = await describe(context, parse(id));
    if (!group || group.status === "DELETING") return undefined;
    const state = fromApi(INPUTS, group, "camel");
    if (group.remoteAccess?.ec2SshKey === MOTO_KEY) delete state.remoteAccess;
    return {
      ...state,
      arn: group.nodegroupArn,
      status: group.status,
      resources: [
        {
          autoscalingGroups: (group.resources?.autoScalingGroups ?? []).map((g) => ({ name: g.name })),
          remoteAccessSecurityGroupId: group.resources?.remoteAccessSecurityGroup ?? "",
        },
      ],
    };
  },

  async update(context, id, { olds, news, changed }) {
    const { eks } = context.aws;
    const names = parse(id);
    if (changed("launchTemplate", "releaseVersion", "version")) {
      const { launchTemplate: template } = oneReference(news) as {
        launchTemplate?: LaunchTemplateSpecification;
      };
      const { update } = await eks.send(
        new UpdateNodegroupVersionCommand({
          ...names,
          force: news.forceUpdateVersion === true,
          ...(changed("launchTemplate") && template ? { launchTemplate: template } : {}),
          ...(changed("releaseVersion") ? { releaseVersion: news.releaseVersion as string } : {}),
          ...(changed("version") ? { version: news.version as string } : {}),
        }),
      );
      await finish(context, names, update);
    }
    const change = configChange(olds, news, changed);
    if (Object.keys(change).length > 0) {
      const { update } = await eks.send(new UpdateNodegroupConfigCommand({ ...names, ...change }));
      await finish(context, names, update);
    }
    if (changed("tags")) {
      const { put, remove } = mapChanges(olds.tags, news.tags);
      const resourceArn = String(olds.arn);
      if (remove.length > 0) await eks.send(new UntagResourceCommand({ resourceArn, tagKeys: remove }));
      if (Object.keys(put).length > 0) await eks.send(new TagResourceCommand({ resourceArn, tags: put }));
    }
  },

  async delete(context, id) {
    const names = parse(id);
    const { status } = (await describe(context, names)) ?? {};
    if (status && status !== "DELETING")
      await ifExists(context.aws.eks.send(new DeleteNodegroupCommand(names)));
    await until(`node group ${id} is gone`, context.patience, async () => {
      const group = await describe(context, names);
      if (group?.status === "DELETE_FAILED") throw new Error(`EKS could not delete it: ${issues(group)}`);
      return group ? undefined : true;
    });
  },
};
