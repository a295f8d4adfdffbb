import {
  AddRoleToInstanceProfileCommand,
  AttachRolePolicyCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  DeleteInstanceProfileCommand,
  DeleteRoleCommand,
  DeleteRolePermissionsBoundaryCommand,
  DetachRolePolicyCommand,
  GetInstanceProfileCommand,
  GetRoleCommand,
  ListAttachedRolePoliciesCommand,
  PutRolePermissionsBoundaryCommand,
  RemoveRoleFromInstanceProfileCommand,
  TagInstanceProfileCommand,
  TagRoleCommand,
  UntagInstanceProfileCommand,
  UntagRoleCommand,
  UpdateAssumeRolePolicyCommand,
  UpdateRoleCommand,
} from "@aws-sdk/client-iam";
import type { Tag } from "@aws-sdk/client-iam";
import { mapChanges } from "../codec.ts";
import { ifExists } from "../errors.ts";
import type { Context, ResourceType } from "../resource-type.ts";
import type { Values } from "../schema.ts";
import { boolean, json, map, number, text } from "../schema.ts";

const pairs = (tags: unknown): { Key: string; Value: string }[] =>
  Object.entries((tags ?? {}) as Record<string, string>).map(([Key, Value]) => ({ Key, Value }));
const unpair = (tags: Tag[] | undefined): Values =>
  Object.fromEntries((tags ?? []).map((t) => [t.Key ?? "", t.Value ?? ""]));
const optional = (value: unknown): string | undefined => value as string | undefined;

const attached = async ({ aws }: Context, role: string): Promise<string[] | undefined> =>
  (
    await ifExists(aws.iam.send(new ListAttachedRolePoliciesCommand({ RoleName: role })))
  )?.AttachedPolicies?.map((p) => p.PolicyArn ?? "");

export const role: ResourceType = {
  token: "aws:iam/role:Role",
  nameProperty: "name",
  inputs: {
    name: text({ replaces: true, computed: true }),
    assumeRolePolicy: json({ required: true }),
    description: text(),
    path: text({ replaces: true, fallback: "/" }),
    maxSessionDuration: number({ fallback: 3600 }),
    permissionsBoundary: text(),
    forceDetachPolicies: boolean({ keep: true }),
    tags: map(),
  },
  outputs: ["arn", "createDate", "uniqueId"],

  async create(context, inputs) {
    const RoleName = String(inputs.name);
    await context.aws.iam.send(
      new CreateRoleCommand({
        RoleName,
        AssumeRolePolicyDocument: String(inputs.assumeRolePolicy),
        Description: optional(inputs.description),
        Path: optional(inputs.path),
        MaxSessionDuration: Number(inputs.maxSessionDuration),
        PermissionsBoundary: optional(inputs.permissionsBoundary),
        Tags: pairs(inputs.tags),
      }),
    );
    context.created(RoleName);
    return RoleName;
  },

  async read({ aws }, id) {
    const found = (await ifExists(aws.iam.send(new GetRoleCommand({ RoleName: id }))))?.Role;
    if (!found) return undefined;
    return {
      name: found.RoleName,
      assumeRolePolicy: decodeURIComponent(found.AssumeRolePolicyDocument ?? ""),
      description: found.Description ?? "",
      path: found.Path,
      maxSessionDuration: found.MaxSessionDuration ?? 3600,
      permissionsBoundary: found.PermissionsBoundary?.PermissionsBoundaryArn ?? "",
      tags: unpair(found.Tags),
      arn: found.Arn,
      createDate: found.CreateDate?.toISOString(),
      uniqueId: found.RoleId,
    };
  },

  async update({ aws }, RoleName, { olds, news, changed }) {
    if (changed("assumeRolePolicy"))
      await aws.iam.send(
        new UpdateAssumeRolePolicyCommand({ RoleName, PolicyDocument: String(news.assumeRolePolicy) }),
      );
    if (changed("description", "maxSessionDuration"))
      await aws.iam.send(
        new UpdateRoleCommand({
          RoleName,
          Description: optional(news.description) ?? "",
          MaxSessionDuration: Number(news.maxSessionDuration),
        }),
      );
    const boundary = optional(news.permissionsBoundary);
    if (changed("permissionsBoundary"))
      await (boundary
        ? aws.iam.send(new PutRolePermissionsBoundaryCommand({ RoleName, PermissionsBoundary: boundary }))
        : aws.iam.send(new DeleteRolePermissionsBoundaryCommand({ RoleName })));
    const { put, remove } = mapChanges(olds.tags, news.tags);
    if (remove.length > 0) await aws.iam.send(new UntagRoleCommand({ RoleName, TagKeys: remove }));
    if (Object.keys(put).length > 0) await aws.iam.send(new TagRoleCommand({ RoleName, Tags: pairs(put) }));
  },

  async delete(context, RoleName, inputs) {
    if (inputs.forceDetachPolicies === true)
      for (const PolicyArn of (await attached(context, RoleName)) ?? [])
        await ifExists(context.aws.iam.send(new DetachRolePolicyCommand({ RoleName, PolicyArn })));
    await ifExists(context.aws.iam.send(new DeleteRoleCommand({ RoleName })));
  },
};

