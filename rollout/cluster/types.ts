/**
 * The parts of the Kubernetes objects that the rollout reads, as they stand on the wire (times are RFC 3339 strings).
 * Fields that PatchGuard never reads are left out; every object keeps what it came with.
 */

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
}

export interface KubeObject {
  metadata: ObjectMeta;
}

export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

export interface Taint {
  key: string;
  value?: string;
  effect: string;
  timeAdded?: string;
}

export interface Node extends KubeObject {
  spec?: { unschedulable?: boolean; taints?: Taint[]; providerID?: string };
  status?: {
    conditions?: Condition[];
    allocatable?: Record<string, string>;
    capacity?: Record<string, string>;
    nodeInfo?: { kernelVersion?: string; osImage?: string; kubeletVersion?: string; architecture?: string };
    volumesAttached?: { name: string }[];
    volumesInUse?: string[];
  };
}

export interface Toleration {
  key?: string;
  operator?: string;
  value?: string;
  effect?: string;
}

export interface ContainerStatus {
  name: string;
  ready?: boolean;
  restartCount?: number;
  state?: { waiting?: { reason?: string; message?: string }; terminated?: { reason?: string } };
  lastState?: { terminated?: { reason?: string; finishedAt?: string } };
}

export interface PodVolume {
  name: string;
  persistentVolumeClaim?: { claimName: string };
  ephemeral?: object;
  emptyDir?: { medium?: string; sizeLimit?: string };
  hostPath?: { path: string };
}

export interface Pod extends KubeObject {
  spec?: {
    nodeName?: string;
    nodeSelector?: Record<string, string>;
    tolerations?: Toleration[];
    volumes?: PodVolume[];
    priority?: number;
    priorityClassName?: string;
    terminationGracePeriodSeconds?: number;
    containers?: { name: string; resources?: { requests?: Record<string, string> } }[];
  };
  status?: {
    phase?: string;
    conditions?: Condition[];
    containerStatuses?: ContainerStatus[];
    startTime?: string;
  };
}

export interface PodDisruptionBudget extends KubeObject {
  spec?: {
    minAvailable?: number | string;
    maxUnavailable?: number | string;
    selector?: LabelSelector;
    unhealthyPodEvictionPolicy?: string;
  };
  status?: {
    disruptionsAllowed?: number;
    currentHealthy?: number;
    desiredHealthy?: number;
    expectedPods?: number;
    observedGeneration?: number;
    disruptedPods?: Record<string, string>;
  };
}

/** ReplicaSet and StatefulSet, as far as "how many should there be" goes. */
export interface ReplicaOwner extends KubeObject {
  spec?: { replicas?: number; minReadySeconds?: number };
  status?: { replicas?: number; readyReplicas?: number; observedGeneration?: number };
}

export interface DaemonSet extends KubeObject {
  spec?: {
    template?: {
      spec?: { nodeSelector?: Record<string, string>; tolerations?: Toleration[]; affinity?: object };
    };
  };
  status?: { desiredNumberScheduled?: number; numberReady?: number };
}

export interface PersistentVolumeClaim extends KubeObject {
  spec?: { volumeName?: string; storageClassName?: string };
  status?: { phase?: string };
}

export interface PersistentVolume extends KubeObject {
  spec?: {
    csi?: { driver: string; volumeHandle?: string };
    local?: { path: string };
    hostPath?: { path: string };
    nodeAffinity?: { required?: { nodeSelectorTerms?: { matchExpressions?: NodeSelectorRequirement[] }[] } };
  };
}

export interface NodeSelectorRequirement {
  key: string;
  operator: string;
  values?: string[];
}

export interface VolumeAttachment extends KubeObject {
  spec: { attacher: string; nodeName: string; source: { persistentVolumeName?: string } };
  status?: { attached?: boolean };
}

export interface CSIDriver extends KubeObject {
  spec?: { attachRequired?: boolean };
}

export interface Lease extends KubeObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

/** core/v1 Event. */
export interface Event extends KubeObject {
  involvedObject: { apiVersion?: string; kind: string; namespace?: string; name: string; uid?: string };
  reason: string;
  message: string;
  type: "Normal" | "Warning";
  count?: number;
  firstTimestamp?: string;
  lastTimestamp?: string;
  source?: { component?: string };
  reportingComponent?: string;
  reportingInstance?: string;
}

/** The kinds that the rollout touches, with where the API server keeps them. */
export const RESOURCES = {
  Node: { path: "/api/v1", plural: "nodes", namespaced: false },
  Pod: { path: "/api/v1", plural: "pods", namespaced: true },
  ConfigMap: { path: "/api/v1", plural: "configmaps", namespaced: true },
  Event: { path: "/api/v1", plural: "events", namespaced: true },
  PersistentVolumeClaim: { path: "/api/v1", plural: "persistentvolumeclaims", namespaced: true },
  PersistentVolume: { path: "/api/v1", plural: "persistentvolumes", namespaced: false },
  ReplicaSet: { path: "/apis/apps/v1", plural: "replicasets", namespaced: true },
  StatefulSet: { path: "/apis/apps/v1", plural: "statefulsets", namespaced: true },
  DaemonSet: { path: "/apis/apps/v1", plural: "daemonsets", namespaced: true },
  PodDisruptionBudget: { path: "/apis/policy/v1", plural: "poddisruptionbudgets", namespaced: true },
  VolumeAttachment: { path: "/apis/storage.k8s.io/v1", plural: "volumeattachments", namespaced: false },
  CSIDriver: { path: "/apis/storage.k8s.io/v1", plural: "csidrivers", namespaced: false },
  Lease: { path: "/apis/coordination.k8s.io/v1", plural: "leases", namespaced: true },
} as const;

export type Kind = keyof typeof RESOURCES;

/** Object type by kind. */
export interface Kinds {
  Node: Node;
  Pod: Pod;
  ConfigMap: ConfigMap;
  Event: Event;
  PersistentVolumeClaim: PersistentVolumeClaim;
  PersistentVolume: PersistentVolume;
  ReplicaSet: ReplicaOwner;
  StatefulSet: ReplicaOwner;
  DaemonSet: DaemonSet;
  PodDisruptionBudget: PodDisruptionBudget;
  VolumeAttachment: VolumeAttachment;
  CSIDriver: CSIDriver;
  Lease: Lease;
}
