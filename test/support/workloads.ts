/** Builders of the workloads that tests run, and what puts them into a cluster. */
import type { KubeApi } from "../watcher/api.ts";
import { ApiError } from "../watcher/api.ts";

/** Any object of the Kubernetes API, as JSON. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  [field: string]: unknown;
}

export interface PodOptions {
  name: string;
  /** Default `default`. */
  namespace?: string;
  /** Default 1. Not used by a DaemonSet. */
  replicas?: number;
  /** Labels of the pods, besides `app: <name>`. */
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  /** How long a pod takes to become Ready and to end, such as "500ms"; the sandbox's defaults are 2 s and 5 s. */
  start?: string;
  stop?: string;
  /** Default 30. */
  terminationGracePeriodSeconds?: number;
  nodeSelector?: Record<string, string>;
  /** More fields of the pod's spec: tolerations, affinity, topologySpreadConstraints, volumes … */
  spec?: Record<string, unknown>;
}

const START = "sandbox.patchguard.dev/start";
const STOP = "sandbox.patchguard.dev/stop";
/** On a Job's pod: how long after its start it succeeds. May be set at any time. */
export const COMPLETE = "sandbox.patchguard.dev/complete-after";

function podTemplate(options: PodOptions): object {
  const {
    name,
    labels,
    annotations,
    start,
    stop,
    terminationGracePeriodSeconds = 30,
    nodeSelector,
    spec,
  } = options;
  return {
    metadata: {
      labels: { app: name, ...labels },
      annotations: {
        ...(start === undefined ? {} : { [START]: start }),
        ...(stop === undefined ? {} : { [STOP]: stop }),
        ...annotations,
      },
    },
    spec: {
      terminationGracePeriodSeconds,
      ...(nodeSelector === undefined ? {} : { nodeSelector }),
      containers: [
        {
          name: "main",
          image: "example.com/main:1",
          resources: { requests: { cpu: "10m", memory: "16Mi" } },
        },
      ],
      ...spec,
    },
  };
}

const metadata = (options: { name: string; namespace?: string }) => ({
  name: options.name,
  namespace: options.namespace ?? "default",
});

export const deployment = (options: PodOptions & { strategy?: object }): Manifest => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: metadata(options),
  spec: {
    replicas: options.replicas ?? 1,
    selector: { matchLabels: { app: options.name } },
    ...(options.strategy === undefined ? {} : { strategy: options.strategy }),
    template: podTemplate(options),
  },
});

/** With `storage`, each pod has a volume of that class; the sandbox's class `zonal` makes volumes bound to a zone. */
export const statefulSet = (
  options: PodOptions & { storage?: string; podManagementPolicy?: "OrderedReady" | "Parallel" },
): Manifest => ({
  apiVersion: "apps/v1",
  kind: "StatefulSet",
  metadata: metadata(options),
  spec: {
    serviceName: options.name,
    replicas: options.replicas ?? 1,
    podManagementPolicy: options.podManagementPolicy ?? "Parallel",
    selector: { matchLabels: { app: options.name } },
    template: podTemplate(options),
    ...(options.storage === undefined
      ? {}
      : {
          volumeClaimTemplates: [
            {
              metadata: { name: "data" },
              spec: {
                accessModes: ["ReadWriteOnce"],
                storageClassName: options.storage,
                resources: { requests: { storage: "1Gi" } },
              },
            },
          ],
        }),
  },
});

/** Spreads a workload's pods over zones, as evenly as a team that runs a quorum wants it. */
export const spreadOverZones = (app: string): Record<string, unknown> => ({
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: "topology.kubernetes.io/zone",
      whenUnsatisfiable: "DoNotSchedule",
      labelSelector: { matchLabels: { app } },
    },
  ],
});

export const daemonSet = (options: PodOptions): Manifest => ({
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: metadata(options),
  spec: {
    selector: { matchLabels: { app: options.name } },
    template: podTemplate({
      ...options,
      spec: { tolerations: [{ operator: "Exists" }], ...options.spec },
    }),
  },
});

/** A Job of one pod, which succeeds this long after its start; without `completeAfter` it runs on. */
export const job = (options: PodOptions & { completeAfter?: string }): Manifest => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: metadata(options),
  spec: {
    template: podTemplate({
      ...options,
      annotations: {
        ...(options.completeAfter === undefined ? {} : { [COMPLETE]: options.completeAfter }),
        ...options.annotations,
      },
      spec: { restartPolicy: "Never", ...options.spec },
    }),
  },
});

/** A budget over the pods with label `app: <app>`, by default of its own name. */
export const budget = (options: {
  name: string;
  namespace?: string;
  app?: string;
  minAvailable?: number | string;
  maxUnavailable?: number | string;
  unhealthyPodEvictionPolicy?: "IfHealthyBudget" | "AlwaysAllow";
}): Manifest => {
  const { name: _name, namespace: _namespace, app = options.name, ...limits } = options;
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: metadata(options),
    spec: { selector: { matchLabels: { app } }, ...limits },
  };
};

export const namespace = (name: string): Manifest => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name },
});

const PLURALS: Record<string, string> = {
  StorageClass: "storageclasses",
  CSINode: "csinodes",
  Lease: "leases",
  PriorityClass: "priorityclasses",
};

/** Path of an object's collection in the API. */
export function collectionPath(object: Manifest): string {
  const plural = PLURALS[object.kind] ?? `${object.kind.toLowerCase()}s`;
  const group = object.apiVersion.includes("/") ? `/apis/${object.apiVersion}` : `/api/${object.apiVersion}`;
  const scope = object.metadata.namespace === undefined ? "" : `/namespaces/${object.metadata.namespace}`;
  return `${group}${scope}/${plural}`;
}

export const objectPath = (object: Manifest): string => `${collectionPath(object)}/${object.metadata.name}`;

/** Creates objects in the given order. One that exists already is an error, except a namespace. */
export async function apply(api: KubeApi, ...objects: Manifest[]): Promise<void> {
  for (const object of objects) {
    try {
      await api.request("POST", collectionPath(object), object);
    } catch (error) {
      if (object.kind === "Namespace" && error instanceof ApiError && error.code === 409) continue;
      throw error;
    }
  }
}
