import type { Clock } from "../../rollout/clock.ts";
import type { Cloud } from "../../rollout/cloud/cloud.ts";
import type { Cluster } from "../../rollout/cluster/cluster.ts";
import type { Node, Pod, PodDisruptionBudget, Taint } from "../../rollout/cluster/types.ts";
import { type EvictionRecord, SimulatedCluster } from "./api.ts";
import { VirtualClock } from "./clock.ts";
import { CloudServer, SimulatedCloud } from "./cloud.ts";
import { startDisruptionController } from "./disruption.ts";
import { startKubelets } from "./kubelet.ts";
import { Random } from "./random.ts";
import { startScheduler } from "./scheduler.ts";
import { Session, type SessionOptions } from "./session.ts";
import { type Change, iso, Store } from "./store.ts";
import { startVolumeControllers } from "./volumes.ts";
import {
  type Behaviour,
  isFinished,
  isServing,
  ownerOf,
  startWorkloadControllers,
  type Templated,
} from "./workloads.ts";

export interface WorldOptions {
  seed: number;
  bootSeconds?: number;
  attachSeconds?: number;
  detachSeconds?: number;
  /** What EKS takes to change a group. Default 2. */
  updateSeconds?: number;
  /** Milliseconds from a change to the watchers. */
  watchDelay?: { low: number; high: number };
  /** Milliseconds of a controller's lag. */
  lag?: { low: number; high: number };
}

export interface PoolOptions {
  kind?: "eks-managed" | "self-managed";
  zones?: string[];
  perZone?: number;
  image: string;
  /** 8 hex digits. */
  generation: string;
  /** Allocatable of each node. */
  pods?: number;
  cpu?: string;
  taints?: Taint[];
  labels?: Record<string, string>;
  /** Somebody else made it: without PatchGuard's tags and labels. */
  foreign?: boolean;
}

export interface WorkloadOptions extends Behaviour {
  replicas?: number;
  namespace?: string;
  /** A budget of the same name over the workload's pods. */
  budget?: NonNullable<PodDisruptionBudget["spec"]>;
  spec?: Pod["spec"];
  minReadySeconds?: number;
  graceSeconds?: number;
  /** Required anti-affinity by hostname. */
  oneHostEach?: boolean;
}

/** One process of PatchGuard in the world: the ports that it is given. */
export interface Client {
  session: Session;
  cluster: Cluster & { caches: SimulatedCluster["caches"] };
  cloud: Cloud;
  clock: Clock;
}

/** All that happened, in order. */
export type Happening =
  { what: "turn" } | { what: "change"; change: Change } | { what: "eviction"; eviction: EvictionRecord };

const STORAGE_DRIVER = "ebs.csi.aws.com";
const ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"];

export const world = (options: WorldOptions): World => new World(options);

/** A cluster with its cloud, in memory, on a clock of its own. Built by chaining; `await settled()` before anything is tried on it. */
export class World {
  readonly clock = new VirtualClock();
  readonly store = new Store(this.clock);
  readonly cloud: CloudServer;
  readonly happenings: Happening[] = [];
  readonly sessions: Session[] = [];
  readonly terminatingNamespaces = new Set<string>();
  readonly seed: number;
  private readonly random: Random;
  private readonly options: WorldOptions;
  private readonly behaviours = new Map<string, Behaviour>();

  constructor(options: WorldOptions) {
    this.seed = options.seed;
    this.options = options;
    const random = (this.random = new Random(options.seed));
    const { low, high } = options.lag ?? { low: 5, high: 80 };
    const lagOf = (): (() => number) => {
      const own = random.fork();
      return () => own.between(low, high);
    };
    this.store.onChange((change) => this.happenings.push({ what: "change", change }));
    this.cloud = new CloudServer(
      this.store,
      { react: lagOf(), bootSeconds: options.bootSeconds ?? 3, updateSeconds: this.updateSeconds },
      random.fork(),
    );
    startWorkloadControllers(this.store, lagOf(), random.fork());
    startDisruptionController(this.store, lagOf());
    startScheduler(this.store, { lag: lagOf(), bind: lagOf() }, random.fork());
    startKubelets(this.store, (uid) => this.behaviours.get(uid ?? "") ?? {}, lagOf());
    startVolumeControllers(this.store, {
      attachSeconds: options.attachSeconds ?? 1,
      detachSeconds: options.detachSeconds ?? 1,
      lag: lagOf(),
    });
    this.store.create(
      "CSIDriver",
      { metadata: { name: STORAGE_DRIVER }, spec: { attachRequired: true } },
      "test",
    );
  }

