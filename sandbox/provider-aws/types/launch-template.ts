import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  CreateTagsCommand,
  DeleteLaunchTemplateCommand,
  DeleteTagsCommand,
  DescribeLaunchTemplatesCommand,
  DescribeLaunchTemplateVersionsCommand,
  DescribeTagsCommand,
  ModifyLaunchTemplateCommand,
} from "@aws-sdk/client-ec2";
import { fromApi, mapChanges, toApi } from "../codec.ts";
import { ifExists } from "../errors.ts";
import type { Context, ResourceType } from "../resource-type.ts";
import type { Fields, Values } from "../schema.ts";
import { boolean, booleanText, list, map, number, object, set, tags, text } from "../schema.ts";

/** What a version of the template holds: a change makes a new version. */
const DATA: Fields = {
  blockDeviceMappings: list(
    object({
      deviceName: text(),
      noDevice: text(),
      virtualName: text(),
      ebs: object({
        deleteOnTermination: booleanText({ computed: true }),
        encrypted: booleanText({ computed: true }),
        iops: number({ computed: true }),
        kmsKeyId: text(),
        snapshotId: text(),
        throughput: number({ computed: true }),
        volumeSize: number({ computed: true }),
        volumeType: text({ computed: true }),
      }),
    }),
  ),
  cpuOptions: object({ coreCount: number(), threadsPerCore: number(), amdSevSnp: text() }),
  creditSpecification: object({ cpuCredits: text() }),
  disableApiStop: boolean(),
  disableApiTermination: boolean(),
  ebsOptimized: booleanText(),
  iamInstanceProfile: object({ arn: text(), name: text() }),
  imageId: text(),
  instanceInitiatedShutdownBehavior: text(),
  instanceMarketOptions: object({
    marketType: text(),
    spotOptions: object({
      blockDurationMinutes: number(),
      instanceInterruptionBehavior: text(),
      maxPrice: text(),
      spotInstanceType: text(),
      validUntil: text({ computed: true }),
    }),
  }),
  instanceType: text(),
  keyName: text(),
  metadataOptions: object(
    {
      httpEndpoint: text({ computed: true }),
      httpProtocolIpv6: text({ computed: true }),
      httpPutResponseHopLimit: number({ computed: true }),
      httpTokens: text({ computed: true }),
      instanceMetadataTags: text({ computed: true }),
    },
    { computed: true },
  ),
  monitoring: object({ enabled: boolean() }),
  networkInterfaces: list(
    object({
      associatePublicIpAddress: booleanText(),
      deleteOnTermination: booleanText(),
      description: text(),
      deviceIndex: number(),
      interfaceType: text(),
      networkCardIndex: number(),
      networkInterfaceId: text(),
      securityGroups: set(text(), { api: "Groups" }),
      subnetId: text(),
    }),
  ),
  placement: object({
    availabilityZone: text(),
    groupName: text(),
    tenancy: text(),
    partitionNumber: number(),
  }),
  privateDnsNameOptions: object({
    enableResourceNameDnsARecord: boolean(),
    enableResourceNameDnsAaaaRecord: boolean({ api: "EnableResourceNameDnsAAAARecord" }),
    hostnameType: text(),
  }),
  securityGroupNames: set(text(), { api: "SecurityGroups" }),
  tagSpecifications: list(object({ resourceType: text(), tags: tags() })),
  userData: text(),
  vpcSecurityGroupIds: set(text(), { api: "SecurityGroupIds" }),
};

const dataNames = Object.keys(DATA);

