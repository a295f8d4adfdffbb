import type { InstanceType } from "../cloud/facts.ts";

/** Pods that a node of EKS takes when nobody says otherwise and the cloud was not asked. */
const PODS = 110;

/**
 * What a node of an instance type leaves for pods, less a reserve:
 * - memory: 7.5 % of what the type is sold with never reaches the kernel's count (Karpenter's default VM_MEMORY_OVERHEAD_PERCENT,
 *   https://karpenter.sh/docs/reference/settings/);
 * - kubeReserved as EKS' nodeadm and bootstrap.sh set it: memory 255 MiB + 11 MiB for each pod of the limit; CPU 6 % of the first core,
 *   1 % of the second, 0.5 % of the next two, 0.25 % of the others
 *   (https://github.com/awslabs/amazon-eks-ami/blob/main/nodeadm/internal/kubelet/config.go);
 * - the hard eviction threshold of memory, 100 MiB (https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/).
 * Ephemeral storage is the disk's, and not of the type. Devices (GPUs) are not known.
 */
export function allocatableOfType(type: InstanceType, maxPods?: number): Record<string, string> {
  const pods = maxPods ?? type.maxPods ?? PODS;
  const memory = Math.floor(type.memoryMiB * 0.925) - (255 + 11 * (type.maxPods ?? pods)) - 100;
  return {
    cpu: `${type.vcpus * 1000 - reservedCpu(type.vcpus)}m`,
    memory: `${Math.max(0, memory)}Mi`,
    pods: String(pods),
  };
}

/** Thousandths of a CPU, rounded up. */
function reservedCpu(cores: number): number {
  const share = (from: number, to: number, thousandths: number): number =>
    Math.max(0, Math.min(cores, to) - from) * thousandths;
  return Math.ceil(share(0, 1, 60) + share(1, 2, 10) + share(2, 4, 5) + share(4, Infinity, 2.5));
}
