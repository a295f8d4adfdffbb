import {
  type Config,
  ConfigError,
  loadConfig,
  type Problem,
  type RawConfig,
} from "../../../rollout/config/index.ts";

type Map = Record<string, unknown>;

export const eksCluster: Map = { kind: "eks", name: "prod", region: "us-east-1" };
export const kubernetesCluster: Map = {
  kind: "kubernetes",
  name: "factory",
  region: "us-east-1",
  context: "factory",
};

/** A valid EKS managed pool with a custom AMI, changed as a test wants it. */
export const managed = (change: Map = {}): Map => ({
  name: "workers",
  kind: "eks-managed",
  image: { ami: "ami-0123456789abcdef0" },
  userData: { family: "al2023" },
  instanceTypes: ["m7i.large"],
  zones: { "us-east-1a": "subnet-0000000a", "us-east-1b": "subnet-0000000b" },
  size: { min: 1, max: 4, desired: 2 },
  ...change,
});

/** A valid EKS managed pool with a release version. */
export const released = (change: Map = {}): Map => {
  const { userData: _, ...rest } = managed();
  return {
    ...rest,
    image: { releaseVersion: "1.34.1-20261015" },
    amiType: "AL2023_x86_64_STANDARD",
    ...change,
  };
};

/** A valid self-managed pool. */
export const selfManaged = (change: Map = {}): Map => managed({ kind: "self-managed", ...change });

/** A valid AKS pool (which this version does not make yet). */
export const aks = (change: Map = {}): Map => ({
  name: "web",
  kind: "aks",
  image: { nodeImageVersion: "AKSUbuntu-2204gen2containerd-202610.15.0" },
  vmSize: "Standard_D4s_v5",
  zones: { "1": "/subscriptions/s/subnets/nodes" },
  size: { min: 1, max: 3 },
  ...change,
});

export const aksCluster: Map = {
  kind: "aks",
  name: "shop",
  region: "westeurope",
  resourceGroup: "shop",
  context: "shop",
};

export const config = (pools: Map[], rest: Partial<RawConfig> = {}): Config =>
  loadConfig({ cluster: eksCluster, pools, ...rest });

/** The problems of a config that must have some. */
export function problemsOf(raw: Partial<RawConfig>): readonly Problem[] {
  try {
    loadConfig({ cluster: eksCluster, pools: [managed()], ...raw });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
