import type { CSINode, Node, Pod } from "../cluster/types.ts";
import type { CloudFacts } from "../cloud/facts.ts";
import { LABEL_EXCLUDE_LB, LABEL_GENERATION, LABEL_POOL, TAINT_HANDOVER } from "../names.ts";
import { isCordonedByUs } from "../ownership.ts";
import type { Picture } from "../picture.ts";
import type { RunRecord } from "../run-state.ts";
import { wantedSizes } from "../sizes.ts";
import { isGreen, type Target, zoneOf } from "../target.ts";
import type { GreenSpec } from "../targets.ts";
import { daemonPodsOf } from "./daemons.ts";
import { allocatableOfType } from "./instance-allocatable.ts";
import { parseQuantity } from "./quantities.ts";

/** Green's nodes as they are or will be, with the pods that are there before any other. */
export interface Green {
  nodes: GreenNode[];
  /** What had to be assumed. */
  notes: string[];
}

export interface GreenNode {
  node: Node;
  /** Of DaemonSets, and static ones; not those that the picture has on the node. */
  pods: Pod[];
  /** Of a node that is not there yet. */
  csi?: CSINode | undefined;
}

export interface GreenQuestion {
  picture: Picture;
  target: Target;
  blue: readonly Node[];
  green: GreenSpec;
  cloud?: CloudFacts | undefined;
  /** The record of an unfinished run, which left a generation half empty. */
  resumed?: RunRecord | undefined;
}

export interface Shape {
  /** `smallest`: the smallest blue node of the zone is the model. `mixed`: each blue node is the model of one. */
  shape: "smallest" | "mixed";
  /** As many nodes as the groups may grow to, not as many as they begin with. */
  atMost: boolean;
}

/**
 * Nodes that have joined count as they are, open and Ready, as they will be when the drain begins. For those that are still to come:
 * as many in each zone as the handover makes, modelled on a blue node of the zone (or, in a zone that is new, of another), with the
 * labels, taints and limit of pods of the config.
 */
export function greenNodes(question: GreenQuestion, how: Shape): Green {
  const { picture, target, blue, green } = question;
  const real = picture
    .all("Node")
    .filter((node) => isGreen(target, node))
    .toSorted(byName);
  const nodes: GreenNode[] = real.map((node) => ({ node: opened(node), pods: [] }));
  for (const it of nodes) it.pods = daemonPodsOf(it.node, picture);
  const there = Map.groupBy(real, zoneOf);
  const sizes = wantedSizes(green, blue, question.resumed !== undefined);
  const type = modelType(question);
  for (const { zone, max } of green.zones) {
    const wanted = how.atMost ? max : (sizes[zone] ?? 0);
    const inZone = blue.filter((node) => zoneOf(node) === zone);
    const models = (inZone.length > 0 ? inZone : blue).toSorted(how.shape === "smallest" ? bySize : byName);
    for (let number = there.get(zone)?.length ?? 0; number < wanted; number++) {
      const model = models[how.shape === "smallest" ? 0 : number % models.length];
      if (model === undefined) break;
      const node = modelled(model, question, zone, number, type.allocatable);
      nodes.push({
        node,
        pods: [...daemonPodsOf(node, picture), ...staticPodsOf(model, picture)],
        csi: csiOf(model, node, picture),
      });
    }
  }
  return { nodes, notes: type.notes };
}

const byName = (a: Node, b: Node): number => a.metadata.name.localeCompare(b.metadata.name);
const amount = (node: Node, resource: string): bigint =>
  parseQuantity(node.status?.allocatable?.[resource] ?? "0");
function bySize(a: Node, b: Node): number {
  for (const resource of ["memory", "cpu", "pods"]) {
    const [x, y] = [amount(a, resource), amount(b, resource)];
    if (x !== y) return x < y ? -1 : 1;
  }
  return byName(a, b);
}

/** Taints that a node has while it starts, and that its agents take away. */
const STARTING =
  /^node\.(kubernetes|cloudprovider\.kubernetes)\.io\/(not-ready|unreachable|network-unavailable|uninitialized)$|agent-not-ready$/;

/** A node of green as it will be when the drain begins: Ready, and without the marks of an earlier rollback, or of a drain that is reverted. */
export function opened(node: Node): Node {
  const { unschedulable, taints = [], ...spec } = node.spec ?? {};
  return {
    ...node,
    spec: {
      ...spec,
      taints: taints.filter(
        ({ key }) =>
          key !== TAINT_HANDOVER &&
          !STARTING.test(key) &&
          !(key === "node.kubernetes.io/unschedulable" && isCordonedByUs(node)),
      ),
      ...(unschedulable === true && !isCordonedByUs(node) ? { unschedulable } : {}),
    },
  };
}

const INSTANCE_TYPE = "node.kubernetes.io/instance-type";
const ZONE_LABEL = /^(topology|failure-domain\.beta)\.kubernetes\.io\/zone$|^topology\..*\/zone$/;

/**
 * Labels of a blue node that a green one will not have of itself: those of the pool's config (they come from the new one), of the
 * group, and what has no prefix, since no agent sets such labels but a person does.
 */
