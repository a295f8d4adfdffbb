import { checkUserData } from "./checks-user-data.ts";
import type { ClusterConfig } from "./cluster.ts";
import type { Problem } from "./error.ts";
import type { AwsPoolConfig, EksManagedPoolConfig, SelfManagedPoolConfig } from "./pool-aws.ts";

/** What the fields of an AWS pool say to one another. Fields that are wrong in themselves are missing here, and already reported. */
type Partly<T extends { kind: string }> = Partial<T> & Pick<T, "kind">;

export function checkAwsPool(
  pool: Partly<AwsPoolConfig>,
  path: string,
  cluster: Partial<ClusterConfig>,
): Problem[] {
  return [
    ...checkZones(pool, path, cluster),
    ...checkArchitecture(pool, path),
    ...checkDisks(pool, path),
    ...checkTags(pool, path),
    ...(pool.kind === "eks-managed" ? checkEksManaged(pool, path) : checkSelfManaged(pool, path, cluster)),
    ...checkUserData(pool, path, cluster),
  ];
}

function checkZones(pool: Partly<AwsPoolConfig>, path: string, cluster: Partial<ClusterConfig>): Problem[] {
  const zones = Object.entries(pool.zones ?? {});
  const problems: Problem[] = [];
  const subnets = new Map<string, string>();
  for (const [zone, subnet] of zones) {
    const at = `${path}.zones.${zone}`;
    if (cluster.region !== undefined && !zone.startsWith(cluster.region))
      problems.push({ path: at, reason: `is not a zone of the cluster's region ${cluster.region}` });
    const other = subnets.get(subnet);
    if (other !== undefined)
      problems.push({ path: at, reason: `has the subnet of ${other}; a subnet lies in one zone` });
    subnets.set(subnet, zone);
  }
  return problems;
}

const isArm = (instanceType: string): boolean => /^(a1|[a-z]+\d+g[a-z]*)\./.test(instanceType);

function checkArchitecture(pool: Partly<AwsPoolConfig>, path: string): Problem[] {
  const amiType = pool.kind === "eks-managed" ? pool.amiType : undefined;
  const problems: Problem[] = [];
  const ofAmiType = amiType === undefined ? undefined : amiType.includes("ARM_64") ? "arm64" : "x86_64";
  if (pool.architecture !== undefined && ofAmiType !== undefined && pool.architecture !== ofAmiType)
    problems.push({
      path: `${path}.architecture`,
      reason: `is ${pool.architecture}, but amiType ${amiType ?? ""} is ${ofAmiType}`,
    });
  const wanted = ofAmiType ?? pool.architecture ?? "x86_64";
  for (const [index, type] of (pool.instanceTypes ?? []).entries()) {
    const has = isArm(type) ? "arm64" : "x86_64";
    if (has === wanted) continue;
    const hint =
      ofAmiType === undefined && pool.architecture === undefined
        ? "; set architecture: arm64 if the image is made for it"
        : "";
    problems.push({
      path: `${path}.instanceTypes[${index}]`,
      reason: `${type} is ${has}, the image is ${wanted}${hint}`,
    });
  }
  for (const [index, type] of (pool.instanceTypes ?? []).entries())
    if (pool.instanceTypes?.indexOf(type) !== index)
      problems.push({ path: `${path}.instanceTypes[${index}]`, reason: `${type} stands here twice` });
  return problems;
}

function checkDisks(pool: Partly<AwsPoolConfig>, path: string): Problem[] {
  const problems: Problem[] = [];
  const devices = new Map<string, string>();
  const bottlerocket =
    pool.userData?.family === "bottlerocket" ||
    (pool.kind === "eks-managed" && pool.amiType?.startsWith("BOTTLEROCKET"));
  const disks = [
    ...(pool.disk === undefined ? [] : [{ at: `${path}.disk`, disk: pool.disk }]),
    ...(pool.extraDisks ?? []).map((disk, index) => ({ at: `${path}.extraDisks[${index}]`, disk })),
  ];
  for (const { at, disk } of disks) {
    if (disk.iops !== undefined && disk.type === "gp2")
      problems.push({ path: `${at}.iops`, reason: "gp2 has no iops setting; use gp3, io1 or io2" });
    if (disk.iops === undefined && disk.type.startsWith("io"))
      problems.push({ path: `${at}.iops`, reason: `is needed with ${disk.type}` });
    if (disk.throughput !== undefined && disk.type !== "gp3")
      problems.push({ path: `${at}.throughput`, reason: "only gp3 has a throughput setting" });
    if (disk.kmsKeyId !== undefined && !disk.encrypted)
      problems.push({ path: `${at}.kmsKeyId`, reason: "needs encrypted: true" });
    const device = disk.deviceName ?? (bottlerocket ? "/dev/xvdb" : "/dev/xvda");
    const other = devices.get(device);
    if (other !== undefined)
      problems.push({ path: `${at}.deviceName`, reason: `${device} is taken by ${other}` });
    devices.set(device, at);
  }
  return problems;
}