  private get updateSeconds(): number {
    return this.options.updateSeconds ?? 2;
  }

  /** One group per zone of a pool's generation, named `<pool>-<zone letter>-<generation>`. */
  pool(name: string, options: PoolOptions): this {
    const { kind = "eks-managed", zones = ZONES, perZone = 2, image, generation, foreign = false } = options;
    const tags = foreign ? { pool: undefined, generation: undefined } : { pool: name, generation };
    for (const zone of zones) {
      const group = groupName(name, zone, generation);
      this.cloud.add({
        kind,
        name: group,
        scalingGroup: kind === "eks-managed" ? `eks-${group}` : group,
        ...tags,
        status: "ACTIVE",
        issues: [],
        size: { min: 0, max: perZone + 3, desired: perZone },
        zones: [zone],
        suspended: [],
        template: {
          id: `lt-${name}-${generation}`,
          name: `${name}-${generation}`,
          version: "1",
          imageId: image,
        },
        releaseVersion: undefined,
        instances: [],
        targetGroupArns: [],
        ownership: undefined,
        labels: {
          ...(!foreign && { "patchguard.dev/pool": name, "patchguard.dev/generation": generation }),
          ...options.labels,
        },
        taints: options.taints ?? [],
        allocatable: { pods: String(options.pods ?? 20), cpu: options.cpu ?? "8" },
        instanceType: "m5.large",
      });
    }
    return this;
  }

  deployment(name: string, options: WorkloadOptions = {}): this {
    this.workload("ReplicaSet", name, options, []);
    return this;
  }

  /** @param options.volumes zonal volumes, one per replica, spread over the zones. */
  statefulSet(
    name: string,
    options: WorkloadOptions & { volumes?: boolean; zones?: string[]; firstOrdinal?: number } = {},
  ): this {
    const { volumes = true, zones = ZONES, replicas = 3, firstOrdinal = 0, namespace = "default" } = options;
    for (let i = firstOrdinal; volumes && i < firstOrdinal + replicas; i++) {
      const zone = zones[i % zones.length] as string;
      const volume = `pv-${name}-${i}`;
      const terms = [
        { matchExpressions: [{ key: "topology.kubernetes.io/zone", operator: "In", values: [zone] }] },
      ];
      this.store.create(
        "PersistentVolume",
        {
          metadata: { name: volume },
          spec: {
            csi: { driver: STORAGE_DRIVER, volumeHandle: `vol-${name}-${i}` },
            nodeAffinity: { required: { nodeSelectorTerms: terms } },
          },
        },
        "test",
      );
      this.store.create(
        "PersistentVolumeClaim",
        {
          metadata: { name: `data-${name}-${i}`, namespace },
          spec: { volumeName: volume },
          status: { phase: "Bound" },
        },
        "test",
      );
    }
    const more = firstOrdinal === 0 ? {} : { ordinals: { start: firstOrdinal } };
    this.workload("StatefulSet", name, options, volumes ? ["data"] : [], more);
    return this;
  }

  daemonSet(name: string, options: Behaviour & { namespace?: string } = {}): this {
    const namespace = options.namespace ?? "kube-system";
    const set = this.store.create(
      "DaemonSet",
      {
        metadata: { name, namespace },
        spec: { template: { metadata: { labels: { app: name } }, spec: {} } },
      },
      "test",
    );
    this.behaviours.set(set.metadata.uid, options);
    return this;
  }

