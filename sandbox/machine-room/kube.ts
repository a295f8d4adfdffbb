/** The machine room's view of the cluster: watch caches, one "something changed" signal, and the few writes it makes. */

import {
  ApiException,
  CoreV1Api,
  KubeConfig,
  makeInformer,
  PatchStrategy,
  PolicyV1Api,
  RbacAuthorizationV1Api,
  setHeaderOptions,
  StorageV1Api,
  type KubernetesListObject,
  type KubernetesObject,
  type V1Node,
  type V1PersistentVolume,
  type V1PersistentVolumeClaim,
  type V1Pod,
  type V1VolumeAttachment,
} from "@kubernetes/client-node";
import { log } from "./log.ts";

export const mergePatch = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
export const jsonPatch = setHeaderOptions("Content-Type", PatchStrategy.JsonPatch);
export const strategicPatch = setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch);

/** HTTP status of an API error, or 0 for anything else. */
export const statusOf = (error: unknown): number => (error instanceof ApiException ? error.code : 0);

/** Runs a write whose object may be gone, or be there already: `accepted` are the statuses that count as done. */
export async function tolerate(accepted: number[], write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!accepted.includes(statusOf(error))) throw error;
  }
}

/** A watched kind: by key (`namespace/name`, or the name). */
export class Cache<T extends KubernetesObject> {
  private readonly items = new Map<string, T>();
  synced = false;
  /** @param onChange called after every change */
  constructor(
    config: KubeConfig,
    path: string,
    list: () => Promise<KubernetesListObject<T>>,
    onChange: () => void,
  ) {
    const informer = makeInformer<T>(config, path, list);
    const put = (item: T): void => {
      this.items.set(keyOf(item), item);
      onChange();
    };
    informer.on("add", put);
    informer.on("update", put);
    informer.on("delete", (item) => {
      this.items.delete(keyOf(item));
      onChange();
    });
    informer.on("connect", () => {
      // after a new list, what is no longer listed is gone
      const listed = new Set(informer.list().map(keyOf));
      for (const key of this.items.keys()) if (!listed.has(key)) this.items.delete(key);
      this.synced = true;
      onChange();
    });
    informer.on("error", (error: unknown) => {
      if (this.synced) log(`watch of ${path}: ${String(error)}; starting it again`);
      setTimeout(start, 1000).unref();
    });
    const start = (): void => void informer.start().catch(() => setTimeout(start, 1000).unref());
    start();
  }
  list(): T[] {
    return [...this.items.values()];
  }
  get(key: string): T | undefined {
    return this.items.get(key);
  }
}

const keyOf = (item: KubernetesObject): string =>
  item.metadata?.namespace ? `${item.metadata.namespace}/${item.metadata.name}` : (item.metadata?.name ?? "");

export class Kube {
  readonly core: CoreV1Api;
  readonly storage: StorageV1Api;
  readonly policy: PolicyV1Api;
  readonly rbac: RbacAuthorizationV1Api;
  readonly nodes: Cache<V1Node>;
  readonly pods: Cache<V1Pod>;
  readonly claims: Cache<V1PersistentVolumeClaim>;
  readonly volumes: Cache<V1PersistentVolume>;
  readonly attachments: Cache<V1VolumeAttachment>;
  private readonly listeners: (() => void)[] = [];

  constructor() {
    const config = new KubeConfig();
    config.loadFromDefault();
    this.core = config.makeApiClient(CoreV1Api);
    this.storage = config.makeApiClient(StorageV1Api);
    this.policy = config.makeApiClient(PolicyV1Api);
    this.rbac = config.makeApiClient(RbacAuthorizationV1Api);
    const changed = (): void => this.listeners.forEach((l) => l());
    this.nodes = new Cache(config, "/api/v1/nodes", () => this.core.listNode(), changed);
    this.pods = new Cache(config, "/api/v1/pods", () => this.core.listPodForAllNamespaces(), changed);
    this.claims = new Cache(
      config,
      "/api/v1/persistentvolumeclaims",
      () => this.core.listPersistentVolumeClaimForAllNamespaces(),
      changed,
    );
    this.volumes = new Cache(
      config,
      "/api/v1/persistentvolumes",
      () => this.core.listPersistentVolume(),
      changed,
    );
    this.attachments = new Cache(
      config,
      "/apis/storage.k8s.io/v1/volumeattachments",
      () => this.storage.listVolumeAttachment(),
      changed,
    );
  }
  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }
  get synced(): boolean {
    return [this.nodes, this.pods, this.claims, this.volumes, this.attachments].every((c) => c.synced);
  }
  podsOn(node: string): V1Pod[] {
    return this.pods.list().filter((p) => p.spec?.nodeName === node);
  }
}

export const isReady = (node: V1Node): boolean =>
  node.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
