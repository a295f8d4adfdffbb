import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { AwsPoolConfig, Disk } from "../rollout/config/index.ts";
import { templateNames } from "../rollout/generation.ts";
import { type Place, poolTags } from "./tags.ts";
import { type Bootstrap, joinsByItself, userDataOf } from "./user-data.ts";

export interface LaunchTemplateArgs extends Place {
  /** What nodes must know of their cluster; left out on a cluster that is not EKS. */
  bootstrap: pulumi.Input<Bootstrap> | undefined;
  /** Security groups where the pool names none: the EKS cluster's own. A managed group gets it from EKS by itself. */
  clusterSecurityGroupId: pulumi.Input<string> | undefined;
  /** Self-managed nodes: name or ARN of the profile with their role. Managed groups hand over the role themselves. */
  instanceProfile: pulumi.Input<string> | undefined;
}

/**
 * The one launch template of a generation. It never gets a second version: whatever would change it changes the generation, and
 * thereby its name. Groups refer to version 1 by number, so nothing can lag behind.
 */
export function launchTemplate(
  args: LaunchTemplateArgs,
  options: pulumi.CustomResourceOptions,
): aws.ec2.LaunchTemplate {
  const { pool, clusterName, generation, bootstrap } = args;
  const { logical, physical } = templateNames(clusterName, pool.name, generation);
  const userData =
    bootstrap === undefined || joinsByItself(pool)
      ? encoded(userDataOf(pool, generation, undefined))
      : pulumi.output(bootstrap).apply((known) => encoded(userDataOf(pool, generation, known)) ?? "");
  const tags = { Name: `${clusterName}-${pool.name}`, ...poolTags(args) };
  return new aws.ec2.LaunchTemplate(
    logical,
    {
      name: physical,
      description: `PatchGuard: pool ${pool.name}, generation ${generation}`,
      imageId: "ami" in pool.image ? pool.image.ami : undefined,
      // a managed group names its instance types itself; both places at once are refused by EKS
      instanceType: pool.kind === "self-managed" ? pool.instanceTypes[0] : undefined,
      iamInstanceProfile:
        args.instanceProfile === undefined ? undefined : profileReference(args.instanceProfile),
      keyName: pool.keyName,
      userData,
      ...network(args),
      blockDeviceMappings: blockDevices(pool),
      metadataOptions: {
        httpEndpoint: "enabled",
        httpTokens: pool.metadataOptions.tokens,
        httpPutResponseHopLimit: pool.metadataOptions.hopLimit,
        instanceMetadataTags: pool.metadataOptions.instanceTags ? "enabled" : "disabled",
      },
      monitoring: { enabled: pool.monitoring },
      ebsOptimized: pool.ebsOptimized?.toString(),
      creditSpecification: pool.cpuCredits === undefined ? undefined : { cpuCredits: pool.cpuCredits },
      placement: pool.placement,
      capacityReservationSpecification: capacityReservation(pool),
      tagSpecifications: ["instance", "volume", "network-interface"].map((resourceType) => ({
        resourceType,
        tags,
      })),
      tags: poolTags(args),
    },
    // tags of the user's may change without a new generation; instances get them from their next generation on
    { ...options, ignoreChanges: [...(options.ignoreChanges ?? []), "tagSpecifications"] },
  );
}

const encoded = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : Buffer.from(text).toString("base64");

/** A profile of ours comes as its name, one of the user's as either. */
const profileReference = (
  profile: pulumi.Input<string>,
): aws.types.input.ec2.LaunchTemplateIamInstanceProfile =>
  typeof profile === "string" && profile.startsWith("arn:") ? { arn: profile } : { name: profile };

function network({
  pool,
  clusterSecurityGroupId,
}: LaunchTemplateArgs): Pick<aws.ec2.LaunchTemplateArgs, "networkInterfaces" | "vpcSecurityGroupIds"> {
  const fallback = clusterSecurityGroupId === undefined ? undefined : [clusterSecurityGroupId];
  if (pool.publicIp !== undefined)
    return {
      networkInterfaces: [
        {
          deviceIndex: 0,
          associatePublicIpAddress: pool.publicIp.toString(),
          deleteOnTermination: "true",
          securityGroups: pool.securityGroupIds ?? fallback,
        },
      ],
    };
  return {
    vpcSecurityGroupIds: pool.securityGroupIds ?? (pool.kind === "self-managed" ? fallback : undefined),
  };
}

type BlockDevice = aws.types.input.ec2.LaunchTemplateBlockDeviceMapping;

/** The disk that pods live on, and what stands beside it. Bottlerocket keeps its system on a volume of its own (/dev/xvda). */
function blockDevices(pool: AwsPoolConfig): BlockDevice[] {
  const bottlerocket =
    pool.userData?.family === "bottlerocket" ||
    (pool.kind === "eks-managed" && (pool.amiType ?? "").startsWith("BOTTLEROCKET"));
  const main = pool.disk.deviceName ?? (bottlerocket ? "/dev/xvdb" : "/dev/xvda");
  const system: BlockDevice[] =
    bottlerocket && main !== "/dev/xvda"
      ? [
          {
            deviceName: "/dev/xvda",
            ebs: {
              volumeType: "gp3",
              encrypted: pool.disk.encrypted.toString(),
              kmsKeyId: pool.disk.kmsKeyId,
              deleteOnTermination: "true",
            },
          },
        ]
      : [];
  return [
    ...system,
    { deviceName: main, ebs: volume(pool.disk) },
    ...pool.extraDisks.map((disk) => ({
      deviceName: disk.deviceName,
      ebs: { ...volume(disk), snapshotId: disk.snapshotId },
    })),
  ];
}

const volume = (disk: Disk): aws.types.input.ec2.LaunchTemplateBlockDeviceMappingEbs => ({
  volumeSize: disk.sizeGiB,
  volumeType: disk.type,
  iops: disk.iops,
  throughput: disk.throughput,
  encrypted: disk.encrypted.toString(),
  kmsKeyId: disk.kmsKeyId,
  deleteOnTermination: "true",
});

function capacityReservation({
  capacityReservation: wanted,
}: AwsPoolConfig): aws.types.input.ec2.LaunchTemplateCapacityReservationSpecification | undefined {
  if (wanted === undefined) return undefined;
  const { preference, id, resourceGroupArn } = wanted;
  const target =
    id === undefined && resourceGroupArn === undefined
      ? undefined
      : { capacityReservationId: id, capacityReservationResourceGroupArn: resourceGroupArn };
  return { capacityReservationPreference: preference, capacityReservationTarget: target };
}
