import {
  AddTagsCommand,
  CreateTargetGroupCommand,
  DeleteTargetGroupCommand,
  DescribeTagsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
  RemoveTagsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { CreateTargetGroupCommandInput } from "@aws-sdk/client-elastic-load-balancing-v2";
import { fromApi, mapChanges, toApi } from "../codec.ts";
import { ifExists } from "../errors.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Fields, Values } from "../schema.ts";
import { boolean, map, number, object, text } from "../schema.ts";

/** The API has no object for these: they are members of the target group itself. */
const HEALTH: Fields = {
  enabled: boolean({ computed: true, api: "HealthCheckEnabled" }),
  healthyThreshold: number({ computed: true, api: "HealthyThresholdCount" }),
  interval: number({ computed: true, api: "HealthCheckIntervalSeconds" }),
  path: text({ computed: true, api: "HealthCheckPath" }),
  port: text({ computed: true, api: "HealthCheckPort" }),
  protocol: text({ computed: true, api: "HealthCheckProtocol" }),
  timeout: number({ computed: true, api: "HealthCheckTimeoutSeconds" }),
  unhealthyThreshold: number({ computed: true, api: "UnhealthyThresholdCount" }),
};

const FIXED: Fields = {
  name: text({ replaces: true, computed: true }),
  port: number({ replaces: true }),
  protocol: text({ replaces: true }),
  targetType: text({ replaces: true, fallback: "instance" }),
  vpcId: text({ replaces: true }),
};

const attributes = (inputs: Values) => [
  { Key: "deregistration_delay.timeout_seconds", Value: String(inputs.deregistrationDelay) },
];
const tagList = (tags: unknown) =>
  Object.entries((tags ?? {}) as Record<string, string>).map(([Key, Value]) => ({ Key, Value }));

export const targetGroup: ResourceType = {
  token: "aws:lb/targetGroup:TargetGroup",
  nameProperty: "name",
  inputs: {
    ...FIXED,
    healthCheck: object(HEALTH, { computed: true }),
    deregistrationDelay: number({ fallback: 300 }),
    tags: map(),
  },
  outputs: ["arn", "arnSuffix", "healthCheck"],

  async create(context, inputs) {
    const { loadBalancing } = context.aws;
    const answer = await loadBalancing.send(
      new CreateTargetGroupCommand({
        ...toApi(FIXED, inputs, "pascal"),
        ...toApi(HEALTH, (inputs.healthCheck ?? {}) as Values, "pascal"),
        ...(inputs.tags ? { Tags: tagList(inputs.tags) } : {}),
      } as CreateTargetGroupCommandInput),
    );
    const arn = answer.TargetGroups?.[0]?.TargetGroupArn ?? "";
    context.created(arn);
    await loadBalancing.send(
      new ModifyTargetGroupAttributesCommand({ TargetGroupArn: arn, Attributes: attributes(inputs) }),
    );
    return arn;
  },

  async read({ aws }, arn) {
    const answer = await ifExists(
      aws.loadBalancing.send(new DescribeTargetGroupsCommand({ TargetGroupArns: [arn] })),
    );
    const group = answer?.TargetGroups?.[0];
    if (!group) return undefined;
    const told = await aws.loadBalancing.send(
      new DescribeTargetGroupAttributesCommand({ TargetGroupArn: arn }),
    );
    const described = await aws.loadBalancing.send(new DescribeTagsCommand({ ResourceArns: [arn] }));
    const delay = told.Attributes?.find((a) => a.Key === "deregistration_delay.timeout_seconds")?.Value;
    return {
      ...fromApi(FIXED, { ...group, Name: group.TargetGroupName }, "pascal"),
      healthCheck: fromApi(HEALTH, group, "pascal"),
      deregistrationDelay: Number(delay ?? 300),
      tags: Object.fromEntries(
        (described.TagDescriptions?.[0]?.Tags ?? []).map((t) => [t.Key ?? "", t.Value ?? ""]),
      ),
      arn,
      arnSuffix: arn.slice(arn.indexOf("targetgroup/")),
    };
  },

  async update({ aws }, arn, { olds, news, changed }) {
    if (changed("healthCheck"))
      await aws.loadBalancing.send(
        new ModifyTargetGroupCommand({
          TargetGroupArn: arn,
          ...toApi(HEALTH, (news.healthCheck ?? {}) as Values, "pascal"),
        }),
      );
    if (changed("deregistrationDelay"))
      await aws.loadBalancing.send(
        new ModifyTargetGroupAttributesCommand({ TargetGroupArn: arn, Attributes: attributes(news) }),
      );
    const { put, remove } = mapChanges(olds.tags, news.tags);
    if (remove.length > 0)
      await aws.loadBalancing.send(new RemoveTagsCommand({ ResourceArns: [arn], TagKeys: remove }));
    if (Object.keys(put).length > 0)
      await aws.loadBalancing.send(new AddTagsCommand({ ResourceArns: [arn], Tags: tagList(put) }));
  },

  async delete({ aws }, arn) {
    await ifExists(aws.loadBalancing.send(new DeleteTargetGroupCommand({ TargetGroupArn: arn })));
  },
};
