/** The cluster of one leg: made anew for each contestant, so that all begin with the same picture. */
import type { Sandbox } from "../../../sandbox/sandbox.ts";
import { Actor } from "../../support/actors.ts";
import { ClusterView, eventually } from "../../support/cluster-view.ts";
import { addFakeNodes, removeFakeNodes, type FakeNode } from "../../support/nodes.ts";
import { apply } from "../../support/workloads.ts";
import type { KubeApi } from "../../watcher/api.ts";
import { ApiError } from "../../watcher/api.ts";
import { isReady, isTerminating, type Pod } from "../../watcher/objects.ts";
import type { BoundPod } from "../lower-bound.ts";
import { manifestsOf, type Mix, NEW, OLD, POOL, type Workload } from "./mixes.ts";

const AT_ONCE = 8;
const DEFAULT = "/namespaces/default";
const COLLECTIONS = [
  `/apis/apps/v1${DEFAULT}/deployments`,
  `/apis/apps/v1${DEFAULT}/statefulsets`,
  `/apis/policy/v1${DEFAULT}/poddisruptionbudgets`,
];

export class BenchCluster {
  readonly box: Sandbox;
  readonly view: ClusterView;
  private readonly api: KubeApi;
  private readonly mix: Mix;
  readonly nodes: number;
  workloads: Workload[] = [];
  private leg = 0;

  private constructor(box: Sandbox, view: ClusterView, mix: Mix, nodes: number) {
    this.box = box;
    this.view = view;
    this.api = Actor.test(box.kubeconfig).api;
    this.mix = mix;
    this.nodes = nodes;
  }

  static async open(box: Sandbox, mix: Mix, nodes: number): Promise<BenchCluster> {
    return new BenchCluster(box, await ClusterView.start(Actor.test(box.kubeconfig).api), mix, nodes);
  }

  close(): void {
    this.view.stop();
  }

  readonly blue = (): string[] => this.names("old");

  /** Never the same names twice: KWOK stumbles over the Lease of a node that comes again, and renews none any more. */
  private names(prefix: string): string[] {
    return Array.from(
      { length: this.nodes },
      (_, at) => `${prefix}-${this.leg}-${String(at).padStart(3, "0")}`,
    );
  }

  private pool(prefix: string, generation: string): FakeNode[] {
    return this.names(prefix).map((name, at) => ({
      name,
      pool: POOL,
      generation,
      zone: `us-east-1${"abc"[at % 3]}`,
      ...this.mix.node?.(at),
    }));
  }

  /** Old nodes full of pods, each Ready and each budget with room; then the new nodes, empty. */
  async fill(): Promise<void> {
    this.leg++;
    this.workloads = this.mix.workloads(this.nodes);
    await addFakeNodes(this.api, this.pool("old", OLD));
    await this.view.nodesReady(this.names("old"), 300);
    await sideBySide(this.workloads, (workload) => apply(this.api, ...manifestsOf(workload)));
    await this.whole(600);
    await addFakeNodes(this.api, this.pool("new", NEW));
    await this.view.nodesReady(this.names("new"), 300);
  }

