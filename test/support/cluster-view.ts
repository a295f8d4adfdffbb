/** The cluster as watches show it, and conditions on it: what tests wait for instead of sleeping. */
import type { KubeApi } from "../watcher/api.ts";
import { Collector } from "../watcher/collector.ts";
import type { Budget, KubeObject, Node, Other, Pod, Scaled, VolumeAttachment } from "../watcher/objects.ts";
import { isReady, isTerminating, isWorkload, keyOf } from "../watcher/objects.ts";

type OfKind<K extends KubeObject["kind"], O = KubeObject> = O extends { kind: infer P }
  ? K extends P
    ? O
    : never
  : never;

export interface WaitOptions {
  timeoutSeconds: number;
  /** What is waited for, for the error message; may tell how far it got. */
  describe: string | (() => string);
}

export class ClusterView {
  private readonly objects = new Map<string, KubeObject>();
  private readonly listeners = new Set<() => void>();
  private readonly collector: Collector;

  constructor(api: KubeApi) {
    this.collector = new Collector(api, (observation) => {
      if (observation.type !== "object") return;
      const { object, change } = observation;
      const uid = object.metadata.uid;
      if (change === "DELETED") this.objects.delete(uid);
      else this.objects.set(uid, object);
      for (const listener of this.listeners) listener();
    });
  }

  static async start(api: KubeApi): Promise<ClusterView> {
    const view = new ClusterView(api);
    await view.collector.start();
    return view;
  }

  stop(): void {
    this.collector.stop();
  }

  list<K extends KubeObject["kind"]>(kind: K): OfKind<K>[] {
    return [...this.objects.values()].filter((object): object is OfKind<K> => object.kind === kind);
  }

  /** `key` is `namespace/name`, or the name of an object without a namespace. */
  get<K extends KubeObject["kind"]>(kind: K, key: string): OfKind<K> | undefined {
    return this.list(kind).find((object) => keyOf(object) === key);
  }

  nodes = (): Node[] => this.list("Node");
  pods = (): Pod[] => this.list("Pod");
  budgets = (): Budget[] => this.list("PodDisruptionBudget");
  attachments = (): VolumeAttachment[] => this.list("VolumeAttachment");
  events = (reason?: string): Other[] =>
    this.list("Event").filter((event) => reason === undefined || event.reason === reason);

  workloadPodsOn(node: string): Pod[] {
    return this.pods().filter((pod) => pod.spec?.nodeName === node && isWorkload(pod));
  }

  podsOf(app: string, namespace = "default"): Pod[] {
    return this.pods().filter(
      ({ metadata }) => metadata.namespace === namespace && metadata.labels?.["app"] === app,
    );
  }

  /** Waits for a condition, which is asked again at each change in the cluster and once a second. */
  async eventually<T>(
    condition: () => T,
    { timeoutSeconds, describe }: WaitOptions,
  ): Promise<NonNullable<T>> {
    const answer = condition();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.listeners.delete(ask);
        clearInterval(again);
        clearTimeout(limit);
      };
      const ask = (): void => {
        try {
          const now = condition();
          if (now === undefined || now === null || now === false) return;
          stop();
          resolve(now);
        } catch (error) {
          stop();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      const again = setInterval(ask, 1000);
      const limit = setTimeout(() => {
        stop();
        const what = typeof describe === "string" ? describe : describe();
        reject(new Error(`not within ${timeoutSeconds} s: ${what}`));
      }, timeoutSeconds * 1000);
      this.listeners.add(ask);
    });
  }

  /** Waits until a workload has exactly this many pods, all Ready. */
  async ready(app: string, count: number, timeoutSeconds = 60, namespace = "default"): Promise<Pod[]> {
    const present = (): Pod[] => this.podsOf(app, namespace);
    const whole = (): Pod[] | undefined => {
      const pods = present();
      return pods.length === count && pods.every((pod) => isReady(pod) && !isTerminating(pod))
        ? pods
        : undefined;
    };
    const tell = (): string => {
      const ready = present().filter((pod) => isReady(pod) && !isTerminating(pod)).length;
      return `${count} Ready pods of ${namespace}/${app} (${ready} of ${present().length} are)`;
    };
    return this.eventually(whole, { timeoutSeconds, describe: tell });
  }

  /** Waits until a budget's status has caught up and allows at least this many disruptions. */
  async budgetAllows(key: string, atLeast: number, timeoutSeconds = 30): Promise<void> {
    const allowed = (): number | undefined =>
      this.get("PodDisruptionBudget", key)?.status?.disruptionsAllowed;
    await this.eventually(() => (allowed() ?? -1) >= atLeast, {
      timeoutSeconds,
      describe: () => `budget ${key} allows ${atLeast} disruptions (${allowed() ?? "unknown"} now)`,
    });
  }

  async nodesReady(names: string[], timeoutSeconds = 60): Promise<void> {
    const missing = (): string[] =>
      names.filter((name) => {
        const node = this.get("Node", name) as { status?: Pod["status"] } | undefined;
        return !(node?.status?.conditions ?? []).some((c) => c.type === "Ready" && c.status === "True");
      });
    await this.eventually(() => missing().length === 0, {
      timeoutSeconds,
      describe: () => `these nodes are Ready: ${missing().join(", ")}`,
    });
  }

  scaled = (kind: "Deployment" | "StatefulSet" | "ReplicaSet", key: string): Scaled | undefined =>
    this.list(kind).find((object) => keyOf(object) === key);
}

/** Waits for a condition that no watch of the cluster tells of: a file, a process, an answer of the cloud. */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { timeoutSeconds, describe }: WaitOptions,
): Promise<NonNullable<T>> {
  const limit = Date.now() + timeoutSeconds * 1000;
  for (;;) {
    const answer = await condition();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (Date.now() > limit) {
      const what = typeof describe === "string" ? describe : describe();
      throw new Error(`not within ${timeoutSeconds} s: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
