import type { CSINode, Node } from "../../../rollout/cluster/types.ts";
import { LABEL_GENERATION, LABEL_POOL } from "../../../rollout/names.ts";
import type { Target } from "../../../rollout/target.ts";
import type { GreenSpec } from "../../../rollout/targets.ts";

/** The moment of every scenario. */
export const NOW = Date.parse("2026-11-20T12:00:00Z");
/** When everything began that says nothing else. */
export const SINCE = "2026-11-18T09:00:00Z";

const REGION = "us-east-1";
const ZONES = { a: "us-east-1a", b: "us-east-1b", c: "us-east-1c" };
const TYPE = "m7i.xlarge";
const BLUE = "aaaaaaaa";
const GREEN_GENERATION = "bbbbbbbb";

/** The default nodes with their zones: two in each. */
export const BLUE_NODES: Record<string, string> = Object.fromEntries(
  Object.entries(ZONES).flatMap(([letter, zone]) =>
    [1, 2].map((number) => [`blue-${letter}${number}`, zone]),
  ),
);

export const TARGET: Target = {
  pool: "workers",
  generation: GREEN_GENERATION,
  image: { ami: "ami-0bbbbbbbbbbbbbbbb" },
  groups: Object.values(ZONES).map((zone) => ({
    kind: "eks-managed",
    name: `pg-scenario-workers-${zone}-${GREEN_GENERATION}`,
    zone,
  })),
};

/** Green as blue is: as many nodes of the same type in the same zones. */
export const GREEN: GreenSpec = {
  kind: "eks-managed",
  instanceTypes: [TYPE],
  capacityType: "ON_DEMAND",
  labels: { [LABEL_POOL]: "workers", [LABEL_GENERATION]: GREEN_GENERATION },
  taints: [],
  zones: Object.entries(ZONES).map(([letter, zone]) => ({
    zone,
    subnet: `subnet-${letter}`,
    min: 1,
    max: 5,
  })),
};

/** A Ready node as EKS makes them; blue if it is one of the default set. */
export function nodeNamed(name: string, zone = BLUE_NODES[name] ?? ZONES.a): Node {
  const pool: Record<string, string> =
    name in BLUE_NODES ? { [LABEL_POOL]: "workers", [LABEL_GENERATION]: BLUE } : {};
  const condition = (
    type: string,
    status: string,
  ): { type: string; status: string; lastTransitionTime: string } => ({
    type,
    status,
    lastTransitionTime: SINCE,
  });
  const size = { memory: "15896Mi", pods: "58", "ephemeral-storage": "95491281146" };
  return {
    metadata: {
      name,
      uid: `uid-node-${name}`,
      creationTimestamp: SINCE,
      labels: {
        ...pool,
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": TYPE,
        "topology.kubernetes.io/region": REGION,
        "topology.kubernetes.io/zone": zone,
        "topology.ebs.csi.aws.com/zone": zone,
        "eks.amazonaws.com/capacityType": "ON_DEMAND",
      },
    },
    spec: {
      providerID: `aws:///${zone}/i-0${Buffer.from(name).toString("hex").padStart(16, "0").slice(-16)}`,
    },
    status: {
      conditions: [
        condition("MemoryPressure", "False"),
        condition("DiskPressure", "False"),
        condition("PIDPressure", "False"),
        condition("Ready", "True"),
      ],
      capacity: { cpu: "4", ...size },
      allocatable: { cpu: "3920m", ...size, memory: "14909Mi" },
      nodeInfo: {
        kubeletVersion: "v1.34.1-eks-113cf36",
        kernelVersion: "6.12.53-69.119.amzn2023.x86_64",
        osImage: "Amazon Linux 2023.9.20251027",
        architecture: "amd64",
        operatingSystem: "linux",
      },
    },
  };
}

/** What the EBS driver reports of a node. */
export const csiNodeOf = ({ metadata: { name }, spec }: Node): CSINode => ({
  metadata: { name, uid: `uid-csinode-${name}` },
  spec: {
    drivers: [
      {
        name: "ebs.csi.aws.com",
        nodeID: spec?.providerID?.split("/").at(-1) ?? name,
        allocatable: { count: 25 },
        topologyKeys: ["kubernetes.io/os", "topology.ebs.csi.aws.com/zone", "topology.kubernetes.io/zone"],
      },
    ],
  },
});
