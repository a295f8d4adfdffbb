import { z } from "zod";
import {
  flag,
  kubernetesVersion,
  nonEmpty,
  roleArn,
  securityGroupId,
  subnetId,
  tagMap,
  targetGroupArn,
  wholeNumber,
} from "./fields.ts";
import { common, image, size, userData } from "./pool-common.ts";

/** `patchguard:pools[]` of the kinds `eks-managed` and `self-managed`. */

const disk = z.strictObject({
  /** GiB; default: 50. With Bottlerocket this is the data volume, where images and pods live. */
  sizeGiB: wholeNumber(1, 65_536, "a disk size in GiB").default(50),
  /** Default: gp3. */
  type: z.enum(["gp2", "gp3", "io1", "io2"], { error: () => "must be gp2, gp3, io1 or io2" }).default("gp3"),
  /** I/O operations per second (gp3, io1, io2). Default: the type's. */
  iops: wholeNumber(100, 256_000, "a number of I/O operations per second").optional(),
  /** MiB per second (gp3). Default: 125. */
  throughput: wholeNumber(125, 2000, "a throughput in MiB per second").optional(),
  /** Default: true. */
  encrypted: flag().default(true),
  /** KMS key of the encryption, ARN or id. Default: the account's key for EBS. */
  kmsKeyId: nonEmpty("a KMS key").optional(),
  /** Device name. Default: /dev/xvda, with Bottlerocket /dev/xvdb (its data volume). */
  deviceName: z
    .string()
    .regex(/^\/dev\/[a-z0-9]+$/, { error: () => "must be a device such as /dev/xvda" })
    .optional(),
});

/** A further volume; unlike the root volume it needs a device name. */
const extraDisk = disk.extend({
  deviceName: z
    .string({ error: () => "needs a device name such as /dev/sdf" })
    .regex(/^\/dev\/[a-z0-9]+$/, { error: () => "must be a device such as /dev/sdf" }),
  /** Start from this EBS snapshot. */
  snapshotId: z
    .string()
    .regex(/^snap-[0-9a-f]{8,17}$/, { error: () => "must be an EBS snapshot id (snap-…)" })
    .optional(),
});

const metadataOptions = z.strictObject({
  /** How many network hops a token's answer may take; with 1 pods without host network get none. Default: 2. */
  hopLimit: wholeNumber(1, 64, "a number of hops").default(2),
  /** Version 2 of the metadata service only. Nothing else is accepted. */
  tokens: z.literal("required", { error: () => "must be required (IMDSv2 only)" }).default("required"),
  /** May instances read their own tags through the metadata service? Default: false. */
  instanceTags: flag().default(false),
});

const placement = z.strictObject({
  /** Placement group. */
  groupName: nonEmpty("the name of a placement group").optional(),
  /** Partition in a partition placement group. */
  partitionNumber: wholeNumber(1, 7, "a partition").optional(),
  tenancy: z
    .enum(["default", "dedicated", "host"], { error: () => "must be default, dedicated or host" })
    .optional(),
  hostResourceGroupArn: nonEmpty("the ARN of a host resource group").optional(),
});

const capacityReservation = z.strictObject({
  /** Default: open. */
  preference: z.enum(["open", "none", "capacity-reservations-only"]).optional(),
  id: z
    .string()
    .regex(/^cr-[0-9a-f]{8,17}$/, { error: () => "must be a capacity reservation (cr-…)" })
    .optional(),
  resourceGroupArn: nonEmpty("the ARN of a resource group of reservations").optional(),
});

