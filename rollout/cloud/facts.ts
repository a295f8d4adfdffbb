/** What the cloud says of its limits before anything is created. Each part is undefined where it could not be asked (see `notAsked`). */
export interface CloudFacts {
  /** By instance type. */
  instanceTypes?: Map<string, InstanceType> | undefined;
  /** Free addresses by subnet id. */
  freeAddresses?: Map<string, number> | undefined;
  /** Running on-demand or spot vCPUs against the account's quota, for the capacity type of the pool. */
  vcpus?: { quota: number; used: number; name: string } | undefined;
  /** Managed node groups of the cluster against its quota. */
  groups?: { quota: number; used: number } | undefined;
  /** How many hops an answer of the instance metadata service may take, by instance id: of blue's nodes. */
  hopLimits?: Map<string, number> | undefined;
  /** What could not be asked, and why: one sentence each. */
  notAsked: string[];
}

export interface InstanceType {
  vcpus: number;
  memoryMiB: number;
  /** Kubernetes' words: amd64, arm64. */
  architectures: string[];
  /** Zones that offer it. */
  zones: string[];
  /** Pods that the VPC CNI can give addresses to without prefix delegation. */
  maxPods?: number | undefined;
}
