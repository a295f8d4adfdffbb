import {
  paginateDescribeInstances,
  paginateDescribeInstanceTypeOfferings,
  paginateDescribeInstanceTypes,
  paginateDescribeSubnets,
  type Instance,
  type InstanceTypeInfo,
} from "@aws-sdk/client-ec2";
import { paginateListNodegroups } from "@aws-sdk/client-eks";
import type { GreenSpec } from "../targets.ts";
import type { Target } from "../target.ts";
import { batches, collect, type Aws } from "./aws-clients.ts";
import { failureOf } from "./aws-errors.ts";
import type { CloudFacts, InstanceType, LimitsQuestion } from "./facts.ts";
import { familyOf, groupQuota, vcpuQuota } from "./quotas.ts";

/** Values of one filter. */
const VALUES = 200;

/**
 * The cloud's limits for a green that is to be made, with reads only, all at once. Never throws: a part that cannot be asked, or not in
 * time, is missing, and `notAsked` says so.
 */
export async function limitsOf(
  aws: Aws,
  { target, green, timeoutSeconds }: LimitsQuestion,
): Promise<CloudFacts> {
  const notAsked: string[] = [];
  const deadline = new AbortController();
  const asking: Aws = { ...aws, signal: deadline.signal };
  const late = new Error(`no answer within ${timeoutSeconds} s`);
  const soft = async <T>(unjudged: string, run: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await untilAborted(deadline.signal, run());
    } catch (error) {
      const why = deadline.signal.aborted ? late.message : failureOf(error);
      notAsked.push(`${unjudged} is not judged: ${why}`);
      return undefined;
    }
  };
  const timer = setTimeout(() => deadline.abort(late), timeoutSeconds * 1000);
  try {
    const running = soft(
      "what runs already (vCPUs in use, green's instances, hops to the metadata service)",
      () => instances(asking),
    );
    const [instanceTypes, freeAddresses, vcpus, groups, all] = await Promise.all([
      soft("whether the zones offer green's instance types, and their size,", () =>
        typesOf(asking, green.instanceTypes, (zones) =>
          soft("which zones offer green's instance types", zones),
        ),
      ),
      soft("whether green's subnets have free addresses", () => addressesOf(asking, green)),
      quotaOf(green, notAsked, (family) =>
        soft("whether the vCPU quota has room", async () => {
          const [{ value, name, code }, list] = await Promise.all([
            vcpuQuota(asking, family, green.capacityType),
            running,
          ]);
          if (list === undefined) return undefined; // said of `running`
          const counted = list.filter((instance) => counts(instance, family, green.capacityType));
          return { quota: value, used: await vcpusOf(asking, counted), name, code };
        }),
      ),
      green.kind === "self-managed"
        ? undefined
        : soft("whether the cluster may have more node groups", () => groupsOf(asking, target)),
      running,
    ]);
    return {
      instanceTypes,
      freeAddresses,
      vcpus,
      groups,
      ...(all === undefined ? {} : { launched: launchedOf(aws, target, all), hopLimits: hopLimitsOf(all) }),
      notAsked: notAsked.toSorted(),
    };
  } finally {
    clearTimeout(timer);
    deadline.abort(late);
  }
}

/** What `run` promises, or the signal's reason as soon as it aborts: credentials, for one, are fetched without a look at it. */
function untilAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    promise.then(resolve, reject);
  });
}

/** Asks only where all of green's types count against one quota, and one that is known. */
async function quotaOf<T>(
  { instanceTypes }: GreenSpec,
  notAsked: string[],
  ask: (family: NonNullable<ReturnType<typeof familyOf>>) => Promise<T>,
): Promise<T | undefined> {
  const families = new Set(instanceTypes.map(familyOf));
  const [family] = families;
  if (families.size === 1 && family !== undefined) return ask(family);
  notAsked.push(
    `whether the vCPU quota has room is not judged: ${families.size > 1 ? "several quotas count" : "this version knows no quota for"} ${instanceTypes.join(", ")}`,
  );
  return undefined;
}

/** Everything of the account in the region that runs or starts: that is what counts. */
const instances = (aws: Aws): Promise<Instance[]> =>
  collect(
    aws,
    "ec2:DescribeInstances",
    "all that run",
    paginateDescribeInstances(
      { client: aws.ec2, pageSize: 1000 },
      { Filters: [{ Name: "instance-state-name", Values: ["pending", "running"] }] },
      { abortSignal: aws.signal },
    ),
    (page) => page.Reservations?.flatMap(({ Instances }) => Instances ?? []),
  );

/** Dedicated hosts and capacity blocks have quotas of their own. */
function counts(instance: Instance, family: string, capacity: GreenSpec["capacityType"]): boolean {
  if (familyOf(instance.InstanceType ?? "") !== family || instance.Placement?.Tenancy === "host")
    return false;
  return instance.InstanceLifecycle === (capacity === "SPOT" ? "spot" : undefined);
}

async function vcpusOf(aws: Aws, list: Instance[]): Promise<number> {
  const own = ({ CpuOptions }: Instance): number =>
    (CpuOptions?.CoreCount ?? 0) * (CpuOptions?.ThreadsPerCore ?? 1);
  const silent = list.filter((instance) => own(instance) === 0);
  const types = await describe(aws, [...new Set(silent.flatMap(({ InstanceType }) => InstanceType ?? []))]);
  const byType = new Map(
    types.map(({ InstanceType: name, VCpuInfo }) => [name, VCpuInfo?.DefaultVCpus ?? 0]),
  );
  return list.reduce((sum, instance) => sum + (own(instance) || (byType.get(instance.InstanceType) ?? 0)), 0);
}