/** `<role>/<policy ARN>`; a role's name has no slash. */
function parseAttachment(id: string): { RoleName: string; PolicyArn: string } {
  const at = id.indexOf("/");
  if (at < 1) throw new Error(`a role policy attachment's id reads <role>/<policy ARN>, not ${id}`);
  return { RoleName: id.slice(0, at), PolicyArn: id.slice(at + 1) };
}

export const rolePolicyAttachment: ResourceType = {
  token: "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
  inputs: {
    role: text({ required: true, replaces: true }),
    policyArn: text({ required: true, replaces: true }),
  },
  outputs: [],
  async create(context, inputs) {
    const names = { RoleName: String(inputs.role), PolicyArn: String(inputs.policyArn) };
    await context.aws.iam.send(new AttachRolePolicyCommand(names));
    const id = `${names.RoleName}/${names.PolicyArn}`;
    context.created(id);
    return id;
  },
  async read(context, id) {
    const { RoleName, PolicyArn } = parseAttachment(id);
    const policies = await attached(context, RoleName);
    return policies?.includes(PolicyArn) ? { role: RoleName, policyArn: PolicyArn } : undefined;
  },
  update: () => Promise.resolve(), // every change replaces it
  async delete({ aws }, id) {
    await ifExists(aws.iam.send(new DetachRolePolicyCommand(parseAttachment(id))));
  },
};

export const instanceProfile: ResourceType = {
  token: "aws:iam/instanceProfile:InstanceProfile",
  nameProperty: "name",
  inputs: {
    name: text({ replaces: true, computed: true }),
    path: text({ replaces: true, fallback: "/" }),
    role: text(),
    tags: map(),
  },
  outputs: ["arn", "createDate", "uniqueId"],
  async create(context, inputs) {
    const InstanceProfileName = String(inputs.name);
    await context.aws.iam.send(
      new CreateInstanceProfileCommand({
        InstanceProfileName,
        Path: optional(inputs.path),
        Tags: pairs(inputs.tags),
      }),
    );
    context.created(InstanceProfileName);
    const RoleName = optional(inputs.role);
    if (RoleName)
      await context.aws.iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName, RoleName }));
    return InstanceProfileName;
  },
  async read({ aws }, id) {
    const answer = await ifExists(aws.iam.send(new GetInstanceProfileCommand({ InstanceProfileName: id })));
    const found = answer?.InstanceProfile;
    if (!found) return undefined;
    return {
      name: found.InstanceProfileName,
      path: found.Path,
      role: found.Roles?.[0]?.RoleName,
      tags: unpair(found.Tags),
      arn: found.Arn,
      createDate: found.CreateDate?.toISOString(),
      uniqueId: found.InstanceProfileId,
    };
  },
  async update({ aws }, InstanceProfileName, { olds, news, changed }) {
    const before = optional(olds.role);
    const after = optional(news.role);
    if (changed("role") && before)
      await aws.iam.send(new RemoveRoleFromInstanceProfileCommand({ InstanceProfileName, RoleName: before }));
    if (changed("role") && after)
      await aws.iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName, RoleName: after }));
    const { put, remove } = mapChanges(olds.tags, news.tags);
    if (remove.length > 0)
      await aws.iam.send(new UntagInstanceProfileCommand({ InstanceProfileName, TagKeys: remove }));
    if (Object.keys(put).length > 0)
      await aws.iam.send(new TagInstanceProfileCommand({ InstanceProfileName, Tags: pairs(put) }));
  },
  async delete({ aws }, InstanceProfileName) {
    const found = await ifExists(aws.iam.send(new GetInstanceProfileCommand({ InstanceProfileName })));
    for (const { RoleName } of found?.InstanceProfile?.Roles ?? [])
      await ifExists(
        aws.iam.send(new RemoveRoleFromInstanceProfileCommand({ InstanceProfileName, RoleName })),
      );
    await ifExists(aws.iam.send(new DeleteInstanceProfileCommand({ InstanceProfileName })));
  },
};
