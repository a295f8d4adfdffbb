import type {
  CSINode,
  Node,
  NodeSelectorTerm,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodVolume,
  StorageClass,
} from "../cluster/types.ts";
import type { Picture } from "../picture.ts";
import { matchesTerms } from "./node-rules.ts";
import { matchingVolumes } from "./static-volumes.ts";
import type { Stop } from "./stop.ts";

/** A volume of a CSI driver, or of an in-tree plugin that a CSI driver stands in for. */
export interface Attachable {
  driver: string;
  /** The same for the same volume. */
  handle: string;
}

/** What a pod's volumes ask, worked out once for all nodes. */
export interface PodVolumes {
  /** Stops the pod on every node. */
  stop: Stop | undefined;
  bound: { claim: string; volume: PersistentVolume }[];
  /** Claims that are bound when their pod is scheduled. */
  waiting: { claim: PersistentVolumeClaim; storageClass: StorageClass }[];
  attachable: Attachable[];
  /** Keys of claims that one pod at a time may use (ReadWriteOncePod). */
  exclusive: string[];
}

/** In-tree plugins with the CSI drivers that stand in for them, and these drivers' labels for zones (KEP-625). */
const MIGRATED = [
  {
    plugin: "awsElasticBlockStore",
    provisioner: "kubernetes.io/aws-ebs",
    driver: "ebs.csi.aws.com",
    zone: "topology.ebs.csi.aws.com/zone",
  },
  {
    plugin: "azureDisk",
    provisioner: "kubernetes.io/azure-disk",
    driver: "disk.csi.azure.com",
    zone: "topology.disk.csi.azure.com/zone",
  },
  {
    plugin: "azureFile",
    provisioner: "kubernetes.io/azure-file",
    driver: "file.csi.azure.com",
    zone: undefined,
  },
  {
    plugin: "gcePersistentDisk",
    provisioner: "kubernetes.io/gce-pd",
    driver: "pd.csi.storage.gke.io",
    zone: "topology.gke.io/zone",
  },
  {
    plugin: "cinder",
    provisioner: "kubernetes.io/cinder",
    driver: "cinder.csi.openstack.org",
    zone: "topology.cinder.csi.openstack.org/zone",
  },
  {
    plugin: "vsphereVolume",
    provisioner: "kubernetes.io/vsphere-volume",
    driver: "csi.vsphere.vmware.com",
    zone: undefined,
  },
] as const;

const ZONE_KEYS = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];
const REGION_KEYS = ["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"];

export const claimKey = (namespace: string, name: string): string => `${namespace}/${name}`;

/** Name of the claim behind a pod's volume, if it has one. */
export const claimOfVolume = ({ metadata }: Pod, volume: PodVolume): string | undefined =>
  volume.persistentVolumeClaim?.claimName ??
  (volume.ephemeral === undefined ? undefined : `${metadata.name}-${volume.name}`);

export const classOf = ({ metadata, spec }: PersistentVolumeClaim): string =>
  metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? spec?.storageClassName ?? "";

const stopAtClaim = (claim: string, why: string): Stop => ({ rule: "claim", what: `claim ${claim} ${why}` });

/** @param pod one that is still to be placed, with the claims that it will have */
export function volumesOfPod(pod: Pod, picture: Picture): PodVolumes {
  const volumes: PodVolumes = { stop: undefined, bound: [], waiting: [], attachable: [], exclusive: [] };
  const { namespace = "default" } = pod.metadata;
  for (const volume of pod.spec?.volumes ?? []) {
    const name = claimOfVolume(pod, volume);
    if (name === undefined) {
      const disk = MIGRATED.find(({ plugin }) => plugin in volume);
      if (disk) volumes.attachable.push({ driver: disk.driver, handle: inlineHandle(volume) });
      continue;
    }
    const claim = picture.get("PersistentVolumeClaim", name, namespace);
    if (claim === undefined) volumes.stop ??= stopAtClaim(name, "does not exist");
    else volumes.stop ??= addClaim(volumes, claim, picture);
  }
  return volumes;
}

const inlineHandle = (volume: PodVolume): string =>
  volume.awsElasticBlockStore?.volumeID ??
  volume.azureDisk?.diskName ??
  volume.gcePersistentDisk?.pdName ??
  volume.name;