const leftBehind = (key: string): boolean =>
  !key.includes("/") ||
  key === LABEL_POOL ||
  key === LABEL_GENERATION ||
  key === LABEL_EXCLUDE_LB ||
  /^(eks\.amazonaws\.com\/(nodegroup|sourceLaunchTemplate)|alpha\.eksctl\.io\/)/.test(key);

/** Families of instance types with accelerators (https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html). */
const ACCELERATED = /^(g\d|p\d|inf\d|trn\d|dl\d|f\d|vt\d)/;
/** What device plugins of accelerators offer on a node. */
const DEVICE = /^(nvidia\.com|amd\.com|habana\.ai|gpu\.intel\.com|aws\.amazon\.com)\//;

function modelled(
  model: Node,
  question: GreenQuestion,
  zone: string,
  number: number,
  byType: Record<string, string> | undefined,
): Node {
  const { green, target, cloud } = question;
  const name = `green-${zone}-${number + 1}`;
  const labels = Object.fromEntries(
    Object.entries(model.metadata.labels ?? {})
      .filter(([key]) => !leftBehind(key))
      .map(([key, value]) => [key, ZONE_LABEL.test(key) ? zone : value]),
  );
  labels["kubernetes.io/hostname"] = name;
  labels["topology.kubernetes.io/zone"] = zone;
  const group = target.groups.find((it) => it.zone === zone);
  if (green.kind === "eks-managed") {
    if (group) labels["eks.amazonaws.com/nodegroup"] = group.name;
    labels["eks.amazonaws.com/capacityType"] = green.capacityType;
  }
  const [type] = green.instanceTypes;
  if (type !== undefined && !sameType(model, green)) {
    labels[INSTANCE_TYPE] = type;
    if (labels["beta.kubernetes.io/instance-type"] !== undefined)
      labels["beta.kubernetes.io/instance-type"] = type;
    const architecture = green.architecture ?? cloud?.instanceTypes?.get(type)?.architectures[0];
    for (const key of ["kubernetes.io/arch", "beta.kubernetes.io/arch"])
      if (architecture !== undefined && labels[key] !== undefined) labels[key] = architecture;
  }
  const devices = sameType(model, green) || green.instanceTypes.every((name) => ACCELERATED.test(name));
  const hasOf = ([key]: [string, unknown]): boolean => devices || !DEVICE.test(key);
  return {
    metadata: {
      name,
      uid: `planned-${name}`,
      labels: { ...Object.fromEntries(Object.entries(labels).filter(hasOf)), ...green.labels },
    },
    spec: { taints: green.taints.map((taint) => ({ ...taint })) },
    status: {
      allocatable: {
        ...Object.fromEntries(Object.entries(model.status?.allocatable ?? {}).filter(hasOf)),
        ...(sameType(model, green) ? {} : byType),
        ...(green.maxPods === undefined ? {} : { pods: String(green.maxPods) }),
      },
    },
  };
}

const sameType = ({ metadata: { labels } }: Node, { instanceTypes }: GreenSpec): boolean => {
  const type = labels?.[INSTANCE_TYPE];
  return type === undefined || instanceTypes.length === 0 || instanceTypes.includes(type);
};

/** What a node of other types than blue's will offer: the least of each resource over the types, of which the cloud may give any. */
function modelType({ blue, green, cloud }: GreenQuestion): {
  allocatable: Record<string, string> | undefined;
  notes: string[];
} {
  if (blue.every((node) => sameType(node, green))) return { allocatable: undefined, notes: [] };
  const known = green.instanceTypes.flatMap((name) => cloud?.instanceTypes?.get(name) ?? []);
  const types = green.instanceTypes.join(", ");
  if (known.length === 0) {
    return {
      allocatable: undefined,
      notes: [`what ${types} offers was not asked of the cloud: nodes like blue's are assumed`],
    };
  }
  const least: Record<string, string> = {};
  for (const offer of known.map((type) => allocatableOfType(type, green.maxPods)))
    for (const [resource, text] of Object.entries(offer)) {
      const lowest = least[resource];
      if (lowest === undefined || parseQuantity(text) < parseQuantity(lowest)) least[resource] = text;
    }
  const notes = [`green's nodes are reckoned by instance type (${types}) less a reserve; disks as on blue`];
  return { allocatable: least, notes };
}

const MIRROR = "kubernetes.io/config.mirror";

/** Copies: a pod stands on one node. */
const staticPodsOf = (model: Node, picture: Picture): Pod[] =>
  picture
    .podsOn(model.metadata.name)
    .filter(({ metadata }) => metadata.annotations?.[MIRROR] !== undefined)
    .map((pod) => ({ ...pod }));

/** Drivers and attach limits as on the model. */
function csiOf(model: Node, node: Node, picture: Picture): CSINode | undefined {
  const csi = picture.get("CSINode", model.metadata.name);
  return csi && { ...csi, metadata: { ...csi.metadata, name: node.metadata.name, uid: node.metadata.uid } };
}