  budget(name: string, spec: NonNullable<PodDisruptionBudget["spec"]>, namespace = "default"): this {
    this.store.create("PodDisruptionBudget", { metadata: { name, namespace }, spec }, "test");
    return this;
  }

  /** Changes how the pods of a workload that start from now on behave. */
  behave(
    kind: "ReplicaSet" | "StatefulSet" | "DaemonSet",
    name: string,
    behaviour: Behaviour,
    namespace = "default",
  ): void {
    const owner = this.store.get(kind, name, namespace);
    if (owner === undefined) throw new Error(`no ${kind} ${namespace}/${name}`);
    this.behaviours.set(owner.metadata.uid, { ...this.behaviours.get(owner.metadata.uid), ...behaviour });
  }

  /** A running pod becomes Ready, or is no longer. */
  setReady(pod: Pod, ready: boolean): void {
    this.store.update(
      "Pod",
      pod,
      ({ status }) => {
        for (const condition of status?.conditions ?? []) {
          if (condition.type !== "Ready") continue;
          condition.status = ready ? "True" : "False";
          condition.lastTransitionTime = iso(this.clock.now());
        }
        for (const container of status?.containerStatuses ?? []) container.ready = ready;
      },
      "kubelet",
    );
  }

  /** A process of PatchGuard. Names must differ: they tell the doers apart. */
  client(name: string, options: SessionOptions = {}): Client {
    if (this.sessions.some((it) => it.name === name)) throw new Error(`there is a client ${name} already`);
    const session = new Session(name, this.clock, this.random.fork(), options);
    this.sessions.push(session);
    const { store, terminatingNamespaces } = this;
    const watchDelay = this.options.watchDelay ?? { low: 2, high: 30 };
    const evictionAsked = (eviction: EvictionRecord): void =>
      void this.happenings.push({ what: "eviction", eviction });
    const cluster = new SimulatedCluster(
      { store, terminatingNamespaces, watchDelay, evictionAsked },
      session,
      this.random.fork(),
    );
    const cloud = new SimulatedCloud(this.cloud, store, session, this.updateSeconds);
    return { session, cluster, cloud, clock: session.clock };
  }

  /** From here on pods may go the other way: a rollback or a revert, not a second move of the same handover. */
  turn(): void {
    this.happenings.push({ what: "turn" });
  }

  nodes(generation?: string): Node[] {
    return this.store
      .all("Node")
      .filter(
        ({ metadata }) =>
          generation === undefined || metadata.labels?.["patchguard.dev/generation"] === generation,
      );
  }

  podsOn(node: string): Pod[] {
    return this.store.all("Pod").filter((pod) => pod.spec?.nodeName === node);
  }

  /** Pods that a drain has to move, on nodes of a generation. */
  workloadPods(generation?: string): Pod[] {
    const names = new Set(this.nodes(generation).map(({ metadata }) => metadata.name));
    return this.store
      .all("Pod")
      .filter(
        (pod) =>
          !isFinished(pod) &&
          ownerOf(pod)?.kind !== "DaemonSet" &&
          (generation === undefined || names.has(pod.spec?.nodeName ?? "")),
      );
  }

  /** The node's machine is gone. */
  lose(node: string): void {
    const id = this.store.get("Node", node)?.spec?.providerID?.split("/").at(-1);
    if (id === undefined) throw new Error(`no node ${node}`);
    this.cloud.lose(id, "lost");
  }

  run<T>(promise: Promise<T>, limitSeconds?: number): Promise<T> {
    return this.clock.run(promise, limitSeconds);
  }

  /** Runs until every group has its nodes and every workload is whole. @throws Error that names what is not, at the limit. */
  async settled(limitSeconds = 300): Promise<this> {
    const limit = this.clock.now() + limitSeconds * 1000;
    for (;;) {
      await this.clock.pass(1);
      const missing = this.unsettled();
      if (missing.length === 0) return this;
      if (this.clock.now() > limit)
        throw new Error(
          `the world does not settle: ${missing.slice(0, 5).join("; ")}.${this.clock.waiters(5)}`,
        );
    }
  }

