import {
  type Cloud,
  CloudError,
  type GroupTemplate,
  type NodeGroup,
  type Resized,
  type Sizes,
  type TargetGroup,
  type Waiting,
} from "../../rollout/cloud/cloud.ts";
import type { CloudFacts } from "../../rollout/cloud/facts.ts";
import type { Taint } from "../../rollout/cluster/types.ts";
import { LoadBalancers } from "./load-balancers.ts";
import type { Random } from "./random.ts";
import type { Session } from "./session.ts";
import { iso, type Store } from "./store.ts";

/** A group as the simulated cloud keeps it. */
export interface SimulatedGroup extends NodeGroup {
  template: GroupTemplate;
  labels: Record<string, string>;
  taints: Taint[];
  allocatable: Record<string, string>;
  instanceType: string;
}

export interface CloudTimes {
  /** Milliseconds from a wish to a launched instance, or to a terminated one. */
  react: () => number;
  bootSeconds: number;
  /** What EKS takes to change a group's sizes. */
  updateSeconds: number;
}

/** A change in the cloud, for the record. */
export interface CloudChange {
  at: number;
  by: string;
  what: string;
  group: string;
  /** Image of a launched instance. */
  image?: string;
}

const NAME = "cloud";
/** States in which EKS takes no change of sizes, but will. */
const AT_WORK = ["CREATING", "UPDATING"];
const TAG_VALUE = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u;

/** Groups of instances and the nodes that they become: the cloud itself, without its clients. */
export class CloudServer {
  readonly groups = new Map<string, SimulatedGroup>();
  readonly changes: CloudChange[] = [];
  /** Images whose instances run but never join. */
  readonly neverJoin = new Set<string>();
  readonly loadBalancers: LoadBalancers;
  private readonly store: Store;
  private readonly times: CloudTimes;
  private readonly random: Random;
  private readonly images = new Map<string, string>();
  private readonly originals = new Map<string, string>();
  private readonly due = new Set<string>();
  private count = 0;

  constructor(store: Store, times: CloudTimes, random: Random) {
    this.store = store;
    this.loadBalancers = new LoadBalancers(store);
    this.times = times;
    this.random = random;
  }

  add(group: SimulatedGroup): void {
    this.groups.set(group.name, group);
    this.originals.set(
      group.name,
      `min ${group.size.min} max ${group.size.max} suspended ${group.suspended.join("+") || "none"}`,
    );
    this.wake(group);
  }

  /** @throws CloudError when the group does not exist */
  must(name: string): SimulatedGroup {
    const group = this.groups.get(name);
    if (group === undefined)
      throw new CloudError("ResourceNotFoundException", `No node group found for name: ${name}.`);
    return group;
  }

  record(by: string, what: string, group: string, image?: string): void {
    this.changes.push({ at: this.store.clock.now(), by, what, group, ...(image !== undefined && { image }) });
  }

  /** Sizes and suspensions that a group was made with, in words. */
  original(name: string): string | undefined {
    return this.originals.get(name);
  }

  imageOf(instanceId: string): string | undefined {
    return this.images.get(instanceId);
  }

  /** The group's instances follow its desired size, as far as its suspended processes let them. */
  wake(group: SimulatedGroup): void {
    if (this.due.has(group.name)) return;
    this.due.add(group.name);
    this.store.clock.after(this.times.react(), `${NAME}: group ${group.name}`, () => {
      this.due.delete(group.name);
      if (this.groups.get(group.name) !== group) return;
      const missing = group.size.desired - group.instances.length;
      if (missing > 0 && !group.suspended.includes("Launch"))
        for (let i = 0; i < missing; i++) this.launch(group);
      if (missing < 0 && !group.suspended.includes("Terminate")) {
        for (const { id } of group.instances.slice(missing)) this.lose(id, "scale-in");
      }
    });
  }

  /** An instance is gone at once: spot reclaim, failure or scale-in. Its node goes with it. */
  lose(instanceId: string, why: string): void {
    const group = [...this.groups.values()].find(({ instances }) =>
      instances.some(({ id }) => id === instanceId),
    );
    if (group === undefined) throw new Error(`no instance ${instanceId}`);
    group.instances = group.instances.filter(({ id }) => id !== instanceId);
    this.images.delete(instanceId);
    this.record(NAME, `lost ${instanceId} (${why})`, group.name);
    const node = this.store.all("Node").find(({ spec }) => spec?.providerID?.endsWith(`/${instanceId}`));
    if (node) this.store.remove("Node", node, "cloud-node-lifecycle");
    this.wake(group);
  }

  /** Deletes an empty or full group with all its instances, as the end of `pulumi up` would. */
  remove(name: string): void {
    const group = this.must(name);
    this.groups.delete(name);
    for (const { id } of group.instances) {
      this.images.delete(id);
      const node = this.store.all("Node").find(({ spec }) => spec?.providerID?.endsWith(`/${id}`));
      if (node) this.store.remove("Node", node, "cloud-node-lifecycle");
    }
    this.record(NAME, "deleted", name);
  }

