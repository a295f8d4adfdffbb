/** Running instances become Nodes, and a Node whose instance is gone is deleted, as the node lifecycle controller does. */

import type { V1Node } from "@kubernetes/client-node";
import type { Cloud } from "./cloud.ts";
import { tolerate, type Kube } from "./kube.ts";
import { log } from "./log.ts";
import { instanceOf, joining, type Cluster, type Instance } from "./node-shape.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import { CSI_DRIVER } from "./volumes.ts";

export class Nodes {
  private readonly cloud: Cloud;
  private readonly kube: Kube;
  private readonly store: Store;
  private readonly settings: Settings;
  private readonly cluster: Cluster;
  /** Why an instance will never join, by instance id. */
  private readonly refused = new Map<string, string>();

  constructor(cloud: Cloud, kube: Kube, store: Store, settings: Settings, cluster: Cluster) {
    this.cloud = cloud;
    this.kube = kube;
    this.store = store;
    this.settings = settings;
    this.cluster = cluster;
  }

  async reconcile(): Promise<void> {
    const running = await this.cloud.refresh();
    if (!this.kube.synced) return;
    const byId = new Map(running.map((i) => [i.id, i]));
    const writes: Promise<void>[] = [];
    for (const instance of running) if (this.due(instance)) writes.push(this.join(instance));
    for (const node of this.kube.nodes.list()) {
      const id = instanceOf(node);
      if (id !== undefined && !byId.has(id) && !node.metadata?.deletionTimestamp)
        writes.push(this.leave(node, id));
    }
    await Promise.all(writes);
    this.forget(byId);
  }

  private due(instance: Instance): boolean {
    if (this.store.data.joined[instance.id] !== undefined || this.refused.has(instance.id)) return false;
    return Date.now() >= instance.launchTime * 1000 + this.settings.bootMs;
  }

  private async join(instance: Instance): Promise<void> {
    const verdict = joining(instance, this.cluster);
    if (!verdict.joins) {
      this.refused.set(instance.id, verdict.reason);
      log(`instance ${instance.id} never joins: ${verdict.reason}`);
      return;
    }
    const name = verdict.node.metadata?.name ?? "";
    await tolerate([409], () => this.kube.core.createNode({ body: verdict.node }));
    const node = await this.kube.core.readNode({ name });
    if (instanceOf(node) !== instance.id)
      throw new Error(`Node ${name} still stands for ${node.spec?.providerID}`);
    await tolerate([409], () => this.kube.storage.createCSINode({ body: csiNode(node, instance) }));
    this.store.data.joined[instance.id] = name;
    this.store.save();
    log(`instance ${instance.id} (${instance.image}, ${instance.zone}) joined as ${name}`);
  }

  private async leave(node: V1Node, id: string): Promise<void> {
    const name = node.metadata?.name ?? "";
    await tolerate([404, 409], () =>
      this.kube.core.deleteNode({ name, body: { preconditions: { uid: node.metadata?.uid ?? "" } } }),
    );
    log(`instance ${id} is gone: Node ${name} deleted`);
  }

  private forget(running: Map<string, Instance>): void {
    for (const id of this.refused.keys()) if (!running.has(id)) this.refused.delete(id);
    const gone = Object.keys(this.store.data.joined).filter((id) => !running.has(id));
    if (gone.length === 0) return;
    for (const id of gone) delete this.store.data.joined[id];
    this.store.save();
  }

  /** One line per running instance, for the status page. */
  status(): object[] {
    return this.cloud.instances().map((i) => ({
      id: i.id,
      image: i.image,
      type: i.type,
      zone: i.zone,
      group: i.group,
      nodegroup: i.tags["eks:nodegroup-name"] ?? null,
      node: this.store.data.joined[i.id] ?? null,
      ...(this.refused.has(i.id) ? { neverJoins: this.refused.get(i.id) } : {}),
    }));
  }
}

const csiNode = (node: V1Node, instance: Instance) => ({
  apiVersion: "storage.k8s.io/v1",
  kind: "CSINode",
  metadata: {
    name: node.metadata?.name ?? "",
    ownerReferences: [
      { apiVersion: "v1", kind: "Node", name: node.metadata?.name ?? "", uid: node.metadata?.uid ?? "" },
    ],
  },
  spec: {
    drivers: [
      {
        name: CSI_DRIVER,
        nodeID: instance.id,
        topologyKeys: ["topology.ebs.csi.aws.com/zone", "topology.kubernetes.io/zone"],
        allocatable: { count: 25 },
      },
    ],
  },
});