  /** Everything of the leg goes, whatever has become of it. */
  async clear(): Promise<void> {
    const { api, view } = this;
    for (const path of COLLECTIONS) await api.request("DELETE", path);
    const removePods = async (): Promise<boolean> => {
      if (view.pods().length > 0)
        await api.request("DELETE", `/api/v1${DEFAULT}/pods`, { gracePeriodSeconds: 0 });
      return view.pods().length === 0;
    };
    const left = (): string => `${view.pods().length} pods and ${view.attachments().length} attachments`;
    await eventually(removePods, { timeoutSeconds: 300, describe: () => `all is gone but ${left()}` });
    await api.request("DELETE", `/api/v1${DEFAULT}/persistentvolumeclaims`);
    const empty = (): boolean => view.list("PersistentVolume").length + view.attachments().length === 0;
    await view.eventually(empty, { timeoutSeconds: 300, describe: () => `all is gone but ${left()}` });
    const nodes = view.nodes().map(({ metadata }) => metadata.name);
    await sideBySide(nodes, (name) => removeFakeNodes(api, [name]));
    try {
      await api.request("DELETE", `/api/v1/namespaces/kube-system/configmaps/patchguard-${POOL}`);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 404) throw error;
    }
    await view.eventually(() => view.nodes().length + view.budgets().length === 0, {
      timeoutSeconds: 120,
      describe: () => `no node and no budget is left, of ${view.nodes().length} and ${view.budgets().length}`,
    });
  }

  /** Names of the pods and where they are. */
  places(): (BoundPod & { pod: string })[] {
    return this.view.pods().map(({ metadata, spec }) => ({
      pod: metadata.name,
      node: spec?.nodeName ?? "",
      workload: metadata.labels?.["app"] ?? "",
    }));
  }

  /** Every pod is there and Ready, none on its way out, every budget with room. */
  async whole(timeoutSeconds: number): Promise<void> {
    const wanted = this.workloads.reduce((sum, { replicas }) => sum + replicas, 0);
    const missing = (): string => {
      const pods = this.view.pods();
      const ready = pods.filter((pod) => isReady(pod) && !isTerminating(pod)).length;
      const spent = this.view.budgets().filter(({ status }) => (status?.disruptionsAllowed ?? 0) <= 0).length;
      if (ready === wanted && pods.length === wanted && spent === 0) return "";
      return `${ready} of ${wanted} pods are Ready, ${pods.length} are there, ${spent} budgets are spent`;
    };
    await eventually(() => missing() === "", { timeoutSeconds, describe: missing });
  }

  /** Replacements of all pods are Ready on new nodes, whatever the old ones do. */
  async replaced(timeoutSeconds: number): Promise<void> {
    const wanted = this.workloads.reduce((sum, { replicas }) => sum + replicas, 0);
    const old = new Set(this.blue());
    const there = (): number =>
      this.view
        .pods()
        .filter((pod) => isReady(pod) && !isTerminating(pod) && !old.has(pod.spec?.nodeName ?? "")).length;
    await eventually(() => there() >= wanted, {
      timeoutSeconds,
      describe: () => `${there()} of ${wanted} pods are replaced`,
    });
  }

  /**
   * What the sandbox takes to replace a single pod of a Deployment while nothing else happens: controllers, scheduler and start. The
   * lower bounds are made of it, since nobody who drains can be faster. @returns seconds, the median of some
   */
  async replacementSeconds(): Promise<number> {
    const test = Actor.test(this.box.kubeconfig);
    const wanted = this.workloads.reduce((sum, { replicas }) => sum + replicas, 0);
    const ready = (): number => this.view.pods().filter((pod) => isReady(pod) && !isTerminating(pod)).length;
    const apps = new Set(this.workloads.filter(({ ordered }) => !ordered).map(({ name }) => name));
    const chosen = this.view.pods().filter(({ metadata }) => apps.delete(metadata.labels?.["app"] ?? ""));
    const taken: number[] = [];
    for (const pod of chosen.slice(0, 7)) {
      const began = Date.now();
      await test.evict(pod);
      await this.view.eventually(() => ready() < wanted || isGone(this.view, pod), LOST);
      await this.view.eventually(() => ready() === wanted, LOST);
      taken.push((Date.now() - began) / 1000);
    }
    return taken.toSorted((a, b) => a - b)[Math.floor(taken.length / 2)] ?? NaN;
  }

  /** What an autoscaler of pods does when the load grows. */
  async scaleOut(): Promise<void> {
    const { scaleOut } = this.mix;
    for (const workload of scaleOut?.apps(this.workloads) ?? []) {
      workload.replicas += scaleOut?.by ?? 0;
      await this.api.request("PATCH", `/apis/apps/v1${DEFAULT}/deployments/${workload.name}`, {
        spec: { replicas: workload.replicas },
      });
    }
  }

  /**
   * Cordons blue and deletes every pod at once: what the sandbox itself needs to replace them, with nobody holding it back.
   * @returns seconds until as many are Ready on new nodes
   */
  async replaceAll(): Promise<number> {
    const test = Actor.test(this.box.kubeconfig);
    await sideBySide(this.blue(), (name) => test.cordon(name));
    const began = Date.now();
    const done = this.replaced(600);
    await sideBySide(this.view.pods(), (pod) => test.deletePod(pod));
    await done;
    return (Date.now() - began) / 1000;
  }
}

const LOST = { timeoutSeconds: 60, describe: "a pod is replaced" };

const isGone = (view: ClusterView, { metadata }: Pod): boolean =>
  !view.pods().some((pod) => pod.metadata.uid === metadata.uid && !isTerminating(pod));

async function sideBySide<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const work = async (): Promise<void> => {
    for (const item of queue) await act(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