  private launch(group: SimulatedGroup): void {
    const n = ++this.count;
    const id = `i-${n.toString(16).padStart(17, "0")}`;
    const counts = group.zones.map((zone) => group.instances.filter((it) => it.zone === zone).length);
    const zone = group.zones[counts.indexOf(Math.min(...counts))] as string;
    const imageId = group.template.imageId;
    const instance = { id, zone, lifecycle: "Pending", imageId };
    group.instances = [...group.instances, instance];
    if (imageId !== undefined) this.images.set(id, imageId);
    this.record(NAME, `launched ${id}`, group.name, imageId);
    if (imageId !== undefined && this.neverJoin.has(imageId)) return;
    const seconds = this.times.bootSeconds + this.random.next();
    this.store.clock.after(seconds * 1000, `${NAME}: boot ${id}`, () => {
      if (!group.instances.some((it) => it.id === id)) return;
      group.instances = group.instances.map((it) => (it.id === id ? { ...it, lifecycle: "InService" } : it));
      this.join(group, id, zone, n, imageId);
    });
  }

  private join(group: SimulatedGroup, id: string, zone: string, n: number, image: string | undefined): void {
    const name = `${group.name}-${n}`;
    const labels = {
      ...group.labels,
      "kubernetes.io/hostname": name,
      "topology.kubernetes.io/zone": zone,
      "node.kubernetes.io/instance-type": group.instanceType,
      ...(group.kind === "eks-managed" && { "eks.amazonaws.com/nodegroup": group.name }),
    };
    const conditions = [{ type: "Ready", status: "True", lastTransitionTime: iso(this.store.clock.now()) }];
    this.store.create(
      "Node",
      {
        metadata: { name, labels },
        spec: {
          providerID: `aws:///${zone}/${id}`,
          ...(group.taints.length > 0 && { taints: group.taints }),
        },
        status: {
          conditions,
          allocatable: group.allocatable,
          capacity: group.allocatable,
          nodeInfo: { kernelVersion: `kernel-of-${image ?? "?"}`, osImage: `os-of-${image ?? "?"}` },
        },
      },
      "kubelet",
    );
  }

  resize(group: SimulatedGroup, sizes: Sizes): void {
    const min = sizes.min ?? group.size.min;
    const max = sizes.max ?? group.size.max;
    let desired = sizes.desired ?? group.size.desired;
    if (group.kind === "self-managed" && sizes.desired === undefined)
      desired = Math.min(Math.max(desired, min), max);
    if (min < 0 || min > max || desired < min || desired > max || (group.kind === "eks-managed" && max < 1)) {
      throw new CloudError(
        group.kind === "eks-managed" ? "InvalidParameterException" : "ValidationError",
        `${group.name}: sizes min ${min}, max ${max}, desired ${desired} do not fit together`,
      );
    }
    group.size = { min, max, desired };
    this.wake(group);
  }
}

/** The Cloud port on the simulated cloud, for one client. */
export class SimulatedCloud implements Cloud {
  private readonly server: CloudServer;
  private readonly session: Session;
  private readonly store: Store;
  private readonly updateSeconds: number;

  constructor(server: CloudServer, store: Store, session: Session, updateSeconds: number) {
    this.server = server;
    this.store = store;
    this.session = session;
    this.updateSeconds = updateSeconds;
  }

  groups(pool: string): Promise<NodeGroup[]> {
    return this.session.read(
      `groups of ${pool}`,
      () => this.all().filter((group) => group.pool === pool),
      "cloud",
    );
  }

  group(kind: NodeGroup["kind"], name: string): Promise<NodeGroup | undefined> {
    return this.session.read(
      `group ${name}`,
      () => this.all().find((group) => group.kind === kind && group.name === name),
      "cloud",
    );
  }

  groupsOf(instanceIds: string[]): Promise<NodeGroup[]> {
    return this.session.read(
      "groups of instances",
      () => this.all().filter(({ instances }) => instances.some(({ id }) => instanceIds.includes(id))),
      "cloud",
    );
  }

  groupsWithLabels(labels: Record<string, string>): Promise<NodeGroup[]> {
    const has = ({ name }: NodeGroup): boolean =>
      Object.entries(labels).every(([key, value]) => this.server.groups.get(name)?.labels[key] === value);
    return this.session.read(
      "groups with labels",
      () => this.all().filter((group) => group.pool === undefined && has(group)),
      "cloud",
    );
  }

  closedGroups(): Promise<NodeGroup[]> {
    return this.session.read(
      "closed groups",
      () => this.all().filter(({ ownership }) => ownership !== undefined),
      "cloud",
    );
  }

  imagesOf(instanceIds: string[]): Promise<Map<string, string>> {
    return this.session.read(
      "images of instances",
      () =>
        new Map(
          instanceIds.flatMap((id) =>
            this.server.imageOf(id) === undefined ? [] : [[id, this.server.imageOf(id) as string]],
          ),
        ),
      "cloud",
    );
  }

