/** Nodes without a cloud behind them: KWOK plays their kubelets. For tests of the cluster alone. */
import type { KubeApi } from "../watcher/api.ts";
import { ApiError } from "../watcher/api.ts";
import type { Manifest } from "./workloads.ts";
import { apply } from "./workloads.ts";

export interface FakeNode {
  name: string;
  /** Default `us-east-1a`. */
  zone?: string;
  pool?: string;
  generation?: string;
  kernelVersion?: string;
  osImage?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  taints?: { key: string; value?: string; effect: string }[];
  cpu?: string;
  memory?: string;
  pods?: string;
}

const DRIVER = "ebs.csi.aws.com";

export function fakeNode(options: FakeNode): Manifest {
  const { name, zone = "us-east-1a", pool, generation } = options;
  const size = { cpu: options.cpu ?? "8", memory: options.memory ?? "32Gi", pods: options.pods ?? "110" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      labels: {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "m5.large",
        "topology.kubernetes.io/region": zone.replace(/[a-z]$/, ""),
        "topology.kubernetes.io/zone": zone,
        "topology.ebs.csi.aws.com/zone": zone,
        ...(pool === undefined ? {} : { "patchguard.dev/pool": pool }),
        ...(generation === undefined ? {} : { "patchguard.dev/generation": generation }),
        ...options.labels,
      },
      annotations: {
        "kwok.x-k8s.io/node": "fake",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        ...options.annotations,
      },
    },
    spec: options.taints === undefined ? {} : { taints: options.taints },
    status: {
      capacity: size,
      allocatable: size,
      nodeInfo: {
        architecture: "amd64",
        bootID: "",
        containerRuntimeVersion: "containerd://2.0.0",
        kernelVersion: options.kernelVersion ?? "6.1.0",
        kubeProxyVersion: "v1.34.4",
        kubeletVersion: "v1.34.4",
        machineID: "",
        operatingSystem: "linux",
        osImage: options.osImage ?? "Sandbox Linux",
        systemUUID: "",
      },
    },
  };
}

/** Creates nodes, with the CSI registration that volumes need. */
export async function addFakeNodes(api: KubeApi, nodes: FakeNode[]): Promise<void> {
  for (const options of nodes) {
    await apply(api, fakeNode(options), {
      apiVersion: "storage.k8s.io/v1",
      kind: "CSINode",
      metadata: { name: options.name },
      spec: {
        drivers: [
          {
            name: DRIVER,
            nodeID: options.name,
            topologyKeys: ["topology.ebs.csi.aws.com/zone", "topology.kubernetes.io/zone"],
          },
        ],
      },
    });
  }
}

/** Deletes nodes and their CSI registrations; what is gone already is no error. */
export async function removeFakeNodes(api: KubeApi, names: string[]): Promise<void> {
  for (const name of names) {
    for (const path of [`/api/v1/nodes/${name}`, `/apis/storage.k8s.io/v1/csinodes/${name}`]) {
      try {
        await api.request("DELETE", path);
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== 404) throw error;
      }
    }
  }
}
