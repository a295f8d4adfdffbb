/** Configs of stacks in the sandbox, and the workloads of the main example. */
import { imageByName } from "../../sandbox/images.ts";
import type { StackConfig } from "./pulumi.ts";
import type { Manifest } from "./workloads.ts";
import { budget, daemonSet, deployment, spreadOverZones, statefulSet } from "./workloads.ts";

export interface PoolOptions {
  /** Name of one of the sandbox's images, such as `good-a`. */
  image: string;
  /** Default `workers`. */
  name?: string;
  /** Default `eks-managed`. */
  kind?: "eks-managed" | "self-managed";
  /** Zones by their last letter; default a, b and c. */
  zones?: ("a" | "b" | "c")[];
  /** Nodes per zone; default 1, at most 4. */
  desired?: number;
  /** More fields of the pool's config, or others in their place. */
  more?: Record<string, unknown>;
}

export function pool(options: PoolOptions): Record<string, unknown> {
  const {
    image,
    name = "workers",
    kind = "eks-managed",
    zones = ["a", "b", "c"],
    desired = 1,
    more,
  } = options;
  return {
    name,
    kind,
    image: { ami: imageByName(image).id },
    userData: { family: "al2023" },
    instanceTypes: ["m7i.large"],
    zones: Object.fromEntries(zones.map((zone) => [`us-east-1${zone}`, `subnet-0000000000000000${zone}`])),
    size: { min: 1, max: 4, desired },
    securityGroupIds: ["sg-00000000000000001"],
    nodeRole: "arn:aws:iam::123456789012:role/sandbox-node",
    ...more,
  };
}

/** A stack on the sandbox's cluster. Health windows last 2 s unless `rollout` says otherwise. */
export const stackConfig = (
  pools: Record<string, unknown>[],
  rollout: Record<string, unknown> = {},
): StackConfig => ({
  "aws:region": "us-east-1",
  "patchguard:cluster": { kind: "eks", name: "sandbox", region: "us-east-1" },
  "patchguard:pools": pools,
  "patchguard:rollout": { health: { windowSeconds: 2 }, ...rollout },
});

/** A web Deployment, a quorum with zonal volumes, a DaemonSet, and budgets over the first two. */
export const shop = (): Manifest[] => [
  deployment({ name: "web", replicas: 6, start: "500ms", stop: "1s" }),
  budget({ name: "web", maxUnavailable: 1 }),
  statefulSet({
    name: "kafka",
    replicas: 3,
    storage: "zonal",
    start: "500ms",
    stop: "1s",
    spec: spreadOverZones("kafka"),
  }),
  budget({ name: "kafka", minAvailable: 2 }),
  daemonSet({ name: "agent", start: "200ms", stop: "200ms" }),
];
