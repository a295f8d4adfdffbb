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
  /** Who set which field last; tells who scaled a workload. */
  managedFields?: ManagedFields[];
}

export interface ManagedFields {
  manager?: string;
  operation?: string;
  subresource?: string;
  time?: string;
  fieldsV1?: Record<string, unknown>;
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
    nodeInfo?: {
      kernelVersion?: string;
      osImage?: string;
      kubeletVersion?: string;
      architecture?: string;
      operatingSystem?: string;
    };
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
  image?: string;
  ready?: boolean;
  restartCount?: number;
  state?: {
    running?: { startedAt?: string };
    waiting?: { reason?: string; message?: string };
    terminated?: ContainerEnd;
  };
  lastState?: { terminated?: ContainerEnd };
}

export interface ContainerEnd {
  reason?: string;
  message?: string;
  exitCode?: number;
  startedAt?: string;
  finishedAt?: string;
}

export interface PodVolume {
  name: string;
  persistentVolumeClaim?: { claimName: string };
  /** Its claim is made with the pod and goes with it; the name is `<pod>-<volume>`. */
  ephemeral?: { volumeClaimTemplate?: { spec?: PersistentVolumeClaim["spec"] } };
  emptyDir?: { medium?: string; sizeLimit?: string };
  hostPath?: { path: string };
  /** In-tree volumes without a claim: they limit a pod to one node at a time. */
  awsElasticBlockStore?: { volumeID: string };
  azureDisk?: { diskName: string };
  gcePersistentDisk?: { pdName: string; readOnly?: boolean };
  iscsi?: { iqn: string; readOnly?: boolean };
  rbd?: { monitors: string[]; pool?: string; image: string; readOnly?: boolean };
}

export interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  restartPolicy?: string;
  resources?: Resources;
  ports?: { containerPort?: number; hostPort?: number; hostIP?: string; protocol?: string }[];
}

/** Quantities as text, by resource name. */
export interface Resources {
  requests?: Record<string, string>;
  limits?: Record<string, string>;
}

export interface NodeSelectorTerm {
  matchExpressions?: NodeSelectorRequirement[];
  matchFields?: NodeSelectorRequirement[];
}

export interface PodAffinityTerm {
  labelSelector?: LabelSelector;
  topologyKey: string;
  namespaces?: string[];
  namespaceSelector?: LabelSelector;
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
}

export interface Affinity {
  nodeAffinity?: {
    requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: NodeSelectorTerm[] };
    preferredDuringSchedulingIgnoredDuringExecution?: object[];
  };
  podAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[] };
  podAntiAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[] };
}

export interface TopologySpreadConstraint {
  maxSkew: number;
  topologyKey: string;
  whenUnsatisfiable: string;
  labelSelector?: LabelSelector;
  minDomains?: number;
  nodeAffinityPolicy?: string;
  nodeTaintsPolicy?: string;
  matchLabelKeys?: string[];
}

export interface PodSpec {
  nodeName?: string;
  nodeSelector?: Record<string, string>;
  affinity?: Affinity;
  tolerations?: Toleration[];
  topologySpreadConstraints?: TopologySpreadConstraint[];
  volumes?: PodVolume[];
  priority?: number;
  priorityClassName?: string;
  schedulerName?: string;
  schedulingGates?: { name: string }[];
  terminationGracePeriodSeconds?: number;
  hostNetwork?: boolean;
  restartPolicy?: string;
  runtimeClassName?: string;
  overhead?: Record<string, string>;
  resources?: Resources;
  resourceClaims?: { name: string }[];
  containers?: Container[];
  initContainers?: Container[];
}

export interface Pod extends KubeObject {
  spec?: PodSpec;
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    conditions?: Condition[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
    startTime?: string;
    nominatedNodeName?: string;
    podIP?: string;
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
    conditions?: Condition[];
  };
}

/** Deployment, ReplicaSet and StatefulSet, as far as "how many should there be" goes. */
export interface ReplicaOwner extends KubeObject {
  spec?: {
    replicas?: number;
    /** Of StatefulSets: the number of the first pod. */
    ordinals?: { start?: number };
    minReadySeconds?: number;
    paused?: boolean;
    selector?: LabelSelector;
    template?: PodTemplate;
    updateStrategy?: { type?: string };
  };
  status?: {
    replicas?: number;
    readyReplicas?: number;
    observedGeneration?: number;
    currentRevision?: string;
    updateRevision?: string;
    conditions?: Condition[];
  };
}

export interface PodTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec?: PodSpec;
}

export interface DaemonSet extends KubeObject {
  spec?: { selector?: LabelSelector; template?: PodTemplate };
  status?: {
    desiredNumberScheduled?: number;
    currentNumberScheduled?: number;
    numberReady?: number;
    observedGeneration?: number;
  };
}

export interface CronJob extends KubeObject {
  spec?: { suspend?: boolean; schedule?: string; jobTemplate?: { spec?: { template?: PodTemplate } } };
}

export interface HorizontalPodAutoscaler extends KubeObject {
  spec?: {
    minReplicas?: number;
    maxReplicas?: number;
    scaleTargetRef?: { apiVersion?: string; kind: string; name: string };
  };
  status?: { currentReplicas?: number; desiredReplicas?: number; conditions?: Condition[] };
}

export interface Namespace extends KubeObject {
  status?: { phase?: string };
}

