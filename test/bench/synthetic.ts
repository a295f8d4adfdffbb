/**
 * A large cluster that nobody has to own: deterministic, realistic objects (a pod is some 5 KB of JSON, as a real one with its
 * containers, probes, environment and statuses), made page by page.
 */

export interface Size {
  nodes: number;
  pods: number;
  budgets: number;
}

const ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"];
const REPLICAS = 20;
/** Every tenth node is blue, the others belong to another pool. */
const BLUE_EVERY = 10;
export const POOL = "workers";

const zoneOf = (node: number): string => ZONES[node % ZONES.length] ?? "";
const deployments = ({ pods }: Size): number => Math.ceil(pods / REPLICAS);
const appOf = (pod: number): number => Math.floor(pod / REPLICAS);
const namespaceOf = (app: number): string => `team-${app % 100}`;
/** Neighbours in number do not share a node. */
const nodeOf = (pod: number, { nodes }: Size): number => (pod * 7919) % nodes;

const TIME = "2026-11-20T08:00:00Z";

function node(at: number): object {
  const blue = at % BLUE_EVERY === 0;
  const name = `ip-10-${at >> 8}-${at & 255}-1.ec2.internal`;
  return {
    metadata: {
      name,
      uid: `node-${at}`,
      creationTimestamp: TIME,
      resourceVersion: "1",
      labels: {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "m7i.4xlarge",
        "topology.kubernetes.io/zone": zoneOf(at),
        "topology.kubernetes.io/region": "us-east-1",
        "patchguard.dev/pool": blue ? POOL : "others",
        "patchguard.dev/generation": "aaaaaaaa",
      },
    },
    spec: { providerID: `aws:///${zoneOf(at)}/i-${at.toString(16).padStart(17, "0")}` },
    status: {
      conditions: [{ type: "Ready", status: "True", lastTransitionTime: TIME }],
      allocatable: { cpu: "15890m", memory: "60Gi", pods: "110", "ephemeral-storage": "90Gi" },
      capacity: { cpu: "16", memory: "64Gi", pods: "110", "ephemeral-storage": "100Gi" },
      nodeInfo: { kubeletVersion: "v1.34.1-eks-113cf36", architecture: "amd64", kernelVersion: "6.12.40" },
      images: Array.from({ length: 50 }, (_, i) => ({
        names: [
          `registry.example.com/team/app-${i}@sha256:${"0".repeat(64)}`,
          `registry.example.com/team/app-${i}:v1`,
        ],
        sizeBytes: 100_000_000 + i,
      })),
    },
  };
}

const probe = (path: string): object => ({
  httpGet: { path, port: 8080, scheme: "HTTP" },
  initialDelaySeconds: 5,
  timeoutSeconds: 1,
  periodSeconds: 10,
  successThreshold: 1,
  failureThreshold: 3,
});

