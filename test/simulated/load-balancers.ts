import { CloudError } from "../../rollout/cloud/cloud.ts";
import type { Node } from "../../rollout/cluster/types.ts";
import type { Store } from "./store.ts";

const EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers";

export interface TargetGroupOptions {
  /** `deregistration_delay.timeout_seconds`. */
  delaySeconds: number;
  /** What the controller takes to see a label; without a controller nobody deregisters anything. */
  controllerSeconds?: number;
}

interface SimulatedTargetGroup extends TargetGroupOptions {
  name: string;
  /** State by instance. */
  targets: Map<string, string>;
}

const NAME = "load-balancer-controller";
const instanceOf = (node: Node): string | undefined => node.spec?.providerID?.split("/").at(-1);
const isExcluded = (node: Node): boolean => node.metadata.labels?.[EXCLUDE] !== undefined;

/**
 * Target groups of type instance and the controller that registers nodes in them, as the AWS Load Balancer Controller does: all nodes
 * without the exclusion label. A target that is deregistered drains for the group's delay; then the group knows it no more.
 */
export class LoadBalancers {
  readonly groups = new Map<string, SimulatedTargetGroup>();
  /** How often the cloud was asked for what. */
  readonly asked = { groups: 0, health: 0, delays: 0 };
  private readonly store: Store;

  constructor(store: Store) {
    this.store = store;
    store.onChange(({ kind, object, type }) => {
      if (kind !== "Node") return;
      for (const group of this.groups.values()) this.see(group, object as Node, type === "DELETED");
    });
  }

  /** @returns its ARN; every node that is there now is registered */
  add(name: string, options: TargetGroupOptions): string {
    const arn = `arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/${name}/0123456789abcdef`;
    const group = { name, ...options, targets: new Map<string, string>() };
    this.groups.set(arn, group);
    for (const node of this.store.all("Node")) this.register(group, node);
    return arn;
  }

  /** @throws CloudError as ELB for a group that is gone */
  must(arn: string): SimulatedTargetGroup {
    const group = this.groups.get(arn);
    if (group === undefined)
      throw new CloudError("TargetGroupNotFoundException", `One or more target groups not found: ${arn}`);
    return group;
  }

  private register(group: SimulatedTargetGroup, node: Node): void {
    const id = instanceOf(node);
    if (id !== undefined && !isExcluded(node)) group.targets.set(id, "healthy");
  }

  private see(group: SimulatedTargetGroup, node: Node, gone: boolean): void {
    const id = instanceOf(node);
    const { controllerSeconds, delaySeconds, targets, name } = group;
    if (id === undefined || controllerSeconds === undefined) return;
    const known = targets.get(id);
    if (gone) targets.delete(id);
    else if (known === undefined) this.register(group, node);
    else if (known === "healthy" && isExcluded(node))
      this.store.clock.after(controllerSeconds * 1000, `${NAME}: ${name} lets ${id} go`, () => {
        if (targets.get(id) !== "healthy") return;
        targets.set(id, "draining");
        this.store.clock.after(delaySeconds * 1000, `${NAME}: ${name} has let ${id} go`, () => {
          if (targets.get(id) === "draining") targets.delete(id);
        });
      });
  }
}
