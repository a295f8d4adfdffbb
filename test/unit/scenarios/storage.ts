import type { PersistentVolume, Pod, StorageClass } from "../../../rollout/cluster/types.ts";
import { SINCE } from "./defaults.ts";
import type { Objects } from "./objects.ts";

const storageClass = (name: string, provisioner: string): StorageClass => ({
  metadata: { name, uid: `uid-sc-${name}` },
  provisioner,
  volumeBindingMode: "WaitForFirstConsumer",
});

/** Classes that every scenario has. Others are objects of the scenario. */
export const STORAGE_CLASSES = [
  storageClass("gp3", "ebs.csi.aws.com"),
  storageClass("efs", "efs.csi.aws.com"),
  storageClass("local-path", "rancher.io/local-path"),
  storageClass("local-storage", "kubernetes.io/no-provisioner"),
];

/** The claims of pods, bound to volumes as their class's provisioner makes them: zonal where the pod runs, local, or neither. */
export function addStorage(objects: Objects): void {
  for (const pod of objects.all("Pod")) for (const claim of claimsOf(pod)) bind(objects, pod, claim);
  for (const { metadata, spec } of objects.all("PersistentVolumeClaim")) {
    objects.add("PersistentVolumeClaim", {
      metadata,
      ...{
        spec: { accessModes: ["ReadWriteOnce"], storageClassName: "gp3", ...spec },
        status: { phase: "Bound" },
      },
    });
  }
}

const claimsOf = (pod: Pod): string[] =>
  (pod.spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) =>
    persistentVolumeClaim
      ? [persistentVolumeClaim.claimName]
      : ephemeral
        ? [`${pod.metadata.name}-${name}`]
        : [],
  );

function bind(objects: Objects, pod: Pod, name: string): void {
  const { namespace = "default" } = pod.metadata;
  const known = objects.get("PersistentVolumeClaim", name, namespace);
  if (known?.status?.phase !== undefined && known.status.phase !== "Bound") return;
  const className = known?.spec?.storageClassName ?? "gp3";
  const volumeName = known?.spec?.volumeName ?? `pvc-${namespace}-${name}`;
  objects.add("PersistentVolumeClaim", {
    metadata: { name, namespace, uid: `uid-pvc-${namespace}-${name}`, creationTimestamp: SINCE },
    ...{
      spec: { accessModes: ["ReadWriteOnce"], storageClassName: className, volumeName },
      status: { phase: "Bound" },
    },
  });
  const uid = objects.get("PersistentVolumeClaim", name, namespace)?.metadata.uid;
  const node = pod.spec?.nodeName;
  const zone =
    node === undefined
      ? undefined
      : objects.get("Node", node)?.metadata.labels?.["topology.kubernetes.io/zone"];
  const provisioner = objects.get("StorageClass", className)?.provisioner ?? "ebs.csi.aws.com";
  objects.add("PersistentVolume", {
    metadata: { name: volumeName, uid: `uid-pv-${volumeName}`, creationTimestamp: SINCE },
    ...{
      spec: {
        accessModes: ["ReadWriteOnce"],
        storageClassName: className,
        claimRef: { namespace, name, uid },
        ...source(provisioner, volumeName, { zone, node }),
      },
      status: { phase: "Bound" },
    },
  });
}

type VolumeSpec = NonNullable<PersistentVolume["spec"]>;

const pinned = (key: string, value: string | undefined): Pick<VolumeSpec, "nodeAffinity"> =>
  value === undefined
    ? {}
    : {
        nodeAffinity: {
          required: { nodeSelectorTerms: [{ matchExpressions: [{ key, operator: "In", values: [value] }] }] },
        },
      };

/** What a provisioner writes into the volumes that it makes. */
function source(
  provisioner: string,
  volume: string,
  { zone, node }: { zone: string | undefined; node: string | undefined },
): VolumeSpec {
  const csi = { csi: { driver: provisioner, volumeHandle: `vol-${volume}` } };
  switch (provisioner) {
    case "ebs.csi.aws.com":
      return { ...csi, ...pinned("topology.kubernetes.io/zone", zone) };
    case "disk.csi.azure.com":
      return { ...csi, ...pinned("topology.disk.csi.azure.com/zone", zone) };
    case "rancher.io/local-path":
      return {
        hostPath: { path: `/opt/local-path-provisioner/${volume}` },
        ...pinned("kubernetes.io/hostname", node),
      };
    case "kubernetes.io/no-provisioner":
      return { local: { path: "/mnt/disks/ssd0" }, ...pinned("kubernetes.io/hostname", node) };
    default:
      return csi;
  }
}