function addClaim(to: PodVolumes, claim: PersistentVolumeClaim, picture: Picture): Stop | undefined {
  const { name, namespace = "default", deletionTimestamp } = claim.metadata;
  if (deletionTimestamp !== undefined) return stopAtClaim(name, "is being deleted");
  if (claim.status?.phase === "Lost") return stopAtClaim(name, "has lost its volume");
  const attachable = attachableOf(claim, picture);
  if (attachable) to.attachable.push(attachable);
  if (claim.spec?.accessModes?.includes("ReadWriteOncePod")) to.exclusive.push(claimKey(namespace, name));
  const volumeName = claim.spec?.volumeName ?? "";
  if (volumeName !== "" && isBound(claim)) {
    const volume = picture.get("PersistentVolume", volumeName);
    if (volume === undefined) return stopAtClaim(name, `is bound to ${volumeName}, which does not exist`);
    to.bound.push({ claim: name, volume });
    return undefined;
  }
  const className = classOf(claim);
  if (className === "") return stopAtClaim(name, "is not bound and has no storage class");
  // not-judged.ts says so
  if (picture.unread.some(({ kind }) => kind === "StorageClass")) return undefined;
  const storageClass = picture.get("StorageClass", className);
  if (storageClass === undefined)
    return stopAtClaim(name, `is not bound, and its storage class ${className} does not exist`);
  if (storageClass.volumeBindingMode !== "WaitForFirstConsumer" || volumeName !== "")
    return stopAtClaim(name, "is not bound yet");
  to.waiting.push({ claim, storageClass });
  return undefined;
}

/** The volume controller's mark. A claim with a volume's name and without the mark is still on its way. */
const isBound = ({ metadata, status }: PersistentVolumeClaim): boolean =>
  status?.phase === "Bound" || metadata.annotations?.["pv.kubernetes.io/bind-completed"] !== undefined;

/** What a claim's volume counts as against a node's attach limit. One that is still to be made counts as a volume of its own. */
export function attachableOf(claim: PersistentVolumeClaim, picture: Picture): Attachable | undefined {
  const volume = picture.get("PersistentVolume", claim.spec?.volumeName ?? "");
  if (volume !== undefined) return attachableVolume(volume);
  const provisioner = picture.get("StorageClass", classOf(claim))?.provisioner;
  if (provisioner === undefined) return undefined;
  const driver = MIGRATED.find((it) => it.provisioner === provisioner)?.driver ?? provisioner;
  return { driver, handle: `claim ${claimKey(claim.metadata.namespace ?? "default", claim.metadata.name)}` };
}

export function attachableVolume({ metadata, spec = {} }: PersistentVolume): Attachable | undefined {
  if (spec.csi !== undefined)
    return { driver: spec.csi.driver, handle: spec.csi.volumeHandle ?? metadata.name };
  const migrated = MIGRATED.find(({ plugin }) => plugin in spec);
  if (migrated === undefined) return undefined;
  const source =
    spec.awsElasticBlockStore?.volumeID ?? spec.azureDisk?.diskName ?? spec.gcePersistentDisk?.pdName;
  return { driver: migrated.driver, handle: source ?? metadata.name };
}

/** Volumes of a pod that stands on a node already: what cannot be looked up does not count. */
export const attachedBy = (pod: Pod, picture: Picture): Attachable[] =>
  (pod.spec?.volumes ?? []).flatMap((volume) => {
    const name = claimOfVolume(pod, volume);
    if (name === undefined) {
      const disk = MIGRATED.find(({ plugin }) => plugin in volume);
      return disk ? [{ driver: disk.driver, handle: inlineHandle(volume) }] : [];
    }
    const claim = picture.get("PersistentVolumeClaim", name, pod.metadata.namespace);
    const attachable = claim && attachableOf(claim, picture);
    return attachable ? [attachable] : [];
  });

/** Where a pod's volumes are, or can be made. */
export function stopByTopology(
  volumes: PodVolumes,
  node: Node,
  csi: CSINode | undefined,
  picture: Picture,
): Stop | undefined {
  for (const { claim, volume } of volumes.bound) {
    const terms = volume.spec?.nodeAffinity?.required?.nodeSelectorTerms;
    const reached = terms === undefined || matchesTerms(terms, node);
    if (!reached || !inZoneByLabels(volume, node) || !inZoneOfDriver(volume, node, csi)) {
      return {
        rule: "volume-topology",
        what: `out of reach of the volume of claim ${claim} (${volume.metadata.name}${placeText(volume)})`,
      };
    }
  }
  if (volumes.waiting.length === 0) return undefined;
  const found = matchingVolumes(
    volumes.waiting.map(({ claim }) => claim),
    node,
    picture,
  );
  for (const { claim, storageClass } of volumes.waiting) {
    const selected = claim.metadata.annotations?.["volume.kubernetes.io/selected-node"];
    if (selected !== undefined && selected !== node.metadata.name)
      return {
        rule: "volume-topology",
        what: `not ${selected}, where the volume of claim ${claim.metadata.name} is being made`,
      };
    if (selected === undefined && found.has(claim)) continue;
    const { name } = storageClass.metadata;
    if ((storageClass.provisioner ?? "kubernetes.io/no-provisioner") === "kubernetes.io/no-provisioner")
      return {
        rule: "volume-topology",
        what: `without a free volume of class ${name} for claim ${claim.metadata.name}`,
      };
    if (!allows(storageClass, node))
      return {
        rule: "volume-topology",
        what: `where class ${name} of claim ${claim.metadata.name} makes no volumes`,
      };
  }
  return undefined;
}

