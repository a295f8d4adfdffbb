import type { AwsPoolConfig } from "../rollout/config/index.ts";
import { LABEL_GENERATION, LABEL_POOL, TAG_CLUSTER } from "../rollout/names.ts";
import { nodeLabels } from "./user-data.ts";

/** Which pool of which cluster, in which generation. */
export interface Place {
  pool: AwsPoolConfig;
  clusterName: string;
  generation: string;
}

/** Cloud tags of everything that belongs to one generation of a pool: the rollout finds groups by them. */
export const poolTags = ({ pool, clusterName, generation }: Place): Record<string, string> => ({
  ...pool.tags,
  [LABEL_POOL]: pool.name,
  [LABEL_GENERATION]: generation,
  [TAG_CLUSTER]: clusterName,
});

/**
 * What the cluster autoscaler reads on an Auto Scaling group: that it may scale it, and what a node of it will look like while it
 * has none (https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md).
 * EKS sets these by itself on the groups that it manages, or answers the autoscaler's DescribeNodegroup.
 */
export function autoscalerTags(
  { pool, clusterName, generation }: Place,
  zone: string,
): Record<string, string> {
  const template = "k8s.io/cluster-autoscaler/node-template";
  const labels = { ...nodeLabels(pool, generation), "topology.kubernetes.io/zone": zone };
  return {
    "k8s.io/cluster-autoscaler/enabled": "true",
    [`k8s.io/cluster-autoscaler/${clusterName}`]: "owned",
    ...Object.fromEntries(Object.entries(labels).map(([key, value]) => [`${template}/label/${key}`, value])),
    ...Object.fromEntries(
      pool.taints.map(({ key, value, effect }) => [`${template}/taint/${key}`, `${value}:${effect}`]),
    ),
  };
}
