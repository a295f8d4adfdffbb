/**
 * A small operator that behaves like CloudNativePG where a drain meets it, as read in its sources: internal/controller/replicas.go
 * (isNodeUnschedulableOrBeingDrained, setPrimaryOnSchedulableNode) and pkg/specs/poddisruptionbudget.go.
 *
 * - It makes the pods itself, each with a claim of the same name, and makes one again that is gone: no StatefulSet is above them.
 * - Two budgets: the primary's allows nothing, the replicas' one at a time.
 * - When the primary's node is unschedulable or carries one of its drain taints, and all instances are Ready, and all replicas are on
 *   other nodes than the primary's, it promotes one that is on a schedulable node. Only then the old primary is a replica like others, and can be evicted.
 *
 * It has no PostgreSQL: a promotion is a time that passes, and a primary that is lost is not failed over from.
 */
import type { KubeApi } from "../watcher/api.ts";
import { ApiError, KubeApi as Api } from "../watcher/api.ts";
import type { Pod } from "../watcher/objects.ts";
import { isReady, isTerminating } from "../watcher/objects.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { TestSandbox } from "./sandbox.ts";
import { apply, type Manifest } from "./workloads.ts";

const GROUP = "postgresql.cnpg.io";
const CLUSTER = "cnpg.io/cluster";
const ROLE = "cnpg.io/instanceRole";
/** The name of the same label before it had the operator's domain; both are set. */
const OLD_ROLE = "role";
/** configuration.DefaultDrainTaints; PatchGuard's own taint is none of them. */
const DRAIN_TAINTS = [
  "node.kubernetes.io/unschedulable",
  "ToBeDeletedByClusterAutoscaler",
  "karpenter.sh/disrupted",
  "karpenter.sh/disruption",
];
const PATIENCE_SECONDS = 3600;

export type Role = "primary" | "replica" | "unhealthy";

export interface PostgresOptions {
  name: string;
  namespace: string;
  /** Default 3. Fewer than three have no budget over the replicas. */
  instances?: number;
  nodeSelector?: Record<string, string>;
  /** How long an instance takes to become Ready and to end, as the annotations of the sandbox have it. */
  start: string;
  stop: string;
  /** At most one instance on a node (`podAntiAffinityType: required`). */
  apart?: boolean;
  /** How long a promotion takes. Milliseconds; default 500. */
  switchOverMs?: number;
  /** False: it moves no primary by itself, like an operator that may not read nodes (installed for one namespace). Default true. */
  switchesOver?: boolean;
  /** What the old primary is called while another one is promoted: newer releases take its role away first. Default primary. */
  meanwhile?: "primary" | "unhealthy";
}

export const roleOf = ({ metadata }: Pod): Role | undefined => metadata.labels?.[ROLE] as Role | undefined;

