/** The parts of Kubernetes objects that the watcher reads, as they stand in the API's JSON, and questions about them. */

export interface Meta {
  name: string;
  uid: string;
  namespace?: string;
  resourceVersion?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  managedFields?: { manager?: string; operation?: string; time?: string; fieldsV1?: unknown }[];
}

export interface OwnerReference {
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
}

export interface Taint {
  key: string;
  value?: string;
  effect: string;
}

export interface Condition {
  type: string;
  status: string;
  reason?: string;
}

export interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

export interface Pod {
  kind: "Pod";
  metadata: Meta;
  spec?: {
    nodeName?: string;
    terminationGracePeriodSeconds?: number;
    volumes?: { name: string; persistentVolumeClaim?: { claimName: string } }[];
  };
  status?: { phase?: string; conditions?: Condition[] };
}

export interface Node {
  kind: "Node";
  metadata: Meta;
  spec?: { unschedulable?: boolean; taints?: Taint[] };
}

export interface Budget {
  kind: "PodDisruptionBudget";
  metadata: Meta;
  spec?: { selector?: Selector; minAvailable?: number | string; maxUnavailable?: number | string };
  status?: {
    disruptionsAllowed?: number;
    expectedPods?: number;
    currentHealthy?: number;
    desiredHealthy?: number;
  };
}

export interface Scaled {
  kind: "StatefulSet" | "ReplicaSet" | "Deployment";
  metadata: Meta;
  spec?: { replicas?: number; ordinals?: { start?: number } };
}

export interface VolumeAttachment {
  kind: "VolumeAttachment";
  metadata: Meta;
  spec?: { nodeName?: string; source?: { persistentVolumeName?: string } };
  status?: { attached?: boolean };
}

export interface Claim {
  kind: "PersistentVolumeClaim";
  metadata: Meta;
  spec?: { volumeName?: string };
}

export interface Lease {
  kind: "Lease";
  metadata: Meta;
  spec?: { holderIdentity?: string; renewTime?: string; leaseDurationSeconds?: number };
}

/** Kept for the record, judged by nothing yet. */
export interface Other {
  kind: "PersistentVolume" | "Event" | "ConfigMap";
  metadata: Meta;
  reason?: string;
  message?: string;
  type?: string;
  involvedObject?: { kind?: string; name?: string; namespace?: string };
  data?: Record<string, string>;
}

export type KubeObject = Pod | Node | Budget | Scaled | VolumeAttachment | Claim | Lease | Other;

/** `namespace/name`, or the name of an object without a namespace. */
export const keyOf = (object: { metadata: Meta }): string =>
  object.metadata.namespace === undefined
    ? object.metadata.name
    : `${object.metadata.namespace}/${object.metadata.name}`;

export const controllerOf = (object: { metadata: Meta }): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find((owner) => owner.controller === true);

export const isFinished = (pod: Pod): boolean =>
  pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";

/** Not finished, not of a DaemonSet, not a mirror of a static pod. */
export const isWorkload = (pod: Pod): boolean =>
  !isFinished(pod) &&
  controllerOf(pod)?.kind !== "DaemonSet" &&
  pod.metadata.annotations?.["kubernetes.io/config.mirror"] === undefined;

export const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;

export const isTerminating = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined;

/** What the budget controller counts as healthy. */
export const isHealthy = (pod: Pod): boolean => isReady(pod) && !isTerminating(pod) && !isFinished(pod);

/** A missing selector selects nothing, an empty one everything (policy/v1). */
export function selects(selector: Selector | undefined, labels: Record<string, string> = {}): boolean {
  if (selector === undefined) return false;
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    if (labels[key] !== value) return false;
  }
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key];
    switch (operator) {
      case "In":
        return value !== undefined && values.includes(value);
      case "NotIn":
        return value === undefined || !values.includes(value);
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
      default:
        return false;
    }
  });
}

/** A count, or a percentage of `total` rounded up, as the budget controller reads it. */
export function scaled(value: number | string, total: number): number {
  if (typeof value === "number") return value;
  const percent = /^(\d+)%$/.exec(value)?.[1];
  return percent === undefined ? 0 : Math.ceil((Number(percent) * total) / 100);
}

export const claimNames = (pod: Pod): string[] =>
  (pod.spec?.volumes ?? []).flatMap((volume) =>
    volume.persistentVolumeClaim === undefined ? [] : [volume.persistentVolumeClaim.claimName],
  );