export interface StorageClass extends KubeObject {
  provisioner?: string;
  volumeBindingMode?: string;
  allowedTopologies?: { matchLabelExpressions?: { key: string; values: string[] }[] }[];
}

export interface CSINode extends KubeObject {
  spec?: {
    drivers?: { name: string; nodeID?: string; allocatable?: { count?: number }; topologyKeys?: string[] }[];
  };
}

/** ValidatingWebhookConfiguration and MutatingWebhookConfiguration. */
export interface WebhookConfiguration extends KubeObject {
  webhooks?: {
    name: string;
    sideEffects?: string;
    failurePolicy?: string;
    namespaceSelector?: LabelSelector;
    objectSelector?: LabelSelector;
    rules?: {
      apiGroups?: string[];
      apiVersions?: string[];
      operations?: string[];
      resources?: string[];
      scope?: string;
    }[];
  }[];
}

/** karpenter.sh/v1 NodePool. */
export interface NodePool extends KubeObject {
  spec?: {
    disruption?: {
      consolidationPolicy?: string;
      consolidateAfter?: string;
      budgets?: { nodes?: string; reasons?: string[]; schedule?: string }[];
    };
  };
}

/** autoscaling.k8s.io/v1 VerticalPodAutoscaler. */
export interface VerticalPodAutoscaler extends KubeObject {
  spec?: { targetRef?: { kind: string; name: string }; updatePolicy?: { updateMode?: string } };
}

export interface PersistentVolumeClaim extends KubeObject {
  spec?: {
    volumeName?: string;
    storageClassName?: string;
    accessModes?: string[];
    resources?: Resources;
    selector?: LabelSelector;
    volumeMode?: string;
  };
  status?: { phase?: string };
}

export interface PersistentVolume extends KubeObject {
  spec?: {
    accessModes?: string[];
    capacity?: Record<string, string>;
    volumeMode?: string;
    storageClassName?: string;
    claimRef?: { namespace?: string; name?: string; uid?: string };
    csi?: { driver: string; volumeHandle?: string };
    local?: { path: string };
    hostPath?: { path: string };
    nfs?: { server: string; path: string };
    azureFile?: { shareName: string };
    awsElasticBlockStore?: { volumeID: string };
    azureDisk?: { diskName: string };
    gcePersistentDisk?: { pdName: string };
    cinder?: { volumeID: string };
    vsphereVolume?: { volumePath: string };
    nodeAffinity?: { required?: { nodeSelectorTerms?: NodeSelectorTerm[] } };
  };
  status?: { phase?: string };
}

export interface NodeSelectorRequirement {
  key: string;
  operator: string;
  values?: string[];
}

export interface VolumeAttachment extends KubeObject {
  spec: { attacher: string; nodeName: string; source: { persistentVolumeName?: string } };
  status?: {
    attached?: boolean;
    /** What the CSI driver last answered, where it failed. */
    attachError?: { message?: string };
    detachError?: { message?: string };
  };
}

export interface CSIDriver extends KubeObject {
  spec?: { attachRequired?: boolean; storageCapacity?: boolean };
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
  Deployment: { path: "/apis/apps/v1", plural: "deployments", namespaced: true },
  StatefulSet: { path: "/apis/apps/v1", plural: "statefulsets", namespaced: true },
  DaemonSet: { path: "/apis/apps/v1", plural: "daemonsets", namespaced: true },
  PodDisruptionBudget: { path: "/apis/policy/v1", plural: "poddisruptionbudgets", namespaced: true },
  VolumeAttachment: { path: "/apis/storage.k8s.io/v1", plural: "volumeattachments", namespaced: false },
  CSIDriver: { path: "/apis/storage.k8s.io/v1", plural: "csidrivers", namespaced: false },
  Lease: { path: "/apis/coordination.k8s.io/v1", plural: "leases", namespaced: true },
  Namespace: { path: "/api/v1", plural: "namespaces", namespaced: false },
  CronJob: { path: "/apis/batch/v1", plural: "cronjobs", namespaced: true },
  HorizontalPodAutoscaler: {
    path: "/apis/autoscaling/v2",
    plural: "horizontalpodautoscalers",
    namespaced: true,
  },
  StorageClass: { path: "/apis/storage.k8s.io/v1", plural: "storageclasses", namespaced: false },
  CSINode: { path: "/apis/storage.k8s.io/v1", plural: "csinodes", namespaced: false },
  ValidatingWebhookConfiguration: {
    path: "/apis/admissionregistration.k8s.io/v1",
    plural: "validatingwebhookconfigurations",
    namespaced: false,
  },
  MutatingWebhookConfiguration: {
    path: "/apis/admissionregistration.k8s.io/v1",
    plural: "mutatingwebhookconfigurations",
    namespaced: false,
  },
  NodePool: { path: "/apis/karpenter.sh/v1", plural: "nodepools", namespaced: false },
  VerticalPodAutoscaler: {
    path: "/apis/autoscaling.k8s.io/v1",
    plural: "verticalpodautoscalers",
    namespaced: true,
  },
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
  Deployment: ReplicaOwner;
  Namespace: Namespace;
  CronJob: CronJob;
  HorizontalPodAutoscaler: HorizontalPodAutoscaler;
  StorageClass: StorageClass;
  CSINode: CSINode;
  ValidatingWebhookConfiguration: WebhookConfiguration;
  MutatingWebhookConfiguration: WebhookConfiguration;
  NodePool: NodePool;
  VerticalPodAutoscaler: VerticalPodAutoscaler;
}
