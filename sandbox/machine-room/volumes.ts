/**
 * What the EBS CSI driver and the kubelets do about volumes: provision in the pod's zone, attach and detach, report
 * what a node uses, and tell a pod's Stage (by annotation) that its volumes are there.
 */

import { randomBytes } from "node:crypto";
import type {
  V1Node,
  V1PersistentVolume,
  V1PersistentVolumeClaim,
  V1Pod,
  V1VolumeAttachment,
} from "@kubernetes/client-node";
import { jsonPatch, mergePatch, tolerate, type Kube } from "./kube.ts";
import { log } from "./log.ts";
import type { Settings } from "./settings.ts";

export const CSI_DRIVER = "ebs.csi.aws.com";
const STORAGE_CLASS = "zonal";
const FINALIZER = "external-attacher/ebs-csi-aws-com";
const ATTACHED = "sandbox.patchguard.dev/volumes";
const ZONE = "topology.kubernetes.io/zone";

export class Volumes {
  private readonly kube: Kube;
  private readonly settings: Settings;
  private readonly wake: () => void;
  /** When an attachment was first seen in its present phase, by uid. */
  private readonly since = new Map<string, number>();

  /** @param wake runs `reconcile` again soon */
  constructor(kube: Kube, settings: Settings, wake: () => void) {
    this.kube = kube;
    this.settings = settings;
    this.wake = wake;
  }

  /** The storage class and the driver's registration. */
  async seed(): Promise<void> {
    await tolerate([409], () =>
      this.kube.storage.createCSIDriver({
        body: {
          metadata: { name: CSI_DRIVER },
          spec: { attachRequired: true, podInfoOnMount: false, volumeLifecycleModes: ["Persistent"] },
        },
      }),
    );
    await tolerate([409], () =>
      this.kube.storage.createStorageClass({
        body: {
          metadata: {
            name: STORAGE_CLASS,
            annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
          },
          provisioner: CSI_DRIVER,
          volumeBindingMode: "WaitForFirstConsumer",
          reclaimPolicy: "Delete",
        },
      }),
    );
  }

  async reconcile(): Promise<void> {
    if (!this.kube.synced) return;
    await Promise.all([
      ...this.kube.claims.list().map((claim) => this.provision(claim)),
      ...this.kube.volumes.list().map((volume) => this.reclaim(volume)),
      ...this.kube.attachments.list().map((attachment) => this.attach(attachment)),
    ]);
    const byNode = Map.groupBy(
      this.kube.pods.list().filter((p) => p.spec?.nodeName && this.claimsOf(p).length > 0),
      (p) => p.spec?.nodeName ?? "",
    );
    await Promise.all([
      ...this.kube.nodes.list().map((node) => this.report(node, byNode.get(node.metadata?.name ?? "") ?? [])),
      ...[...byNode.values()].flat().map((pod) => this.annotate(pod)),
    ]);
  }

  /** The external provisioner: a volume in the zone of the node that the scheduler has chosen. */
  private async provision(claim: V1PersistentVolumeClaim): Promise<void> {
    const { name, namespace, uid, annotations } = claim.metadata ?? {};
    const nodeName = annotations?.["volume.kubernetes.io/selected-node"];
    if (claim.spec?.storageClassName !== STORAGE_CLASS || claim.spec.volumeName || nodeName === undefined)
      return;
    const zone = this.kube.nodes.get(nodeName)?.metadata?.labels?.[ZONE];
    const volume = `pvc-${uid}`;
    if (zone === undefined || this.kube.volumes.get(volume)) return;
    await tolerate([409], () =>
      this.kube.core.createPersistentVolume({
        body: {
          metadata: { name: volume, annotations: { "pv.kubernetes.io/provisioned-by": CSI_DRIVER } },
          spec: {
            accessModes: claim.spec?.accessModes ?? ["ReadWriteOnce"],
            capacity: { storage: claim.spec?.resources?.requests?.["storage"] ?? "1Gi" },
            claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", name, namespace, uid },
            csi: { driver: CSI_DRIVER, volumeHandle: `vol-${randomBytes(9).toString("hex").slice(0, 17)}` },
            nodeAffinity: {
              required: {
                nodeSelectorTerms: [{ matchExpressions: [{ key: ZONE, operator: "In", values: [zone] }] }],
              },
            },
            persistentVolumeReclaimPolicy: "Delete",
            storageClassName: STORAGE_CLASS,
          },
        },
      }),
    );
    log(`volume ${volume} made in ${zone} for ${namespace}/${name}`);
  }

  private async reclaim(volume: V1PersistentVolume): Promise<void> {
    const name = volume.metadata?.name ?? "";
    const ours =
      volume.spec?.csi?.driver === CSI_DRIVER && volume.spec.persistentVolumeReclaimPolicy === "Delete";
    if (!ours || volume.status?.phase !== "Released" || volume.metadata?.deletionTimestamp) return;
    if (this.kube.attachments.list().some((a) => a.spec.source.persistentVolumeName === name)) return;
    await tolerate([404], () => this.kube.core.deletePersistentVolume({ name }));
  }

