/** A small synthetic world: makes the observations that a real cluster would have shown, in order. */
import { judge } from "../../watcher/judge.ts";
import type { Mark, Observation, Violation } from "../../watcher/observation.ts";
import { actorOf } from "../../watcher/observation.ts";
import type { Budget, KubeObject, Node, Pod } from "../../watcher/objects.ts";
import type { JudgeOptions, WatchState } from "../../watcher/state.ts";
import { newState } from "../../watcher/state.ts";

export const PATCHGUARD = "patchguard/0.1.0";
export const KUBECTL = "kubectl/v1.34.4 (linux/amd64)";
export const CLOUD = "sandbox-machine-room";
export const CONTROLLER = "kube-controller-manager/v1.34.4 (linux/amd64) kubernetes/abc/";

const START = Date.parse("2026-01-01T00:00:00Z");

export class World {
  readonly state: WatchState;
  readonly found: Violation[] = [];
  readonly seen: Observation[] = [];
  private now = START;
  private uids = 0;
  private pods = new Map<string, Pod>();
  private nodes = new Map<string, Node>();

  constructor(options: JudgeOptions = { requireLease: false }) {
    this.state = newState(options);
  }

  feed(observation: Observation): void {
    this.seen.push(observation);
    this.found.push(...judge(this.state, observation));
  }

  object(change: "INITIAL" | "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): void {
    this.feed({ type: "object", at: this.now, change, object: structuredClone(object) });
  }

  wait(seconds: number): this {
    this.now += seconds * 1000;
    return this;
  }

  get at(): number {
    return this.now;
  }

  mark(mark: Mark): void {
    this.feed({ type: "mark", at: this.now, mark });
  }

  request(agent: string, verb: string, resource: string, key: string, code = 200, body?: string): void {
    const [path = "", subresource = ""] = resource.split("/");
    const [namespace = "", name = ""] = key.includes("/") ? key.split("/") : ["", key];
    const actor = actorOf(agent, "admin");
    this.feed({
      type: "request",
      at: this.now,
      verb,
      resource: path,
      subresource,
      namespace,
      name,
      actor,
      code,
      ...(body === undefined ? {} : { body }),
    });
  }

  meta(name: string, namespace?: string) {
    this.uids += 1;
    return { name, uid: `u${this.uids}`, ...(namespace === undefined ? {} : { namespace }) };
  }

  node(name: string, more: { generation?: string; cordoned?: boolean; late?: boolean } = {}): void {
    const node: Node = {
      kind: "Node",
      metadata: {
        ...this.meta(name),
        labels: { "patchguard.dev/generation": more.generation ?? "aaaaaaaa" },
      },
      spec: more.cordoned === true ? { unschedulable: true } : {},
    };
    this.nodes.set(name, node);
    this.object(more.late === true ? "ADDED" : "INITIAL", node);
  }

