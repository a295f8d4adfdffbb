/** How EKS empties a node: cordon, then the Eviction API until the caller's time is up. It is no model to follow. */

import type { V1Pod } from "@kubernetes/client-node";
import { mergePatch, statusOf, tolerate, type Kube } from "./kube.ts";

export async function cordon(kube: Kube, name: string): Promise<void> {
  if (kube.nodes.get(name)?.spec?.unschedulable) return;
  await tolerate([404], () =>
    kube.core.patchNode({ name, body: { spec: { unschedulable: true } } }, mergePatch),
  );
}

const isWorkload = (pod: V1Pod): boolean =>
  pod.status?.phase !== "Succeeded" &&
  pod.status?.phase !== "Failed" &&
  !pod.metadata?.ownerReferences?.some((o) => o.kind === "DaemonSet") &&
  pod.metadata?.annotations?.["kubernetes.io/config.mirror"] === undefined;

/** Asks for the eviction of every workload pod of the node once; returns how many are still there. */
export async function evictAll(kube: Kube, node: string): Promise<number> {
  const pods = kube.podsOn(node).filter(isWorkload);
  for (const pod of pods) {
    if (pod.metadata?.deletionTimestamp) continue;
    const { name = "", namespace = "", uid } = pod.metadata ?? {};
    try {
      await kube.core.createNamespacedPodEviction({
        name,
        namespace,
        body: { metadata: { name, namespace }, deleteOptions: { preconditions: { uid } } },
      });
    } catch (error) {
      // 429: a budget says no; 404 and 409: it has gone meanwhile; 500: more than one budget
      if (![404, 409, 429, 500].includes(statusOf(error))) throw error;
    }
  }
  return pods.length;
}
