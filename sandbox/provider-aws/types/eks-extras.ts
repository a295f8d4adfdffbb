/** What nodes need from the cluster: access entries and add-ons. */
import {
  CreateAccessEntryCommand,
  CreateAddonCommand,
  DeleteAccessEntryCommand,
  DeleteAddonCommand,
  DescribeAccessEntryCommand,
  DescribeAddonCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAccessEntryCommand,
  UpdateAddonCommand,
} from "@aws-sdk/client-eks";
import type { Addon, CreateAddonCommandInput, UpdateAddonCommandInput } from "@aws-sdk/client-eks";
import { fromApi, mapChanges, toApi } from "../codec.ts";
import { ifExists } from "../errors.ts";
import type { Context, ResourceType } from "../resource-type.ts";
import type { Fields } from "../schema.ts";
import { boolean, map, set, text } from "../schema.ts";
import { until } from "../wait.ts";

/** `<cluster>:<rest>`; a cluster's name has no colon. */
function parse(id: string): [cluster: string, rest: string] {
  const at = id.indexOf(":");
  if (at < 1) throw new Error(`the id reads <cluster>:<name>, not ${id}`);
  return [id.slice(0, at), id.slice(at + 1)];
}

async function retag({ aws }: Context, resourceArn: string, old: unknown, now: unknown): Promise<void> {
  const { put, remove } = mapChanges(old, now);
  if (remove.length > 0) await aws.eks.send(new UntagResourceCommand({ resourceArn, tagKeys: remove }));
  if (Object.keys(put).length > 0) await aws.eks.send(new TagResourceCommand({ resourceArn, tags: put }));
}

const ENTRY: Fields = {
  clusterName: text({ required: true, replaces: true }),
  principalArn: text({ required: true, replaces: true }),
  kubernetesGroups: set(text(), { computed: true }),
  type: text({ replaces: true, fallback: "STANDARD" }),
  userName: text({ computed: true, api: "username" }),
  tags: map(),
};

export const accessEntry: ResourceType = {
  token: "aws:eks/accessEntry:AccessEntry",
  inputs: ENTRY,
  outputs: ["accessEntryArn", "createdAt", "modifiedAt", "kubernetesGroups", "userName"],
  changesOutputs: () => ["modifiedAt"],
  async create(context, inputs) {
    const input = toApi(ENTRY, inputs, "camel");
    const id = `${String(inputs.clusterName)}:${String(inputs.principalArn)}`;
    await context.aws.eks.send(
      new CreateAccessEntryCommand(input as { clusterName: string; principalArn: string }),
    );
    context.created(id);
    return id;
  },
  async read({ aws }, id) {
    const [clusterName, principalArn] = parse(id);
    const answer = await ifExists(
      aws.eks.send(new DescribeAccessEntryCommand({ clusterName, principalArn })),
    );
    const entry = answer?.accessEntry;
    if (!entry) return undefined;
    return {
      ...fromApi(ENTRY, entry, "camel"),
      accessEntryArn: entry.accessEntryArn,
      createdAt: entry.createdAt?.toISOString(),
      modifiedAt: entry.modifiedAt?.toISOString(),
    };
  },
  async update(context, id, { olds, news, changed }) {
    const [clusterName, principalArn] = parse(id);
    if (changed("kubernetesGroups", "userName"))
      await context.aws.eks.send(
        new UpdateAccessEntryCommand({
          clusterName,
          principalArn,
          kubernetesGroups: (news.kubernetesGroups ?? []) as string[],
          username: news.userName as string | undefined,
        }),
      );
    await retag(context, String(olds.accessEntryArn), olds.tags, news.tags);
  },
  async delete({ aws }, id) {
    const [clusterName, principalArn] = parse(id);
    await ifExists(aws.eks.send(new DeleteAccessEntryCommand({ clusterName, principalArn })));
  },
};

const ADDON: Fields = {
  clusterName: text({ required: true, replaces: true }),
  addonName: text({ required: true, replaces: true }),
  addonVersion: text({ computed: true }),
  configurationValues: text({ computed: true }),
  serviceAccountRoleArn: text(),
  tags: map(),
};

const describe = async ({ aws }: Context, id: string): Promise<Addon | undefined> => {
  const [clusterName, addonName] = parse(id);
  return (await ifExists(aws.eks.send(new DescribeAddonCommand({ clusterName, addonName }))))?.addon;
};

async function settled(context: Context, id: string): Promise<void> {
  const addon = await until(`add-on ${id} is settled`, context.patience, async () => {
    const now = await describe(context, id);
    if (!now) throw new Error(`add-on ${id} vanished while it was being set up`);
    return now.status === "CREATING" || now.status === "UPDATING" ? undefined : now;
  });
  if (addon.status !== "ACTIVE") {
    const why = (addon.health?.issues ?? []).map((i) => `${i.code}: ${i.message}`).join("; ");
    throw new Error(`EKS left the add-on as ${addon.status}: ${why || "no reason given"}`);
  }
}

export const addon: ResourceType = {
  token: "aws:eks/addon:Addon",
  inputs: {
    ...ADDON,
    preserve: boolean({ keep: true }),
    resolveConflictsOnCreate: text({ keep: true }),
    resolveConflictsOnUpdate: text({ keep: true }),
  },
  outputs: ["arn", "createdAt", "modifiedAt", "addonVersion", "configurationValues"],
  changesOutputs: () => ["modifiedAt"],
  spoilt: (state) => (state.status === "CREATE_FAILED" ? "its creation failed" : undefined),
  async create(context, inputs) {
    const id = `${String(inputs.clusterName)}:${String(inputs.addonName)}`;
    await context.aws.eks.send(
      new CreateAddonCommand({
        ...toApi(ADDON, inputs, "camel"),
        resolveConflicts: inputs.resolveConflictsOnCreate,
      } as CreateAddonCommandInput),
    );
    context.created(id);
    await settled(context, id);
    return id;
  },
  async read(context, id) {
    const found = await describe(context, id);
    if (!found || found.status === "DELETING") return undefined;
    return {
      ...fromApi(ADDON, found, "camel"),
      arn: found.addonArn,
      createdAt: found.createdAt?.toISOString(),
      modifiedAt: found.modifiedAt?.toISOString(),
    };
  },
  async update(context, id, { olds, news, changed }) {
    if (changed("addonVersion", "configurationValues", "serviceAccountRoleArn")) {
      const { tags: _, ...sent } = ADDON;
      await context.aws.eks.send(
        new UpdateAddonCommand({
          ...toApi(sent, news, "camel"),
          resolveConflicts: news.resolveConflictsOnUpdate,
        } as UpdateAddonCommandInput),
      );
      await settled(context, id);
    }
    await retag(context, String(olds.arn), olds.tags, news.tags);
  },
  async delete(context, id, inputs) {
    const [clusterName, addonName] = parse(id);
    const preserve = inputs.preserve === true;
    await ifExists(context.aws.eks.send(new DeleteAddonCommand({ clusterName, addonName, preserve })));
    await until(`add-on ${id} is gone`, context.patience, async () =>
      (await describe(context, id)) ? undefined : true,
    );
  },
};
