/** What the Node of an instance looks like: pure, so that a table of tests can hold it. */

import type { V1Node } from "@kubernetes/client-node";
import { imageById, WORLD } from "../images.ts";
import { readUserData, type Bootstrap } from "./user-data.ts";

/** One line of moto's /sandbox/instances. */
export interface Instance {
  id: string;
  zone: string;
  type: string;
  image: string;
  privateIp: string;
  privateDnsName: string;
  /** Seconds of the epoch. */
  launchTime: number;
  spot: boolean;
  /** The Auto Scaling group. */
  group: string | null;
  tags: Record<string, string>;
  userData: string | null;
}

interface Machine {
  cpu: number;
  memoryGi: number;
  /** Pods as the VPC CNI allows them: interfaces x (addresses - 1) + 2. */
  pods: number;
}

/** Sizes of the instance types the examples use; another type counts as an m5.large. */
const MACHINES: Record<string, Machine> = {
  "t3.medium": { cpu: 2, memoryGi: 4, pods: 17 },
  "t3.large": { cpu: 2, memoryGi: 8, pods: 35 },
  "m5.large": { cpu: 2, memoryGi: 8, pods: 29 },
  "m5.xlarge": { cpu: 4, memoryGi: 16, pods: 58 },
  "m5.2xlarge": { cpu: 8, memoryGi: 32, pods: 58 },
  "m6i.large": { cpu: 2, memoryGi: 8, pods: 29 },
  "m6i.xlarge": { cpu: 4, memoryGi: 16, pods: 58 },
  "m6i.2xlarge": { cpu: 8, memoryGi: 32, pods: 58 },
  "m7i.large": { cpu: 2, memoryGi: 8, pods: 29 },
  "m7i.xlarge": { cpu: 4, memoryGi: 16, pods: 58 },
  "m7i.2xlarge": { cpu: 8, memoryGi: 32, pods: 58 },
  "c6i.large": { cpu: 2, memoryGi: 4, pods: 29 },
  "c6i.xlarge": { cpu: 4, memoryGi: 8, pods: 58 },
  "r6i.large": { cpu: 2, memoryGi: 16, pods: 29 },
  "r6i.xlarge": { cpu: 4, memoryGi: 32, pods: 58 },
};
const MEDIUM: Machine = { cpu: 2, memoryGi: 8, pods: 29 };

/** The cluster an instance would have to name to join. */
export interface Cluster {
  name: string;
  endpoint: string;
  /** base64 of the PEM */
  certificateAuthority: string;
}

export type Joining = { joins: true; node: V1Node } | { joins: false; reason: string };

/** Decides from an instance's image and user data whether a Node appears, and which. */
export function joining(instance: Instance, cluster: Cluster): Joining {
  const image = imageById(instance.image);
  if (!image) return { joins: false, reason: `image ${instance.image} is unknown: nothing boots` };
  if (image.behaviour !== "joins")
    return { joins: false, reason: `image ${image.name} is broken on purpose` };
  let bootstrap: Bootstrap;
  try {
    bootstrap = readUserData(instance.userData, image.os);
  } catch (error) {
    return { joins: false, reason: `bootstrap: ${(error as Error).message}` };
  }
  if (bootstrap.cluster !== cluster.name)
    return { joins: false, reason: `user data names the cluster ${bootstrap.cluster}, not ${cluster.name}` };
  if (bootstrap.endpoint.replace(/\/$/, "") !== cluster.endpoint.replace(/\/$/, ""))
    return {
      joins: false,
      reason: `user data names the endpoint ${bootstrap.endpoint}, not ${cluster.endpoint}`,
    };
  if (bootstrap.certificateAuthority.trim() !== cluster.certificateAuthority.trim())
    return { joins: false, reason: "user data holds another certificate authority than the cluster's" };
  return { joins: true, node: nodeOf(instance, bootstrap) };
}

function nodeOf(instance: Instance, bootstrap: Bootstrap): V1Node {
  const image = imageById(instance.image);
  if (!image) throw new Error(`image ${instance.image} is unknown`);
  const machine = MACHINES[instance.type] ?? MEDIUM;
  const pods = String(bootstrap.maxPods ?? machine.pods);
  const group = instance.tags["eks:nodegroup-name"];
  const host = instance.privateDnsName;
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: host,
      labels: {
        ...bootstrap.labels,
        ...(group
          ? { "eks.amazonaws.com/nodegroup": group, "eks.amazonaws.com/nodegroup-image": instance.image }
          : {}),
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": host,
        "node.kubernetes.io/instance-type": instance.type,
        "beta.kubernetes.io/instance-type": instance.type,
        "topology.kubernetes.io/region": WORLD.region,
        "topology.kubernetes.io/zone": instance.zone,
        "topology.ebs.csi.aws.com/zone": instance.zone,
      },
      annotations: {
        "kwok.x-k8s.io/node": "fake",
        // Without it the attach-detach controller leaves a node's volumes to its kubelet, and no VolumeAttachment appears.
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        "node.alpha.kubernetes.io/ttl": "0",
      },
    },
    spec: {
      providerID: `aws:///${instance.zone}/${instance.id}`,
      ...(bootstrap.taints.length > 0 ? { taints: bootstrap.taints } : {}),
    },
    status: {
      addresses: [
        { type: "InternalIP", address: instance.privateIp },
        { type: "InternalDNS", address: host },
        { type: "Hostname", address: host },
      ],
      capacity: resources(machine.cpu, machine.memoryGi, pods),
      // What the kubelet keeps for itself and the system.
      allocatable: resources(machine.cpu - 0.07, machine.memoryGi - 1, pods),
      nodeInfo: {
        architecture: "amd64",
        bootID: instance.id,
        containerRuntimeVersion: image.containerRuntime,
        kernelVersion: image.kernel,
        kubeProxyVersion: "",
        kubeletVersion: image.kubelet,
        machineID: instance.id,
        operatingSystem: "linux",
        osImage: image.osImage,
        systemUUID: instance.id,
      },
    },
  };
}

const resources = (cpu: number, memoryGi: number, pods: string): Record<string, string> => ({
  cpu: `${Math.round(cpu * 1000)}m`,
  memory: `${Math.round(memoryGi * 1024)}Mi`,
  "ephemeral-storage": "80Gi",
  pods,
});

/** Instance id in a Node's providerID, or undefined for a Node that is not ours. */
export const instanceOf = (node: V1Node): string | undefined =>
  /^aws:\/\/\/[^/]+\/(i-[0-9a-f]+)$/.exec(node.spec?.providerID ?? "")?.[1];
