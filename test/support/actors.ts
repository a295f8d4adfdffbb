/** Clients of the API server under the names of others: tests disrupt things and say by whom. */
import { KubeApi } from "../watcher/api.ts";
import { CLOUD_AGENT, PRODUCT_AGENT, TEST_AGENT } from "../watcher/names.ts";

/** A client whose doings count as PatchGuard's, the cloud's, a person's, or the test's own. */
export class Actor {
  readonly api: KubeApi;

  private constructor(kubeconfig: string, userAgent: string) {
    this.api = new KubeApi(kubeconfig, userAgent);
  }

  static patchguard = (kubeconfig: string): Actor => new Actor(kubeconfig, `${PRODUCT_AGENT}/0.0.0-test`);
  static cloud = (kubeconfig: string): Actor => new Actor(kubeconfig, CLOUD_AGENT);
  static kubectl = (kubeconfig: string): Actor => new Actor(kubeconfig, "kubectl/v1.34.4 (linux/amd64)");
  static test = (kubeconfig: string): Actor => new Actor(kubeconfig, TEST_AGENT);

  async evict(
    pod: { metadata: { name: string; namespace?: string; uid: string } },
    options: object = {},
  ): Promise<void> {
    const { name, namespace = "default", uid } = pod.metadata;
    await this.api.request("POST", `/api/v1/namespaces/${namespace}/pods/${name}/eviction`, {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name, namespace },
      deleteOptions: { preconditions: { uid }, ...options },
    });
  }

  async deletePod(
    pod: { metadata: { name: string; namespace?: string } },
    options: object = {},
  ): Promise<void> {
    const { name, namespace = "default" } = pod.metadata;
    await this.api.request("DELETE", `/api/v1/namespaces/${namespace}/pods/${name}`, {
      apiVersion: "v1",
      kind: "DeleteOptions",
      ...options,
    });
  }

  async cordon(node: string, unschedulable = true): Promise<void> {
    await this.api.request("PATCH", `/api/v1/nodes/${node}`, {
      spec: { unschedulable: unschedulable || null },
    });
  }

  /** Sets all of a node's taints. */
  async taint(node: string, taints: { key: string; value?: string; effect: string }[]): Promise<void> {
    await this.api.request("PATCH", `/api/v1/nodes/${node}`, { spec: { taints } });
  }

  /** Sets annotations; null takes one away. */
  async annotateNode(node: string, annotations: Record<string, string | null>): Promise<void> {
    await this.api.request("PATCH", `/api/v1/nodes/${node}`, { metadata: { annotations } });
  }

  async deleteNode(node: string): Promise<void> {
    await this.api.request("DELETE", `/api/v1/nodes/${node}`);
  }
}