function pod(at: number, size: Size): object {
  const app = appOf(at);
  const name = `app-${app}`;
  const hash = (app * 2654435761) % 0xffffffff;
  const image = `123456789012.dkr.ecr.us-east-1.amazonaws.com/${namespaceOf(app)}/${name}:2026.11.${app % 28}`;
  return {
    metadata: {
      name: `${name}-${hash.toString(16)}-${at.toString(36)}`,
      generateName: `${name}-${hash.toString(16)}-`,
      namespace: namespaceOf(app),
      uid: `pod-${at}`,
      resourceVersion: String(at),
      creationTimestamp: TIME,
      labels: {
        app: name,
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": namespaceOf(app),
        "pod-template-hash": hash.toString(16),
      },
      annotations: { "prometheus.io/scrape": "true", "checksum/config": "a".repeat(64) },
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: `${name}-${hash.toString(16)}`,
          uid: `rs-${app}`,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: [
        {
          manager: "kube-controller-manager",
          operation: "Update",
          apiVersion: "v1",
          time: TIME,
          fieldsType: "FieldsV1",
          fieldsV1: {
            "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
            "f:spec": {
              "f:containers": { 'k:{"name":"main"}': { ".": {}, "f:image": {}, "f:resources": {} } },
            },
          },
        },
        {
          manager: "kubelet",
          operation: "Update",
          apiVersion: "v1",
          time: TIME,
          subresource: "status",
          fieldsType: "FieldsV1",
          fieldsV1: { "f:status": { "f:conditions": { 'k:{"type":"Ready"}': { ".": {}, "f:status": {} } } } },
        },
      ],
    },
    spec: {
      nodeName: `ip-10-${nodeOf(at, size) >> 8}-${nodeOf(at, size) & 255}-1.ec2.internal`,
      serviceAccountName: name,
      priority: 0,
      schedulerName: "default-scheduler",
      terminationGracePeriodSeconds: 30,
      tolerations: [
        {
          key: "node.kubernetes.io/not-ready",
          operator: "Exists",
          effect: "NoExecute",
          tolerationSeconds: 300,
        },
        {
          key: "node.kubernetes.io/unreachable",
          operator: "Exists",
          effect: "NoExecute",
          tolerationSeconds: 300,
        },
      ],
      topologySpreadConstraints:
        app % 3 === 0
          ? [
              {
                maxSkew: 5,
                topologyKey: "topology.kubernetes.io/zone",
                whenUnsatisfiable: "DoNotSchedule",
                labelSelector: { matchLabels: { app: name } },
              },
            ]
          : undefined,
      affinity:
        app % 5 === 0
          ? {
              podAntiAffinity: {
                preferredDuringSchedulingIgnoredDuringExecution: [
                  {
                    weight: 100,
                    podAffinityTerm: {
                      topologyKey: "kubernetes.io/hostname",
                      labelSelector: { matchLabels: { app: name } },
                    },
                  },
                ],
              },
            }
          : undefined,
      volumes: [
        {
          name: "kube-api-access",
          projected: {
            defaultMode: 420,
            sources: [
              { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
              { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
            ],
          },
        },
        { name: "config", configMap: { name: `${name}-config`, defaultMode: 420 } },
      ],
      containers: [
        {
          name: "main",
          image,
          env: Array.from({ length: 12 }, (_, i) => ({
            name: `SETTING_${i}`,
            value: `value-${i}-of-${name}`,
          })),
          ports: [{ containerPort: 8080, name: "http", protocol: "TCP" }],
          resources: { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "512Mi" } },
          livenessProbe: probe("/healthz"),
          readinessProbe: probe("/ready"),
          volumeMounts: [
            {
              mountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
              name: "kube-api-access",
              readOnly: true,
            },
          ],
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
        },
      ],
    },
    status: {
      phase: "Running",
      hostIP: "10.0.0.1",
      podIP: "10.1.2.3",
      podIPs: [{ ip: "10.1.2.3" }],
      qosClass: "Burstable",
      startTime: TIME,
      conditions: [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
      ].map((type) => ({
        type,
        status: "True",
        lastProbeTime: null,
        lastTransitionTime: TIME,
      })),
      containerStatuses: [
        {
          name: "main",
          image,
          imageID: `${image}@sha256:${"b".repeat(64)}`,
          containerID: `containerd://${"c".repeat(64)}`,
          ready: true,
          started: true,
          restartCount: 0,
          state: { running: { startedAt: TIME } },
          lastState: {},
        },
      ],
    },
  };
}

const owner = (app: number, kind: "Deployment" | "ReplicaSet"): object => {
  const name = `app-${app}`;
  const hash = ((app * 2654435761) % 0xffffffff).toString(16);
  const set = kind === "ReplicaSet";
  return {
    metadata: {
      name: set ? `${name}-${hash}` : name,
      namespace: namespaceOf(app),
      uid: `${set ? "rs" : "deploy"}-${app}`,
      generation: 1,
      labels: { app: name },
      ...(set
        ? {
            ownerReferences: [
              { apiVersion: "apps/v1", kind: "Deployment", name, uid: `deploy-${app}`, controller: true },
            ],
          }
        : {}),
    },
    spec: {
      replicas: REPLICAS,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: "main", image: "app" }] },
      },
    },
    status: { replicas: REPLICAS, readyReplicas: REPLICAS, observedGeneration: 1 },
  };
};

/** Every budget guards one Deployment; one in a hundred has no room left. */
const budget = (at: number): object => {
  const spent = at % 100 === 0;
  return {
    metadata: { name: `app-${at}`, namespace: namespaceOf(at), uid: `pdb-${at}`, generation: 1 },
    spec: { minAvailable: spent ? REPLICAS : REPLICAS - 1, selector: { matchLabels: { app: `app-${at}` } } },
    status: {
      disruptionsAllowed: spent ? 0 : 1,
      currentHealthy: REPLICAS,
      desiredHealthy: spent ? REPLICAS : REPLICAS - 1,
      expectedPods: REPLICAS,
      observedGeneration: 1,
    },
  };
};

/** The collections of such a cluster by path: how many objects, and each one. */
export function collections(size: Size): Record<string, { length: number; at(index: number): object }> {
  return {
    "/api/v1/nodes": { length: size.nodes, at: node },
    "/api/v1/pods": { length: size.pods, at: (index) => pod(index, size) },
    "/api/v1/namespaces": {
      length: 100,
      at: (index) => ({ metadata: { name: `team-${index}`, uid: `ns-${index}` } }),
    },
    "/apps/v1/deployments": { length: deployments(size), at: (app) => owner(app, "Deployment") },
    "/apps/v1/replicasets": { length: deployments(size), at: (app) => owner(app, "ReplicaSet") },
    "/policy/v1/poddisruptionbudgets": { length: size.budgets, at: budget },
  };
}