const latest = async ({ aws }: Context, id: string): Promise<Values | undefined> => {
  const answer = await ifExists(
    aws.ec2.send(new DescribeLaunchTemplatesCommand({ LaunchTemplateIds: [id] })),
  );
  const template = answer?.LaunchTemplates?.[0];
  if (!template) return undefined;
  const versions = await aws.ec2.send(
    new DescribeLaunchTemplateVersionsCommand({
      LaunchTemplateId: id,
      Versions: [String(template.LatestVersionNumber)],
    }),
  );
  // moto's template answers with the tags it was created with; DescribeTags knows the current ones.
  const told = await aws.ec2.send(
    new DescribeTagsCommand({ Filters: [{ Name: "resource-id", Values: [id] }] }),
  );
  const version = versions.LaunchTemplateVersions?.[0];
  const data = fromApi(DATA, version?.LaunchTemplateData, "pascal");
  // The template's own tags are no part of what it launches; moto records them there.
  const specifications = (data.tagSpecifications as Values[] | undefined)?.filter(
    (s) => s.resourceType !== "launch-template",
  );
  return {
    ...data,
    ...(specifications ? { tagSpecifications: specifications } : {}),
    name: template.LaunchTemplateName,
    description: version?.VersionDescription ?? "",
    defaultVersion: template.DefaultVersionNumber,
    latestVersion: template.LatestVersionNumber,
    tags: Object.fromEntries((told.Tags ?? []).map((t) => [t.Key ?? "", t.Value ?? ""])),
    arn: `arn:aws:ec2:${aws.region}:123456789012:launch-template/${id}`,
  };
};

export const launchTemplate: ResourceType = {
  token: "aws:ec2/launchTemplate:LaunchTemplate",
  nameProperty: "name",
  inputs: {
    ...DATA,
    name: text({ replaces: true, computed: true }),
    description: text(),
    defaultVersion: number({ computed: true }),
    updateDefaultVersion: boolean({ keep: true }),
    tags: map(),
  },
  outputs: ["arn", "latestVersion", "defaultVersion"],
  changesOutputs: (changed, news) => {
    if (!changed(...dataNames, "description")) return [];
    return news.updateDefaultVersion === true ? ["latestVersion", "defaultVersion"] : ["latestVersion"];
  },
  read: latest,

  async create(context, inputs) {
    const answer = await context.aws.ec2.send(
      new CreateLaunchTemplateCommand({
        LaunchTemplateName: String(inputs.name),
        VersionDescription: inputs.description as string | undefined,
        LaunchTemplateData: toApi(DATA, inputs, "pascal"),
        ...(inputs.tags
          ? {
              TagSpecifications: [
                {
                  ResourceType: "launch-template" as const,
                  Tags: Object.entries(inputs.tags as Record<string, string>).map(([Key, Value]) => ({
                    Key,
                    Value,
                  })),
                },
              ],
            }
          : {}),
      }),
    );
    const id = answer.LaunchTemplate?.LaunchTemplateId ?? "";
    context.created(id);
    return id;
  },

  async update({ aws }, id, { olds, news, changed }) {
    let latestVersion = Number(olds.latestVersion);
    if (changed(...dataNames, "description")) {
      const answer = await aws.ec2.send(
        new CreateLaunchTemplateVersionCommand({
          LaunchTemplateId: id,
          VersionDescription: news.description as string | undefined,
          LaunchTemplateData: toApi(DATA, news, "pascal"),
        }),
      );
      latestVersion = Number(answer.LaunchTemplateVersion?.VersionNumber);
    }
    const wanted =
      news.updateDefaultVersion === true ? latestVersion : Number(news.defaultVersion ?? olds.defaultVersion);
    if (wanted !== Number(olds.defaultVersion))
      await aws.ec2.send(
        new ModifyLaunchTemplateCommand({ LaunchTemplateId: id, DefaultVersion: String(wanted) }),
      );
    if (changed("tags")) {
      const { put, remove } = mapChanges(olds.tags, news.tags);
      if (remove.length > 0)
        await aws.ec2.send(new DeleteTagsCommand({ Resources: [id], Tags: remove.map((Key) => ({ Key })) }));
      if (Object.keys(put).length > 0)
        await aws.ec2.send(
          new CreateTagsCommand({
            Resources: [id],
            Tags: Object.entries(put).map(([Key, Value]) => ({ Key, Value })),
          }),
        );
    }
  },

  async delete({ aws }, id) {
    await ifExists(aws.ec2.send(new DeleteLaunchTemplateCommand({ LaunchTemplateId: id })));
  },
};
