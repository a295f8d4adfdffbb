import type { NodeSelectorTerm, PersistentVolume } from "../cluster/types.ts";

/** Where a volume can be used, as far as the PersistentVolume says. */
export type VolumeKind =
  /** On the disk of these nodes (by the value of the label that names them); none named: of whichever node it was made on. */
  | { kind: "local"; nodes: string[] }
  /** In one zone alone: EBS, Azure Disk. */
  | { kind: "zonal"; zones: string[] }
  /** In any of several zones: replicated disks. */
  | { kind: "regional"; zones: string[] }
  /** Everywhere: EFS, Azure Files, NFS and other network file systems, and volumes that name no place. */
  | { kind: "anywhere" }
  /** Of a driver whose disks are zonal, and nothing says the zone. */
  | { kind: "unknown-zone" }
  /** Bound to nodes by labels that are neither a zone nor a node's name. */
  | { kind: "labels" };

/** Names a node: `kubernetes.io/hostname`, and what local CSI drivers use (topology.topolvm.io/node, openebs.io/nodename, …). */
const NODE_KEY = /(^|\/)(hostname|host|node|nodename|node-name|nodeid|node-id)$/;
/** Names a zone: topology.kubernetes.io, failure-domain.beta.kubernetes.io, and the drivers' own (topology.ebs.csi.aws.com, …). */
const ZONE_KEY = /\/zone$/;
const ZONE_LABELS = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];
/** Drivers whose disks never leave their zone; made by hand, their PersistentVolume may lack the node affinity. */
const ZONAL_DRIVERS = new Set(["ebs.csi.aws.com", "disk.csi.azure.com", "pd.csi.storage.gke.io"]);

/**
 * What kind of place a volume is in. Its node affinity decides, for it is what the scheduler goes by; in-tree volumes of old have the zone
 * as a label (several joined by `__`, https://kubernetes.io/docs/reference/labels-annotations-taints/#topologykubernetesiozone).
 */
export function volumeKind({ metadata, spec = {} }: PersistentVolume): VolumeKind {
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  if (terms.length > 0) return ofTerms(terms);
  if (spec.local !== undefined || spec.hostPath !== undefined) return { kind: "local", nodes: [] };
  const label = ZONE_LABELS.map((key) => metadata.labels?.[key]).find((zone) => zone !== undefined);
  if (label !== undefined) return ofZones(label.split("__"));
  const inTree = spec.awsElasticBlockStore ?? spec.azureDisk ?? spec.gcePersistentDisk;
  const driver = spec.csi?.driver;
  return inTree !== undefined || (driver !== undefined && ZONAL_DRIVERS.has(driver))
    ? { kind: "unknown-zone" }
    : { kind: "anywhere" };
}

/** One term is enough: a volume is local if every term names nodes, and in the zones that the terms name together. */
function ofTerms(terms: readonly NodeSelectorTerm[]): VolumeKind {
  const nodes = terms.map((term) => valuesOf(term, NODE_KEY));
  if (nodes.every((values) => values !== undefined)) return { kind: "local", nodes: sorted(nodes.flat()) };
  const zones = terms.map((term) => valuesOf(term, ZONE_KEY));
  // Azure says "no zone" with an empty value: the disk of a region without zones goes wherever its region's nodes are
  const named = zones.every((values) => values !== undefined && !values.includes(""));
  return named ? ofZones(zones.flatMap((values) => values ?? [])) : { kind: "labels" };
}

const ofZones = (zones: readonly string[]): VolumeKind => {
  const all = sorted(zones);
  return { kind: all.length > 1 ? "regional" : "zonal", zones: all };
};

/** The values that a term allows for a key of this form; undefined where it says nothing of one. */
function valuesOf({ matchExpressions = [] }: NodeSelectorTerm, key: RegExp): string[] | undefined {
  const found = matchExpressions.filter((it) => it.operator === "In" && key.test(it.key));
  return found.length === 0 ? undefined : found.flatMap(({ values = [] }) => values);
}

const sorted = (values: readonly string[]): string[] => [...new Set(values)].toSorted();
