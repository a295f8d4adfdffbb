import type { Target } from "../target.ts";
import type { GreenSpec } from "../targets.ts";

/** What the cloud says of its limits before anything is created. Each part is undefined where it could not be asked (see `notAsked`). */
export interface CloudFacts {
  /** By instance type: those of green that the region has. */
  instanceTypes?: Map<string, InstanceType> | undefined;
  /** Free addresses by subnet id. */
  freeAddresses?: Map<string, number> | undefined;
  /**
   * vCPUs that run against the account's quota, for the capacity type and the family of green. `used` is the least: what counts besides
   * (unused capacity reservations) is not seen.
   */
  vcpus?: { quota: number; used: number; name: string; code?: string | undefined } | undefined;
  /** Managed node groups of the cluster against its quota. `made`: those of green that are among them. */
  groups?: { quota: number; used: number; made?: string[] | undefined } | undefined;
  /** Instances of green's groups that run or start already, by zone. */
  launched?: Map<string, number> | undefined;
  /** How many hops an answer of the instance metadata service may take, by instance id. */
  hopLimits?: Map<string, number> | undefined;
  /** What could not be asked, and what is therefore not judged: one sentence each. */
  notAsked: string[];
}

export interface InstanceType {
  vcpus: number;
  memoryMiB: number;
  /** Kubernetes' words: amd64, arm64. */
  architectures: string[];
  /** Zones that offer it; undefined where that could not be asked. */
  zones?: string[] | undefined;
  /** Pods that the VPC CNI can give addresses to without prefix delegation. */
  maxPods?: number | undefined;
}

/** What is asked for: green as it will be made. */
export interface LimitsQuestion {
  target: Target;
  green: GreenSpec;
  /** Deadline of all the calls together. What has not come by then is in `notAsked`. */
  timeoutSeconds: number;
}