  /** Somebody changes a node. */
  patchNode(agent: string, name: string, change: (node: Node) => void): void {
    this.request(agent, "patch", "nodes", name);
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`the synthetic world has no node ${name}`);
    change(node);
    this.wait(0.05).object("MODIFIED", node);
  }

  cordon(agent: string, name: string): void {
    this.patchNode(agent, name, (node) => (node.spec = { ...node.spec, unschedulable: true }));
  }

  uncordon(agent: string, name: string): void {
    this.patchNode(agent, name, (node) => delete node.spec?.unschedulable);
  }

  deleteNode(agent: string, name: string): void {
    this.request(agent, "delete", "nodes", name);
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`the synthetic world has no node ${name}`);
    this.wait(0.05).object("DELETED", node);
  }

  workload(kind: "ReplicaSet" | "StatefulSet", name: string, replicas: number): string {
    const set = { kind, metadata: this.meta(name, "shop"), spec: { replicas } } as const;
    this.object("INITIAL", set);
    return set.metadata.uid;
  }

  /** Somebody gives it more replicas. */
  grow(kind: "ReplicaSet" | "StatefulSet", name: string, uid: string, replicas: number): void {
    this.object("MODIFIED", { kind, metadata: { name, uid, namespace: "shop" }, spec: { replicas } });
  }

  budget(name: string, spec: Budget["spec"], allowed = 1): void {
    this.object("INITIAL", {
      kind: "PodDisruptionBudget",
      metadata: this.meta(name, "shop"),
      spec: { selector: { matchLabels: { app: name } }, ...spec },
      status: { disruptionsAllowed: allowed, expectedPods: 3 },
    });
  }

  /** A Ready pod, label `app` = the part of its name before the first dash. */
  pod(name: string, node: string, owner?: { kind: string; uid: string }, edit?: (pod: Pod) => void): Pod {
    const app = name.split("-")[0] ?? name;
    const pod: Pod = {
      kind: "Pod",
      metadata: {
        ...this.meta(name, "shop"),
        labels: { app },
        ...(owner === undefined ? {} : { ownerReferences: [{ ...owner, name: app, controller: true }] }),
      },
      spec: { nodeName: node, terminationGracePeriodSeconds: 30 },
      status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
    };
    edit?.(pod);
    this.pods.set(name, pod);
    this.object("ADDED", pod);
    return pod;
  }

  private known(name: string): Pod {
    const pod = this.pods.get(name);
    if (pod === undefined) throw new Error(`the synthetic world has no pod ${name}`);
    return pod;
  }

  patchPod(name: string, change: (pod: Pod) => void): void {
    change(this.known(name));
    this.object("MODIFIED", this.known(name));
  }

  crash(name: string): void {
    this.patchPod(
      name,
      (pod) => (pod.status = { phase: "Running", conditions: [{ type: "Ready", status: "False" }] }),
    );
  }

  private terminate(name: string, graceSeconds: number): void {
    this.wait(0.05).patchPod(name, (pod) => {
      pod.metadata.deletionTimestamp = new Date(this.now).toISOString();
      pod.metadata.deletionGracePeriodSeconds = graceSeconds;
    });
  }

  /** The pod begins to terminate by an eviction. */
  evict(agent: string, name: string, graceSeconds = 30): void {
    this.request(agent, "create", "pods/eviction", `shop/${name}`, 201);
    this.patchPod(name, (pod) =>
      pod.status?.conditions?.push({
        type: "DisruptionTarget",
        status: "True",
        reason: "EvictionByEvictionAPI",
      }),
    );
    this.terminate(name, graceSeconds);
  }

  /** The pod begins to terminate by a DELETE. */
  remove(agent: string, name: string, graceSeconds = 30): void {
    this.request(agent, "delete", "pods", `shop/${name}`);
    this.terminate(name, graceSeconds);
  }

  gone(name: string): void {
    this.object("DELETED", this.known(name));
    this.pods.delete(name);
  }

  /** A whole move: evicted, gone, and its replacement Ready. */
  move(agent: string, from: string, to: string, node: string, owner: { kind: string; uid: string }): void {
    this.evict(agent, from);
    this.wait(5).gone(from);
    this.pod(to, node, owner);
    this.wait(2);
  }

  attach(volume: string, node: string, change: "INITIAL" | "ADDED" | "DELETED" = "ADDED"): void {
    this.object(change, {
      kind: "VolumeAttachment",
      metadata: this.meta(`${volume}-${node}`),
      spec: { nodeName: node, source: { persistentVolumeName: volume } },
      status: { attached: true },
    });
  }

  lease(holder: string, renewedSecondsAgo = 0): void {
    this.object("MODIFIED", {
      kind: "Lease",
      metadata: this.meta("patchguard", "kube-system"),
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: 30,
        renewTime: new Date(this.now - renewedSecondsAgo * 1000).toISOString(),
      },
    });
  }

  /** `kind object` of everything found. */
  get told(): string[] {
    return this.found.map((violation) => `${violation.kind} ${violation.object}`);
  }
}