const RESERVED_TAGS = [
  "patchguard.dev/",
  "k8s.io/cluster-autoscaler/",
  "kubernetes.io/cluster/",
  "eks:",
  "aws:",
];

/** Tags that PatchGuard and the autoscaler need on a group at most. */
const OWN_TAGS = 12;

function checkTags(pool: Partly<AwsPoolConfig>, path: string): Problem[] {
  const tags = Object.keys(pool.tags ?? {});
  const problems = tags.flatMap((key) => {
    const prefix = RESERVED_TAGS.find((reserved) => key.startsWith(reserved));
    return prefix === undefined
      ? []
      : [{ path: `${path}.tags["${key}"]`, reason: `tags ${prefix}… are set by PatchGuard or AWS` }];
  });
  // AWS allows 50 on a resource; on an Auto Scaling group labels and taints become tags, too, for the cluster autoscaler
  const described =
    pool.kind === "self-managed" ? Object.keys(pool.labels ?? {}).length + (pool.taints ?? []).length : 0;
  const room = 50 - OWN_TAGS - described;
  if (tags.length > room)
    problems.push({
      path: `${path}.tags`,
      reason: `has ${tags.length} tags; AWS takes 50, and beside PatchGuard's own there is room for ${room}`,
    });
  return problems;
}

function checkEksManaged(pool: Partly<EksManagedPoolConfig>, path: string): Problem[] {
  const problems: Problem[] = [];
  const { image, amiType, kubernetesVersion } = pool;
  if (Object.keys(image ?? {}).length !== 1) return []; // it is not clear yet which of the two rules holds
  if (image !== undefined && "releaseVersion" in image) {
    const ofRelease = /^(1\.\d+)\.\d+-/.exec(image.releaseVersion)?.[1];
    if (amiType === undefined)
      problems.push({
        path: `${path}.amiType`,
        reason: "is needed with image.releaseVersion: a release is one of an image type",
      });
    else if (
      amiType.startsWith("AL2023") &&
      ofRelease !== undefined &&
      kubernetesVersion !== undefined &&
      ofRelease !== kubernetesVersion
    )
      problems.push({
        path: `${path}.kubernetesVersion`,
        reason: `is ${kubernetesVersion}, but the release is one of ${ofRelease}`,
      });
  }
  if (image !== undefined && "ami" in image) {
    if (amiType !== undefined)
      problems.push({
        path: `${path}.amiType`,
        reason: "goes with image.releaseVersion only; an AMI is its own type",
      });
    if (kubernetesVersion !== undefined)
      problems.push({
        path: `${path}.kubernetesVersion`,
        reason: "goes with image.releaseVersion only; an AMI has its version in it",
      });
  }
  return problems;
}

function checkSelfManaged(
  pool: Partly<SelfManagedPoolConfig>,
  path: string,
  cluster: Partial<ClusterConfig>,
): Problem[] {
  const problems: Problem[] = [];
  if (pool.kubernetesVersion !== undefined)
    problems.push({
      path: `${path}.kubernetesVersion`,
      reason: "is not used by self-managed pools: the AMI has its version in it",
    });
  if (cluster.kind === "kubernetes" && pool.securityGroupIds === undefined)
    problems.push({
      path: `${path}.securityGroupIds`,
      reason: "is needed: only an EKS cluster has a security group to fall back on",
    });
  if (cluster.kind === "kubernetes" && pool.instanceProfile === undefined && pool.nodeRole === undefined)
    problems.push({
      path: `${path}.instanceProfile`,
      reason: "or nodeRole is needed: only on an EKS cluster does this stack make a node role",
    });
  if (pool.instanceProfile !== undefined && pool.nodeRole !== undefined)
    problems.push({
      path: `${path}.nodeRole`,
      reason: "has no effect beside instanceProfile, which has a role of its own; leave one out",
    });
  if (pool.healthCheck?.type === "ELB" && pool.targetGroupArns?.length === 0)
    problems.push({ path: `${path}.healthCheck.type`, reason: "ELB needs targetGroupArns" });
  for (const type of Object.keys(pool.mixedInstances?.weights ?? {}))
    if (pool.instanceTypes !== undefined && !pool.instanceTypes.includes(type))
      problems.push({
        path: `${path}.mixedInstances.weights["${type}"]`,
        reason: `${type} is not among instanceTypes`,
      });
  if (pool.capacityType === "SPOT" && (pool.mixedInstances?.onDemandPercentageAboveBaseCapacity ?? 0) === 100)
    problems.push({
      path: `${path}.mixedInstances.onDemandPercentageAboveBaseCapacity`,
      reason: "100 leaves nothing for capacityType: SPOT",
    });
  const arns = pool.targetGroupArns ?? [];
  for (const [index, arn] of arns.entries())
    if (arns.indexOf(arn) !== index)
      problems.push({ path: `${path}.targetGroupArns[${index}]`, reason: "stands here twice" });
  return problems;
}
