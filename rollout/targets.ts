import type { AwsPoolConfig, Config, Taint } from "./config/index.ts";
import { generationOf, groupNames } from "./generation.ts";
import { LABEL_GENERATION, LABEL_POOL } from "./names.ts";
import type { Target } from "./target.ts";

/** The pools that this version can make; the config refuses others by path. */
export const awsPools = ({ pools }: Config): AwsPoolConfig[] => pools.filter((pool) => pool.kind !== "aks");

/** Zones in a fixed order. */
export const zonesOf = (zones: Record<string, string>): [zone: string, subnet: string][] =>
  Object.entries(zones).toSorted(([a], [b]) => (a < b ? -1 : 1));

/** What a pool is handed over to. */
export function targetOf(pool: AwsPoolConfig, clusterName: string): Target {
  const generation = generationOf(pool, clusterName);
  return {
    pool: pool.name,
    generation,
    image: pool.image,
    groups: zonesOf(pool.zones).map(([zone]) => ({
      kind: pool.kind,
      name: groupNames(pool, clusterName, generation, zone).physical,
      zone,
    })),
    ...(pool.adopt === undefined ? {} : { adopt: pool.adopt.matchLabels }),
  };
}

/** What green will be made of: pre-flight asks whether the pods will fit, and whether the cloud will give it. */
export interface GreenSpec {
  kind: "eks-managed" | "self-managed";
  /** In the order of preference. */
  instanceTypes: string[];
  capacityType: "ON_DEMAND" | "SPOT";
  /** Node labels, pool and generation among them. */
  labels: Record<string, string>;
  taints: Taint[];
  /** The kubelet's limit of pods, where the config sets it. */
  maxPods?: number | undefined;
  /** Where the config says it: by itself, or with the image type. */
  architecture?: "amd64" | "arm64" | undefined;
  /** EKS's name for the kind of image, where it has one. */
  amiType?: string | undefined;
  /** How many hops an answer of the instance metadata service may take. */
  hopLimit?: number | undefined;
  /** EKS replaces broken nodes by itself. */
  nodeRepair?: boolean | undefined;
  /** Subnet and sizes by zone; without `desired` green becomes as large as blue is, within min and max. */
  zones: { zone: string; subnet: string; min: number; max: number; desired?: number | undefined }[];
}

/** The spec of a pool's green. */
export function greenSpecOf(pool: AwsPoolConfig, generation: string): GreenSpec {
  return {
    kind: pool.kind,
    instanceTypes: pool.instanceTypes,
    capacityType: pool.capacityType,
    labels: { ...pool.labels, [LABEL_POOL]: pool.name, [LABEL_GENERATION]: generation },
    taints: pool.taints,
    maxPods: pool.maxPods,
    architecture: architectureOf(pool),
    amiType: pool.kind === "eks-managed" ? pool.amiType : undefined,
    hopLimit: pool.metadataOptions.hopLimit,
    nodeRepair: pool.kind === "eks-managed" ? pool.nodeRepair : undefined,
    zones: zonesOf(pool.zones).map(([zone, subnet]) => ({ zone, subnet, ...pool.size })),
  };
}

/** Kubernetes' word for what the config says; undefined where it says nothing. */
function architectureOf(pool: AwsPoolConfig): GreenSpec["architecture"] {
  const amiType = pool.kind === "eks-managed" ? pool.amiType : undefined;
  if (pool.architecture === undefined && amiType === undefined) return undefined;
  return pool.architecture === "arm64" || amiType?.includes("ARM_64") === true ? "arm64" : "amd64";
}