  /** What is not as it should be: groups without their nodes, workloads that are not whole. */
  unsettled(): string[] {
    const missing: string[] = [];
    for (const { name, instances, size, suspended, template } of this.cloud.groups.values()) {
      if (suspended.includes("Launch")) continue; // it is told to launch nothing
      if (template.imageId !== undefined && this.cloud.neverJoin.has(template.imageId)) continue;
      if (instances.filter(({ lifecycle }) => lifecycle === "InService").length < size.desired)
        missing.push(`group ${name} lacks nodes`);
    }
    for (const kind of ["ReplicaSet", "StatefulSet"] as const) {
      for (const owner of this.store.all(kind)) {
        const ready = this.store
          .all("Pod")
          .filter((pod) => ownerOf(pod)?.uid === owner.metadata.uid && isServing(pod)).length;
        const wanted = owner.spec?.replicas ?? 1;
        if (ready !== wanted) missing.push(`${kind} ${owner.metadata.name} has ${ready} of ${wanted} Ready`);
      }
    }
    for (const set of this.store.all("DaemonSet")) {
      const ready = this.store
        .all("Pod")
        .filter(
          (pod) =>
            ownerOf(pod)?.uid === set.metadata.uid &&
            isServing(pod) &&
            this.store.get("Node", pod.spec?.nodeName ?? ""),
        ).length;
      if (ready < this.nodes().length)
        missing.push(`DaemonSet ${set.metadata.name} has ${ready} of ${this.nodes().length} Ready`);
    }
    for (const budget of this.store.all("PodDisruptionBudget")) {
      if (budget.status?.observedGeneration !== budget.metadata.generation)
        missing.push(`budget ${budget.metadata.name} has no status yet`);
    }
    return missing;
  }

  /** The record as text, one line each: two runs are the same when these are. */
  trace(): string[] {
    return this.happenings.flatMap((it) => {
      if (it.what === "turn") return [];
      if (it.what === "eviction") {
        const { at, by, pod, dryRun, status } = it.eviction;
        const how = dryRun ? " (dry run)" : "";
        return [`${this.clock.stamp(at)} ${by}: evict ${pod.namespace}/${pod.name}${how} ${status.code}`];
      }
      const { at, by, type, kind, object } = it.change;
      const { namespace = "", name, resourceVersion = "" } = object.metadata;
      return [`${this.clock.stamp(at)} ${by}: ${type} ${kind} ${namespace}/${name} ${resourceVersion}`];
    });
  }

  private workload(
    kind: "ReplicaSet" | "StatefulSet",
    name: string,
    options: WorkloadOptions,
    claims: string[],
    more: object = {},
  ): void {
    const { replicas = 3, namespace = "default", budget, minReadySeconds, graceSeconds = 30 } = options;
    const labels = { app: name };
    const spec = {
      ...options.spec,
      terminationGracePeriodSeconds: graceSeconds,
      ...(options.oneHostEach && { oneHostEach: true }),
    };
    const owner = this.store.create(
      kind,
      {
        metadata: { name, namespace },
        spec: {
          replicas,
          ...(minReadySeconds !== undefined && { minReadySeconds }),
          template: { metadata: { labels }, spec },
          claims,
          ...more,
        } as Templated["spec"],
      },
      "test",
    );
    this.behaviours.set(owner.metadata.uid, options);
    if (budget) this.budget(name, { selector: { matchLabels: labels }, ...budget }, namespace);
  }
}

/** `workers`, `us-east-1a`, `aaaaaaaa` → `workers-a-aaaaaaaa`. */
export const groupName = (pool: string, zone: string, generation: string): string =>
  `${pool}-${zone.at(-1) ?? ""}-${generation}`;
/** The names of a pool's groups, as a target declares them. */
export const groupsFor = (
  pool: string,
  generation: string,
  zones: string[] = ZONES,
  kind: "eks-managed" | "self-managed" = "eks-managed",
): { kind: "eks-managed" | "self-managed"; name: string; zone: string }[] =>
  zones.map((zone) => ({ kind, name: groupName(pool, zone, generation), zone }));