const aws = {
  ...common,
  image,
  /** Kubernetes version of the group (EKS managed, release version only). Default: the control plane's. */
  kubernetesVersion: kubernetesVersion().optional(),
  /** Processor architecture that the image is made for. Default: x86_64. Only checked against amiType and instance types. */
  architecture: z.enum(["x86_64", "arm64"], { error: () => "must be x86_64 or arm64" }).optional(),
  /** Instance types, best first. */
  instanceTypes: z
    .array(
      z.string().regex(/^[a-z][a-z0-9-]*\.[a-z0-9-]+$/, {
        error: (issue) => `${JSON.stringify(issue.input)} is not an instance type such as m7i.large`,
      }),
    )
    .min(1, { error: () => "must name at least one instance type" })
    .max(40, { error: () => "must name at most 40 instance types" }),
  /** Default: ON_DEMAND. */
  capacityType: z
    .enum(["ON_DEMAND", "SPOT"], { error: () => "must be ON_DEMAND or SPOT" })
    .default("ON_DEMAND"),
  /** Zone to subnet: one group is made for each. */
  zones: z.record(
    z.string().regex(/^[a-z]{2,}(-[a-z]+)+-\d(-[a-z]+-\d)?[a-z]$/, {
      error: () => "is not a zone such as us-east-1a",
    }),
    subnetId(),
    { error: () => "must be a map from zone to subnet id" },
  ),
  /** Nodes per zone. */
  size,
  /** Security groups of the nodes. Default: the EKS cluster's own. Once set, that one is not added by itself. */
  securityGroupIds: z
    .array(securityGroupId())
    .min(1, { error: () => "must name at least one security group, or be left out" })
    .optional(),
  /** ARN of the nodes' IAM role. Default: the stack's shared role. */
  nodeRole: roleArn().optional(),
  /** The disk that pods and images live on. */
  disk: disk.prefault({}),
  /** Volumes beside it. Default: none. */
  extraDisks: z.array(extraDisk).default([]),
  /** Access to the instance metadata service. */
  metadataOptions: metadataOptions.prefault({}),
  /** Cloud tags of groups, templates, instances and volumes. A change of tags moves nothing. */
  tags: tagMap().default({}),
  /** SSH key pair. Default: none. */
  keyName: nonEmpty("the name of a key pair").optional(),
  placement: placement.optional(),
  capacityReservation: capacityReservation.optional(),
  /** Detailed (one-minute) CloudWatch monitoring. Default: false. */
  monitoring: flag().default(false),
  /** EBS-optimized. Default: the instance type's. */
  ebsOptimized: flag().optional(),
  /** CPU credits of burstable types. Default: the type's. */
  cpuCredits: z.enum(["standard", "unlimited"]).optional(),
  /** Public IP address. Default: the subnet's setting. */
  publicIp: flag().optional(),
  /** Most pods of a node. Default: EKS's number for the instance type. */
  maxPods: wholeNumber(1, 1000, "a number of pods").optional(),
};

/** Image types of EKS-optimized images (https://docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html), Windows and AL2 left out. */
export const AMI_TYPES = [
  "AL2023_x86_64_STANDARD",
  "AL2023_ARM_64_STANDARD",
  "AL2023_x86_64_NEURON",
  "AL2023_x86_64_NVIDIA",
  "AL2023_ARM_64_NVIDIA",
  "BOTTLEROCKET_x86_64",
  "BOTTLEROCKET_ARM_64",
  "BOTTLEROCKET_x86_64_FIPS",
  "BOTTLEROCKET_ARM_64_FIPS",
  "BOTTLEROCKET_x86_64_NVIDIA",
  "BOTTLEROCKET_ARM_64_NVIDIA",
] as const;

export const eksManagedPool = z.strictObject({
  kind: z.literal("eks-managed"),
  ...aws,
  /** Which EKS-optimized image, where `image` is a release version. */
  amiType: z.enum(AMI_TYPES, { error: () => `must be one of ${AMI_TYPES.join(", ")}` }).optional(),
  /** User data. Needed with a custom AMI; with a release version EKS adds its own to it. */
  userData: userData.optional(),
  /** EKS replaces nodes that it finds broken, without asking PatchGuard. Default: false. */
  nodeRepair: flag().default(false),
});

const lifecycleHook = z.strictObject({
  name: nonEmpty("the hook's name"),
  transition: z.enum(["launching", "terminating"], { error: () => "must be launching or terminating" }),
  /** Seconds; default 3600. */
  heartbeatTimeoutSeconds: wholeNumber(30, 7200, "a number of seconds").default(3600),
  /** What happens at the timeout. Default: ABANDON. */
  defaultResult: z.enum(["CONTINUE", "ABANDON"]).default("ABANDON"),
  notificationTargetArn: nonEmpty("an ARN").optional(),
  notificationMetadata: nonEmpty("text").optional(),
  roleArn: roleArn().optional(),
});

