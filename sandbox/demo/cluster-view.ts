import { AppsV1Api, CoreV1Api, KubeConfig, type V1Pod } from "@kubernetes/client-node";
import type { PictureNode } from "./picture.ts";

/** The demo's own eyes: what the API server says, asked with kubectl's credentials and not through the product. */
export class ClusterView {
  private readonly core: CoreV1Api;
  private readonly apps: AppsV1Api;

  constructor(kubeconfig: string) {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    this.core = config.makeApiClient(CoreV1Api);
    this.apps = config.makeApiClient(AppsV1Api);
  }

  async nodes(): Promise<PictureNode[]> {
    const [nodes, pods] = await Promise.all([this.core.listNode(), this.core.listPodForAllNamespaces()]);
    const byNode = Map.groupBy(pods.items.filter(isWorkload), (pod) => pod.spec?.nodeName ?? "");
    return nodes.items.map((node) => ({
      name: node.metadata?.name ?? "",
      zone: node.metadata?.labels?.["topology.kubernetes.io/zone"] ?? "",
      generation: node.metadata?.labels?.["patchguard.dev/generation"] ?? "",
      ready: has(node.status?.conditions, "Ready"),
      cordoned: node.spec?.unschedulable === true,
      pods: (byNode.get(node.metadata?.name ?? "") ?? []).map((pod) => ({
        name: `${pod.metadata?.namespace}/${pod.metadata?.name}`,
        ready: has(pod.status?.conditions, "Ready"),
        terminating: pod.metadata?.deletionTimestamp !== undefined,
      })),
    }));
  }

  /** Are all Deployments, StatefulSets and DaemonSets at their target? */
  async whole(): Promise<boolean> {
    const [deployments, sets, daemons] = await Promise.all([
      this.apps.listDeploymentForAllNamespaces(),
      this.apps.listStatefulSetForAllNamespaces(),
      this.apps.listDaemonSetForAllNamespaces(),
    ]);
    return (
      [...deployments.items, ...sets.items].every(
        ({ spec, status }) => (status?.readyReplicas ?? 0) >= (spec?.replicas ?? 1),
      ) &&
      daemons.items.every(({ status }) => (status?.numberReady ?? 0) >= (status?.desiredNumberScheduled ?? 1))
    );
  }
}

const has = (conditions: { type: string; status: string }[] | undefined, type: string): boolean =>
  (conditions ?? []).some((condition) => condition.type === type && condition.status === "True");

const isWorkload = (pod: V1Pod): boolean =>
  !(pod.metadata?.ownerReferences ?? []).some(({ kind }) => kind === "DaemonSet") &&
  pod.status?.phase !== "Succeeded" &&
  pod.status?.phase !== "Failed";