  async resize(group: NodeGroup, sizes: Sizes, waiting: Waiting = {}): Promise<Resized> {
    const takes = group.kind === "eks-managed" ? this.updateSeconds * 1000 : 0;
    const { signal, toTheEnd = true } = waiting;
    while (takes > 0) {
      const { status } = this.server.must(group.name);
      if (status === "DEGRADED") {
        const { size } = this.server.must(group.name);
        return (sizes.min ?? size.min) === size.min && (sizes.max ?? size.max) === size.max ? "done" : "left";
      }
      if (!AT_WORK.includes(status)) break;
      await this.session.clock.sleep(1000, signal);
      signal?.throwIfAborted();
    }
    await this.change(
      "resize",
      group,
      (current) => this.server.resize(current, sizes),
      takes,
      JSON.stringify(sizes),
      waiting,
    );
    return toTheEnd ? "done" : "accepted";
  }

  suspend(group: NodeGroup, processes: string[], waiting?: Waiting): Promise<void> {
    return this.change(
      "suspend",
      group,
      (current) => (current.suspended = [...new Set([...current.suspended, ...processes])].toSorted()),
      0,
      processes.join("+"),
      waiting,
    );
  }

  resume(group: NodeGroup, processes: string[], waiting?: Waiting): Promise<void> {
    const act = (current: SimulatedGroup): void => {
      current.suspended = current.suspended.filter((process) => !processes.includes(process));
      this.server.wake(current);
    };
    return this.change("resume", group, act, 0, processes.join("+"), waiting);
  }

  setOwnership(group: NodeGroup, value: string | undefined, waiting?: Waiting): Promise<void> {
    const act = (current: SimulatedGroup): void => {
      if (value !== undefined && !TAG_VALUE.test(value))
        throw new CloudError("ValidationError", `tag value "${value}" is not allowed`);
      current.ownership = value;
    };
    return this.change("tag", group, act, 0, value ?? "(none)", waiting);
  }

  targetGroups(): Promise<TargetGroup[]> {
    const { groups, asked } = this.server.loadBalancers;
    asked.groups++;
    return this.session.read(
      "target groups",
      () => Array.from(groups, ([arn, { name }]) => ({ arn, name })),
      "cloud",
    );
  }

  deregistrationDelays(targetGroupArns: string[]): Promise<Map<string, number>> {
    const { loadBalancers } = this.server;
    loadBalancers.asked.delays += targetGroupArns.length;
    return this.session.read(
      "deregistration delays",
      () => new Map(targetGroupArns.map((arn) => [arn, loadBalancers.must(arn).delaySeconds])),
      "cloud",
    );
  }

  /** Of a group's own target groups its instances are targets from the start; of others those that a controller has registered. */
  targetHealth(targetGroupArns: string[]): Promise<Map<string, Map<string, string>>> {
    const { loadBalancers } = this.server;
    loadBalancers.asked.health += targetGroupArns.length;
    const attached = (arn: string): boolean =>
      this.all().some(({ targetGroupArns: arns }) => arns.includes(arn));
    const registered = (arn: string): Iterable<[string, string]> =>
      loadBalancers.groups.has(arn) || !attached(arn) ? loadBalancers.must(arn).targets : [];
    return this.session.read(
      "target health",
      () =>
        new Map(
          targetGroupArns.map((arn) => [
            arn,
            new Map([
              ...registered(arn),
              ...this.all()
                .filter((group) => group.targetGroupArns.includes(arn))
                .flatMap(({ instances }) =>
                  instances.map(
                    ({ id, lifecycle }) => [id, lifecycle === "InService" ? "healthy" : "initial"] as const,
                  ),
                ),
            ]),
          ]),
        ),
      "cloud",
    );
  }

  /** No limits are simulated. */
  facts(): Promise<CloudFacts> {
    return Promise.resolve({ notAsked: [] });
  }

  private all(): NodeGroup[] {
    return [...this.server.groups.values()].map((group) => {
      const { labels: _, taints: __, allocatable: ___, instanceType: ____, ...view } = group;
      return structuredClone(view);
    });
  }

  private async change(
    what: string,
    group: NodeGroup,
    act: (current: SimulatedGroup) => void,
    takes: number,
    detail: string,
    { signal, toTheEnd = true }: Waiting = {},
  ): Promise<void> {
    const { server, session, store } = this;
    signal?.throwIfAborted();
    return session.write(
      `${what} group ${group.name} ${detail}`,
      () => {
        const current = server.must(group.name);
        if (current.status === "UPDATING" && takes > 0) {
          throw new CloudError(
            "ResourceInUseException",
            `Nodegroup cannot be updated as it is currently not in Active State: ${group.name}`,
          );
        }
        act(current);
        server.record(session.name, `${what} ${detail}`, group.name);
        if (takes > 0) {
          current.status = "UPDATING";
          store.clock.after(takes - 1, `${NAME}: update of ${group.name}`, () => (current.status = "ACTIVE"));
        }
      },
      "cloud",
      toTheEnd ? takes : 0,
      signal,
    );
  }
}