const mixedInstances = z.strictObject({
  /** Instances that are on demand before anything is spot. Default: 0. */
  onDemandBaseCapacity: wholeNumber(0, 10_000, "a number of instances").default(0),
  /** Share of on-demand instances beyond the base. Per cent; default: 100, with capacityType SPOT 0. */
  onDemandPercentageAboveBaseCapacity: wholeNumber(0, 100, "a percentage").optional(),
  /** Default: price-capacity-optimized. */
  spotAllocationStrategy: z
    .enum([
      "price-capacity-optimized",
      "capacity-optimized",
      "capacity-optimized-prioritized",
      "lowest-price",
    ])
    .default("price-capacity-optimized"),
  /** Default: prioritized, the order of `instanceTypes`. */
  onDemandAllocationStrategy: z.enum(["prioritized", "lowest-price"]).default("prioritized"),
  /** Most to pay for a spot instance-hour, in dollars. Default: the on-demand price. */
  spotMaxPrice: z
    .string()
    .regex(/^\d+(\.\d+)?$/, { error: () => 'must be a price such as "0.20" (in quotes)' })
    .optional(),
  /** Weight of each instance type, where they count differently. Default: each counts 1. */
  weights: z.record(z.string(), wholeNumber(1, 999, "a weight")).optional(),
});

const healthCheck = z.strictObject({
  /** EC2: the instance runs. ELB: its target groups find it healthy, too. Default: EC2. */
  type: z.enum(["EC2", "ELB"], { error: () => "must be EC2 or ELB" }).default("EC2"),
  /** Seconds after the launch before it counts; default 300. */
  gracePeriodSeconds: wholeNumber(0, 7200, "a number of seconds").default(300),
});

export const selfManagedPool = z.strictObject({
  kind: z.literal("self-managed"),
  ...aws,
  /** How nodes of this AMI join the cluster. */
  userData,
  /** Name or ARN of an existing instance profile. Default: one is made for the node role. */
  instanceProfile: nonEmpty("the name or ARN of an instance profile").optional(),
  /** Target groups that each node is registered in. */
  targetGroupArns: z.array(targetGroupArn()).default([]),
  /** Several instance types, and spot beside on demand. Default: by instanceTypes and capacityType. */
  mixedInstances: mixedInstances.optional(),
  /** Replace spot instances at risk before they are taken. Default: false. */
  capacityRebalance: flag().default(false),
  healthCheck: healthCheck.prefault({}),
  /** Seconds until a new instance counts in the group's metrics. Default: 0. */
  warmupSeconds: wholeNumber(0, 7200, "a number of seconds").default(0),
  /** Seconds between scaling activities. Default: 300. */
  cooldownSeconds: wholeNumber(0, 7200, "a number of seconds").default(300),
  /** Group metrics to collect, such as GroupInServiceInstances. Default: none. */
  metrics: z
    .array(
      z.string().regex(/^(Group|WarmPool|GroupAndWarmPool)[A-Za-z]+$/, {
        error: () => "must be a group metric such as GroupInServiceInstances",
      }),
    )
    .default([]),
  /** Which instance goes first on a scale-in. Default: [Default]. */
  terminationPolicies: z.array(nonEmpty("a termination policy")).default(["Default"]),
  /** Instances that exist no longer than this; the group ends them without a drain. Seconds, at least a day; default: no limit. */
  maxInstanceLifetimeSeconds: wholeNumber(86_400, 31_536_000, "a number of seconds").optional(),
  /** Processes that stay suspended; Launch and Terminate are not allowed. Default: none. */
  suspendedProcesses: z
    .array(
      z.enum(
        [
          "HealthCheck",
          "ReplaceUnhealthy",
          "AZRebalance",
          "AlarmNotification",
          "ScheduledActions",
          "AddToLoadBalancer",
          "InstanceRefresh",
        ],
        {
          error: () => "must be a process other than Launch and Terminate, without which a group is none",
        },
      ),
    )
    .default([]),
  /** Hooks that exist from the first launch on. Default: none. */
  lifecycleHooks: z.array(lifecycleHook).default([]),
  /** Role through which Auto Scaling acts. Default: the account's service-linked role. */
  serviceLinkedRoleArn: roleArn().optional(),
});

export type EksManagedPoolConfig = z.output<typeof eksManagedPool>;
export type SelfManagedPoolConfig = z.output<typeof selfManagedPool>;
export type AwsPoolConfig = EksManagedPoolConfig | SelfManagedPoolConfig;
export type Disk = z.output<typeof disk>;