/** `allowedTopologies`: one of the terms, all of its labels. */
const allows = ({ allowedTopologies = [] }: StorageClass, { metadata: { labels = {} } }: Node): boolean =>
  allowedTopologies.length === 0 ||
  allowedTopologies.some(({ matchLabelExpressions = [] }) =>
    matchLabelExpressions.every(({ key, values }) => values.includes(labels[key] ?? "")),
  );

/** Labels of zone and region on a volume; several zones are joined by `__`. A node with no such label at all is in every zone. */
function inZoneByLabels({ metadata }: PersistentVolume, node: Node): boolean {
  const keys = [...ZONE_KEYS, ...REGION_KEYS];
  const labels = node.metadata.labels ?? {};
  if (!keys.some((key) => labels[key] !== undefined)) return true;
  return keys.every((key) => {
    const value = metadata.labels?.[key];
    if (value === undefined) return true;
    const zones = value.split("__");
    if (zones.some((zone) => zone.trim() === "")) return true;
    const has = labels[key] ?? labels[key.replace("failure-domain.beta.", "topology.")];
    return has !== undefined && zones.map((zone) => zone.trim()).includes(has);
  });
}

/** A migrated volume has to be in the zone that the CSI driver's own label says, once the driver serves the node. */
function inZoneOfDriver(
  { metadata, spec = {} }: PersistentVolume,
  node: Node,
  csi: CSINode | undefined,
): boolean {
  const migrated = MIGRATED.find(({ plugin }) => plugin in spec);
  if (migrated?.zone === undefined) return true;
  const serves = csi?.metadata.annotations?.["storage.alpha.kubernetes.io/migrated-plugins"];
  const label = node.metadata.labels?.[migrated.zone];
  if (label === undefined && !(serves ?? "").split(",").includes(migrated.provisioner)) return true;
  const zones = zonesOf({ metadata, spec });
  return zones.length === 0 || (label !== undefined && zones.includes(label));
}

/** The zones that a volume's labels and node affinity name. */
export function zonesOf({ metadata, spec }: Pick<PersistentVolume, "metadata" | "spec">): string[] {
  const terms: NodeSelectorTerm[] = spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const asked = terms.flatMap(({ matchExpressions = [] }) =>
    matchExpressions.flatMap(({ key, operator, values = [] }) =>
      operator === "In" && /(^|[./])zone$/.test(key) ? values : [],
    ),
  );
  const labelled = ZONE_KEYS.flatMap((key) => metadata.labels?.[key]?.split("__") ?? []);
  return [...new Set(asked.length > 0 ? asked : labelled)].toSorted();
}

function placeText(volume: PersistentVolume): string {
  const zones = zonesOf(volume);
  return zones.length === 0 ? "" : ` in ${zones.join(", ")}`;
}

/** In-tree disks named in the pod itself: most let one pod of a node use them. */
export function stopByConflict(pod: Pod, others: Iterable<Pod>): Stop | undefined {
  const mine = (pod.spec?.volumes ?? []).filter(
    (it) => it.awsElasticBlockStore ?? it.gcePersistentDisk ?? it.iscsi ?? it.rbd,
  );
  if (mine.length === 0) return undefined;
  for (const other of others) {
    for (const theirs of other.spec?.volumes ?? []) {
      const clash = mine.find((volume) => conflict(volume, theirs));
      if (clash)
        return { rule: "volume-in-use", what: `with another pod that uses the disk of volume ${clash.name}` };
    }
  }
  return undefined;
}

function conflict(a: PodVolume, b: PodVolume): boolean {
  const writes = (x?: { readOnly?: boolean }, y?: { readOnly?: boolean }): boolean =>
    !(x?.readOnly === true && y?.readOnly === true);
  if (a.awsElasticBlockStore && a.awsElasticBlockStore.volumeID === b.awsElasticBlockStore?.volumeID)
    return true;
  if (a.gcePersistentDisk && a.gcePersistentDisk.pdName === b.gcePersistentDisk?.pdName)
    return writes(a.gcePersistentDisk, b.gcePersistentDisk);
  if (a.iscsi && a.iscsi.iqn === b.iscsi?.iqn) return writes(a.iscsi, b.iscsi);
  const [mine, theirs] = [a.rbd, b.rbd];
  if (mine === undefined || theirs === undefined) return false;
  return (
    mine.monitors.some((it) => theirs.monitors.includes(it)) &&
    (mine.pool ?? "rbd") === (theirs.pool ?? "rbd") &&
    mine.image === theirs.image &&
    writes(mine, theirs)
  );
}