/** By a filter, not by names: a name that is none would fail the call. */
async function describe(aws: Aws, names: readonly string[]): Promise<InstanceTypeInfo[]> {
  const found = await Promise.all(
    batches(names, VALUES).map((batch) =>
      collect(
        aws,
        "ec2:DescribeInstanceTypes",
        batch.join(", "),
        paginateDescribeInstanceTypes(
          { client: aws.ec2 },
          { Filters: [{ Name: "instance-type", Values: batch }] },
          { abortSignal: aws.signal },
        ),
        (page) => page.InstanceTypes,
      ),
    ),
  );
  return found.flat();
}

async function typesOf(
  aws: Aws,
  names: string[],
  softly: (run: () => Promise<Map<string, string[]>>) => Promise<Map<string, string[]> | undefined>,
): Promise<Map<string, InstanceType>> {
  const offered = offerings(aws, names);
  offered.catch(() => undefined); // without the types, that they are not judged says it all
  const types = await describe(aws, names);
  const zones = await softly(() => offered);
  return new Map(
    types.flatMap((type) =>
      type.InstanceType === undefined
        ? []
        : [[type.InstanceType, typeOf(type, zones && (zones.get(type.InstanceType) ?? []))]],
    ),
  );
}

/** AWS's words for architectures, in Kubernetes'. */
const ARCHITECTURES: Record<string, string> = { x86_64: "amd64", arm64: "arm64" };

function typeOf(
  { VCpuInfo, MemoryInfo, ProcessorInfo, NetworkInfo }: InstanceTypeInfo,
  zones: string[] | undefined,
): InstanceType {
  const { MaximumNetworkInterfaces: interfaces, Ipv4AddressesPerInterface: addresses } = NetworkInfo ?? {};
  return {
    vcpus: VCpuInfo?.DefaultVCpus ?? 0,
    memoryMiB: MemoryInfo?.SizeInMiB ?? 0,
    architectures: (ProcessorInfo?.SupportedArchitectures ?? []).flatMap((name) => ARCHITECTURES[name] ?? []),
    zones,
    // https://github.com/awslabs/amazon-eks-ami/blob/main/templates/shared/runtime/eni-max-pods.txt
    maxPods: interfaces && addresses ? interfaces * (addresses - 1) + 2 : undefined,
  };
}

/** Zones by instance type. */
async function offerings(aws: Aws, names: string[]): Promise<Map<string, string[]>> {
  const found = await collect(
    aws,
    "ec2:DescribeInstanceTypeOfferings",
    names.join(", "),
    paginateDescribeInstanceTypeOfferings(
      { client: aws.ec2 },
      { LocationType: "availability-zone", Filters: [{ Name: "instance-type", Values: names }] },
      { abortSignal: aws.signal },
    ),
    (page) => page.InstanceTypeOfferings,
  );
  const zones = new Map<string, string[]>();
  for (const { InstanceType, Location } of found) {
    if (InstanceType !== undefined && Location !== undefined)
      zones.set(InstanceType, [...(zones.get(InstanceType) ?? []), Location].toSorted());
  }
  return zones;
}

async function addressesOf(aws: Aws, { zones }: GreenSpec): Promise<Map<string, number>> {
  const ids = [...new Set(zones.map(({ subnet }) => subnet))];
  const subnets = await collect(
    aws,
    "ec2:DescribeSubnets",
    ids.join(", "),
    paginateDescribeSubnets(
      { client: aws.ec2 },
      { Filters: [{ Name: "subnet-id", Values: ids }] },
      { abortSignal: aws.signal },
    ),
    (page) => page.Subnets,
  );
  return new Map(
    // a subnet of IPv6 alone counts no addresses, and needs none
    subnets.flatMap(({ SubnetId, AvailableIpAddressCount: free, Ipv6Native }) =>
      SubnetId === undefined || free === undefined || Ipv6Native === true ? [] : [[SubnetId, free] as const],
    ),
  );
}

async function groupsOf(aws: Aws, { groups }: Target): Promise<CloudFacts["groups"]> {
  const [{ value }, names] = await Promise.all([
    groupQuota(aws),
    collect(
      aws,
      "eks:ListNodegroups",
      `cluster ${aws.clusterName}`,
      paginateListNodegroups(
        { client: aws.eks },
        { clusterName: aws.clusterName },
        { abortSignal: aws.signal },
      ),
      (page) => page.nodegroups,
    ),
  ]);
  const made = groups.map(({ name }) => name).filter((name) => names.includes(name));
  return { quota: value, used: names.length, made };
}

/** EKS tags the instances of its groups, Auto Scaling those of any. */
function launchedOf({ clusterName }: Aws, { groups }: Target, list: Instance[]): Map<string, number> {
  const launched = new Map<string, number>();
  for (const { Tags, Placement } of list) {
    const tags = new Map(Tags?.map(({ Key, Value }) => [Key, Value]));
    const isGreen = groups.some(({ kind, name }) =>
      kind === "eks-managed"
        ? tags.get("eks:nodegroup-name") === name && tags.get("eks:cluster-name") === clusterName
        : tags.get("aws:autoscaling:groupName") === name,
    );
    const zone = Placement?.AvailabilityZone;
    if (isGreen && zone !== undefined) launched.set(zone, (launched.get(zone) ?? 0) + 1);
  }
  return launched;
}

const hopLimitsOf = (list: Instance[]): Map<string, number> =>
  new Map(
    list.flatMap(({ InstanceId, MetadataOptions }) => {
      const hops = MetadataOptions?.HttpPutResponseHopLimit;
      return InstanceId === undefined || hops === undefined ? [] : [[InstanceId, hops] as const];
    }),
  );