  /** The external attacher. An EBS volume is attached to one instance at a time: the next waits for the last. */
  private async attach(attachment: V1VolumeAttachment): Promise<void> {
    if (attachment.spec.attacher !== CSI_DRIVER) return;
    const name = attachment.metadata?.name ?? "";
    const finalizers = attachment.metadata?.finalizers ?? [];
    if (attachment.metadata?.deletionTimestamp) {
      if (!finalizers.includes(FINALIZER) || !this.after(attachment, "detach", this.settings.detachMs))
        return;
      await this.setFinalizers(
        attachment,
        finalizers.filter((f) => f !== FINALIZER),
      );
      log(`volume ${attachment.spec.source.persistentVolumeName} detached from ${attachment.spec.nodeName}`);
      return;
    }
    if (attachment.status?.attached) return;
    // The driver's controller finds the instance through the Node; without one it fails and tries again.
    if (!this.kube.nodes.get(attachment.spec.nodeName)) return;
    if (!finalizers.includes(FINALIZER)) {
      await this.setFinalizers(attachment, [...finalizers, FINALIZER]);
      return;
    }
    const elsewhere = this.kube.attachments
      .list()
      .some(
        (a) =>
          a.metadata?.uid !== attachment.metadata?.uid &&
          a.spec.source.persistentVolumeName === attachment.spec.source.persistentVolumeName &&
          (a.metadata?.finalizers ?? []).includes(FINALIZER),
      );
    if (elsewhere || !this.after(attachment, "attach", this.settings.attachMs)) return;
    await tolerate([404], () =>
      this.kube.storage.patchVolumeAttachmentStatus(
        { name, body: { status: { attached: true } } },
        mergePatch,
      ),
    );
    log(`volume ${attachment.spec.source.persistentVolumeName} attached to ${attachment.spec.nodeName}`);
  }

  private async setFinalizers(attachment: V1VolumeAttachment, finalizers: string[]): Promise<void> {
    const { name = "", resourceVersion } = attachment.metadata ?? {};
    // The resource version makes a lost race a 409: the next run sees the newer object.
    await tolerate([404, 409], () =>
      this.kube.storage.patchVolumeAttachment(
        { name, body: { metadata: { finalizers, resourceVersion } } },
        mergePatch,
      ),
    );
  }

  /** True once `ms` have passed since the attachment was first seen in this phase; until then wakes us in time. */
  private after(attachment: V1VolumeAttachment, phase: string, ms: number): boolean {
    const key = `${attachment.metadata?.uid}/${phase}`;
    const first = this.since.get(key);
    if (first === undefined) {
      this.since.set(key, Date.now());
      setTimeout(this.wake, ms + 5).unref();
      return ms === 0;
    }
    return Date.now() - first >= ms;
  }

  private claimsOf(pod: V1Pod): string[] {
    return (pod.spec?.volumes ?? []).flatMap((v) => {
      const name =
        v.persistentVolumeClaim?.claimName ?? (v.ephemeral ? `${pod.metadata?.name}-${v.name}` : undefined);
      return name === undefined ? [] : [`${pod.metadata?.namespace}/${name}`];
    });
  }

  private volumeOf(claim: string): V1PersistentVolume | undefined {
    return this.kube.volumes.get(this.kube.claims.get(claim)?.spec?.volumeName ?? "");
  }

  /**
   * The kubelet's report: a volume is in use from the pod's arrival until its containers have ended. The attach-detach
   * controller neither detaches what is in use, nor lets go of a volume whose report never ends.
   */
  private async report(node: V1Node, pods: V1Pod[]): Promise<void> {
    const inUse = new Set<string>();
    for (const pod of pods) {
      if (pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") continue;
      for (const claim of this.claimsOf(pod)) {
        const csi = this.volumeOf(claim)?.spec?.csi;
        if (csi?.driver === CSI_DRIVER) inUse.add(`kubernetes.io/csi/${CSI_DRIVER}^${csi.volumeHandle}`);
      }
    }
    const wanted = [...inUse].sort();
    const present = [...(node.status?.volumesInUse ?? [])].sort();
    if (wanted.join() === present.join()) return;
    await tolerate([404], () =>
      this.kube.core.patchNodeStatus(
        { name: node.metadata?.name ?? "", body: { status: { volumesInUse: wanted } } },
        mergePatch,
      ),
    );
  }

  private async annotate(pod: V1Pod): Promise<void> {
    if (pod.metadata?.annotations?.[ATTACHED] === "attached" || pod.metadata?.deletionTimestamp) return;
    const all = this.claimsOf(pod).every((claim) => {
      const volume = this.volumeOf(claim);
      if (!volume) return false;
      if (volume.spec?.csi?.driver !== CSI_DRIVER) return true;
      return this.kube.attachments
        .list()
        .some(
          (a) =>
            a.spec.source.persistentVolumeName === volume.metadata?.name &&
            a.spec.nodeName === pod.spec?.nodeName &&
            a.status?.attached &&
            !a.metadata?.deletionTimestamp,
        );
    });
    if (!all) return;
    await tolerate([404, 422], () =>
      this.kube.core.patchNamespacedPod(
        {
          name: pod.metadata?.name ?? "",
          namespace: pod.metadata?.namespace ?? "",
          // the uid is tested: a StatefulSet's next pod has the same name
          body: [
            { op: "test", path: "/metadata/uid", value: pod.metadata?.uid },
            ...(pod.metadata?.annotations ? [] : [{ op: "add", path: "/metadata/annotations", value: {} }]),
            { op: "add", path: `/metadata/annotations/${ATTACHED.replace("/", "~1")}`, value: "attached" },
          ],
        },
        jsonPatch,
      ),
    );
  }
}