/** The kind of the resource that owns everything. */
const definition: Manifest = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `clusters.${GROUP}` },
  spec: {
    group: GROUP,
    scope: "Namespaced",
    names: { kind: "Cluster", plural: "clusters", singular: "cluster" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};

/** One cluster of PostgreSQL, and the operator that looks after it. */
export class Postgres {
  /** Promotions so far: who took over from whom. */
  readonly promotions: { from: string; to: string }[] = [];
  /** How long an instance that is made from now on takes to become Ready. */
  start: string;
  private readonly options: Required<Omit<PostgresOptions, "start">>;
  private readonly api: KubeApi;
  private readonly view: ClusterView;
  private owner: object = {};
  private primary: string;
  private stopped = false;
  private work: Promise<void> = Promise.resolve();

  constructor(box: TestSandbox, options: PostgresOptions) {
    this.options = {
      instances: 3,
      nodeSelector: {},
      apart: false,
      switchOverMs: 500,
      switchesOver: true,
      meanwhile: "primary",
      ...options,
    };
    this.start = options.start;
    this.api = new Api(box.sandbox.kubeconfig, "cloudnative-pg-stand-in");
    this.view = box.view;
    this.primary = this.names()[0] ?? "";
  }

  /** Makes a cluster and looks after it from here on. Returns when all of its instances are Ready and its budgets are counted. */
  async run(): Promise<void> {
    await this.install();
    this.work = this.loop();
    this.work.catch(() => undefined); // told by stop()
    await this.settled();
  }

  /** From here on nobody looks after the cluster. @throws what ended the operator before */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.work;
  }

  private names(): string[] {
    return Array.from({ length: this.options.instances }, (_, i) => `${this.options.name}-${i + 1}`);
  }

  instances(): Pod[] {
    const { name, namespace } = this.options;
    return this.view
      .pods()
      .filter(({ metadata }) => metadata.namespace === namespace && metadata.labels?.[CLUSTER] === name);
  }

  instanceOn(node: string | undefined): Pod | undefined {
    return this.instances().find(({ spec }) => spec?.nodeName === node);
  }

  /** What `kubectl cnpg promote` does: this instance is the primary now, by somebody's wish. */
  async promote(instance: Pod | undefined): Promise<void> {
    if (instance === undefined) throw new Error("there is no such instance to promote");
    this.primary = instance.metadata.name;
    await this.settled();
  }

  /**
   * All instances Ready, one of them called the primary, and the budgets counted. The disruption controller looks at a budget when a pod
   * comes under it, not when one leaves it by a change of its labels: that of the replicas may count the new primary for some time.
   */
  private async settled(): Promise<void> {
    const { name, namespace, instances } = this.options;
    const counted = (budget: string): number =>
      this.view.get("PodDisruptionBudget", `${namespace}/${budget}`)?.status?.currentHealthy ?? 0;
    await this.view.eventually(
      () =>
        this.next() === undefined &&
        this.instances().filter((pod) => isReady(pod) && !isTerminating(pod)).length === instances &&
        counted(`${name}-primary`) === 1 &&
        (instances < 3 || counted(name) >= instances - 1),
      {
        timeoutSeconds: 90,
        describe: () => {
          const all = this.instances().map((pod) => `${pod.metadata.name} ${roleOf(pod)} ${isReady(pod)}`);
          const budgets = [`${name}-primary`, name].map((it) => `${it} counts ${counted(it)}`);
          return `cluster ${namespace}/${name} has ${instances} Ready instances: ${[...all, ...budgets].join(", ")}`;
        },
      },
    );
  }

  private async install(): Promise<void> {
    const { name, namespace, instances } = this.options;
    await tolerate([409], () => apply(this.api, definition));
    const cluster: Manifest = {
      apiVersion: `${GROUP}/v1`,
      kind: "Cluster",
      metadata: { name, namespace },
      spec: { instances },
    };
    await this.served(() => apply(this.api, cluster));
    const path = `/apis/${GROUP}/v1/namespaces/${namespace}/clusters/${name}`;
    const { metadata } = await this.api.request<{ metadata: { uid: string } }>("GET", path);
    this.owner = {
      apiVersion: cluster.apiVersion,
      kind: cluster.kind,
      name,
      uid: metadata.uid,
      controller: true,
      blockOwnerDeletion: true,
    };
    await apply(this.api, this.budget(`${name}-primary`, "primary", 1));
    if (instances >= 3) await apply(this.api, this.budget(name, "replica", instances - 2));
    for (const instance of this.names()) await apply(this.api, this.claim(instance));
  }

  /** The API server needs a moment to serve a kind that it has just been told of. */
  private async served(act: () => Promise<void>): Promise<void> {
    for (let left = 200; ; left -= 1) {
      try {
        return await act();
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== 404 || left === 0) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  private metadata(name: string, labels: Record<string, string> = {}) {
    const { namespace } = this.options;
    return {
      name,
      namespace,
      labels: { [CLUSTER]: this.options.name, ...labels },
      ownerReferences: [this.owner],
    };
  }

  private budget(name: string, role: Role, minAvailable: number): Manifest {
    const selector = { matchLabels: { [CLUSTER]: this.options.name, [ROLE]: role } };
    return {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: this.metadata(name),
      spec: { selector, minAvailable },
    };
  }

  private claim(name: string): Manifest {
    return {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: this.metadata(name),
      spec: {
        accessModes: ["ReadWriteOnce"],
        storageClassName: "zonal",
        resources: { requests: { storage: "1Gi" } },
      },
    };
  }

  private pod(name: string): Manifest {
    const { nodeSelector, stop, apart } = this.options;
    const apartFrom = {
      topologyKey: "kubernetes.io/hostname",
      labelSelector: { matchLabels: { [CLUSTER]: this.options.name } },
    };
    const role = this.wantedRole(name);
    const labels = {
      "cnpg.io/instanceName": name,
      "cnpg.io/podRole": "instance",
      [ROLE]: role,
      [OLD_ROLE]: role,
    };
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        ...this.metadata(name, labels),
        annotations: { "sandbox.patchguard.dev/start": this.start, "sandbox.patchguard.dev/stop": stop },
      },
      spec: {
        nodeSelector,
        ...(apart && {
          affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [apartFrom] } },
        }),
        containers: [{ name: "postgres", image: "example.com/postgres:17" }],
        volumes: [{ name: "pgdata", persistentVolumeClaim: { claimName: name } }],
      },
    };
  }

  private promoting = false;

  private wantedRole(name: string): Role {
    if (name !== this.primary) return "replica";
    return this.promoting ? this.options.meanwhile : "primary";
  }

  /** Acts on what the watches show, one thing after the other, as one reconciler does. */
  private async loop(): Promise<void> {
    const what = { timeoutSeconds: PATIENCE_SECONDS, describe: "the operator has something to do" };
    for (;;) {
      await this.view.eventually(() => this.stopped || this.next() !== undefined, what);
      if (this.stopped) return;
      await this.next()?.();
    }
  }

  /** What is to be done now. */
  private next(): (() => Promise<void>) | undefined {
    const pods = this.instances();
    const misnamed = pods.filter((pod) => roleOf(pod) !== this.wantedRole(pod.metadata.name));
    if (misnamed.length > 0) return () => this.rename(misnamed);
    const missing = this.names().find((name) => !pods.some(({ metadata }) => metadata.name === name));
    const joining = pods.some((pod) => !isReady(pod) && !isTerminating(pod));
    if (missing !== undefined && !joining) return () => this.make(missing); // one joins at a time
    return this.mustSwitchOver(pods) ? () => this.switchOver() : undefined;
  }

  private async make(name: string): Promise<void> {
    await tolerate([409], () => apply(this.api, this.pod(name))); // the watch shows it a moment later
    await this.shown((pod) => pod?.metadata.name === name, name);
  }

  /** Gives them the roles that they have now, the old primary first: there are never two. */
  private async rename(pods: readonly Pod[]): Promise<void> {
    const isNew = ({ metadata }: Pod): number => Number(this.wantedRole(metadata.name) === "primary");
    for (const { metadata } of pods.toSorted((a, b) => isNew(a) - isNew(b))) {
      const { name, uid, namespace = "" } = metadata;
      const role = this.wantedRole(name);
      const labels = { [ROLE]: role, [OLD_ROLE]: role };
      const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
      await tolerate([404, 409], () => this.api.request("PATCH", path, { metadata: { uid, labels } }));
    }
    for (const { metadata } of pods)
      await this.shown(
        (pod) => pod?.metadata.uid !== metadata.uid || roleOf(pod) === this.wantedRole(metadata.name),
        metadata.name,
      );
  }

  /** Waits until the watch has caught up with what was just written. */
  private async shown(test: (pod: Pod | undefined) => boolean, name: string): Promise<void> {
    await this.view.eventually(
      () => this.stopped || test(this.instances().find(({ metadata }) => metadata.name === name)),
      { timeoutSeconds: 30, describe: `the watch shows what was written to pod ${name}` },
    );
  }

  private mustSwitchOver(pods: readonly Pod[]): boolean {
    const { instances, switchesOver } = this.options;
    const primary = pods.find(({ metadata }) => metadata.name === this.primary);
    if (!switchesOver || primary?.spec?.nodeName === undefined) return false;
    if (!this.isLeaving(primary.spec.nodeName)) return false;
    const ready = pods.filter((pod) => isReady(pod) && !isTerminating(pod));
    return (
      ready.length === instances &&
      this.elsewhere(pods).length >= instances - 1 &&
      this.candidates(pods).length > 0
    );
  }

  /** Replicas on other nodes than the primary's, whether those take pods or not. */
  private elsewhere(pods: readonly Pod[]): Pod[] {
    const node = pods.find(({ metadata }) => metadata.name === this.primary)?.spec?.nodeName;
    return pods.filter(
      ({ metadata, spec }) =>
        metadata.name !== this.primary && spec?.nodeName !== undefined && spec.nodeName !== node,
    );
  }

  /** Those of them that it would promote: Ready, on a node that takes pods. */
  private candidates(pods: readonly Pod[]): Pod[] {
    return this.elsewhere(pods).filter(
      (pod) => isReady(pod) && pod.spec?.nodeName !== undefined && !this.isLeaving(pod.spec.nodeName),
    );
  }

  private isLeaving(name: string): boolean {
    const { unschedulable, taints = [] } = this.view.get("Node", name)?.spec ?? {};
    return unschedulable === true || taints.some(({ key }) => DRAIN_TAINTS.includes(key));
  }

  private async switchOver(): Promise<void> {
    const [next] = this.candidates(this.instances())
      .map(({ metadata }) => metadata.name)
      .toSorted();
    const old = this.instances().find(({ metadata }) => metadata.name === this.primary);
    if (next === undefined || old === undefined) return;
    this.promoting = true;
    if (roleOf(old) !== this.wantedRole(this.primary)) await this.rename([old]);
    await new Promise((resolve) => setTimeout(resolve, this.options.switchOverMs));
    this.promotions.push({ from: this.primary, to: next });
    [this.primary, this.promoting] = [next, false];
  }
}

async function tolerate(codes: readonly number[], act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof ApiError) || !codes.includes(error.code)) throw error;
  }
}
