import type { Clock } from "./clock.ts";
import type { Cloud, NodeGroup } from "./cloud/cloud.ts";
import type { Cluster } from "./cluster/cluster.ts";
import type { Node } from "./cluster/types.ts";
import { consentRecorded } from "./consent.ts";
import { Refused } from "./errors.ts";
import { freeze, isFrozen } from "./freeze.ts";
import { Inventory } from "./inventory.ts";
import { DEFAULTS } from "./names.ts";
import { isTerminating, isWorkload, podName } from "./pods.ts";
import { instanceId } from "./target.ts";
import { until } from "./wait.ts";

export interface GuardContext {
  cluster: Cluster;
  cloud: Cloud;
  clock: Clock;
  signal: AbortSignal;
  /** `patchguard:destroy.consent`, when it names this cluster. */
  consent: boolean;
  /** `<project>/<stack>`: another stack's consent is none. */
  stack: string;
}

const NEXT =
  "To go on: put the pool back into the config and run `pulumi up`, which moves its pods first. To retire the pool: drain its nodes, set its sizes to 0, run `pulumi up`, then remove it.";

/**
 * Promise 3: a node group is deleted only when it can launch nothing, all its nodes are unschedulable, and none of them has held a
 * workload pod for 5 s. Asked right before Pulumi deletes the group, whatever the reason (design section 3, Guards).
 * A group without any node is frozen here, since no handover ever saw it (it never joined).
 * @throws Refused naming group, node and pod.
 */
export async function mayDelete(context: GuardContext, kind: NodeGroup["kind"], name: string): Promise<void> {
  const { cluster, cloud, clock, signal } = context;
  if (context.consent && (await consentRecorded(cluster, context.stack))) return;
  const group = await cloud.group(kind, name);
  if (group === undefined) return; // gone already
  const inventory = await Inventory.open(cluster);
  try {
    const nodes = nodesOf(inventory, group);
    if (nodes().length === 0) await freeze(cloud, group, "blue", { signal });
    else if (!isFrozen(group))
      throw refusal(
        name,
        `it can still launch nodes (its Auto Scaling group ${group.scalingGroup} is not frozen)`,
      );
    let emptySince: number | undefined;
    await until(
      {
        clock,
        signal,
        wakes: inventory,
        timeoutSeconds: 120,
        late: () =>
          refusal(
            name,
            `pods on it are still terminating after 120 s: ${held(inventory, nodes()).map(podName).join(", ")}`,
          ),
      },
      () => {
        const open = nodes().find((node) => node.spec?.unschedulable !== true);
        if (open) throw refusal(name, `node ${open.metadata.name} is schedulable`);
        const pods = held(inventory, nodes());
        const staying = pods.filter((pod) => !isTerminating(pod));
        if (staying.length > 0) {
          throw refusal(
            name,
            `${staying.length} workload pods run on it (${staying
              .slice(0, 3)
              .map((pod) => `${podName(pod)} on ${pod.spec?.nodeName}`)
              .join(", ")}${staying.length > 3 ? ", …" : ""})`,
          );
        }
        if (pods.length > 0) emptySince = undefined;
        else emptySince ??= clock.now();
        return emptySince !== undefined && clock.now() - emptySince >= DEFAULTS.quietSeconds * 1000
          ? true
          : undefined;
      },
    );
  } finally {
    inventory.close();
  }
}

/**
 * A replacement within one generation would delete a group whose successor has the same name: its nodes would be ended, not
 * handed over. Only a group that no node ever joined (a creation that failed) may be replaced.
 * @throws Refused naming the group and the way to a new generation.
 */
export async function mayReplace(
  cluster: Cluster,
  cloud: Cloud,
  kind: NodeGroup["kind"],
  name: string,
): Promise<void> {
  const group = await cloud.group(kind, name);
  if (group === undefined) return;
  const nodes = groupNodes(await cluster.list("Node"), group);
  if (nodes.length === 0) return;
  throw new Refused(
    `node group ${name} is not replaced: the change cannot be made in place, and its ${nodes.length} nodes (${nodes[0]?.metadata.name} first) would be ended without a handover. ` +
      `To go on: make the change through the pool's config, which gives the group a new generation; or set the pool's \`revision\` to force one.`,
  );
}

const refusal = (name: string, why: string): Refused =>
  new Refused(`node group ${name} is not deleted: ${why}. ${NEXT}`);

const nodesOf = (inventory: Inventory, group: NodeGroup) => (): Node[] =>
  groupNodes(inventory.all("Node"), group);

/** By instance; EKS's own label finds nodes whose instance the cloud no longer lists. */
function groupNodes(nodes: readonly Node[], group: NodeGroup): Node[] {
  const ids = new Set(group.instances.map(({ id }) => id));
  const label = "eks.amazonaws.com/nodegroup";
  return nodes.filter(
    (node) =>
      ids.has(instanceId(node) ?? "") ||
      (group.kind === "eks-managed" && node.metadata.labels?.[label] === group.name),
  );
}

const held = (inventory: Inventory, nodes: Node[]) =>
  nodes.flatMap((node) => inventory.podsOn(node.metadata.name).filter(isWorkload));

/** What an update may change on a group in place; all else belongs to the generation and would roll nodes. */
const MAY_CHANGE = new Set([
  "scalingConfig",
  "minSize",
  "maxSize",
  "desiredCapacity",
  "tags",
  "tagsAll",
  "updateConfig",
  "forceUpdateVersion",
  "waitForCapacityTimeout",
  "region",
]);

type Inputs = Record<string, unknown>;

/**
 * The properties whose change would roll or replace nodes within one generation (a template edited outside the config, or a
 * PatchGuard whose templates changed). Pure. @returns their names; none means that the update is harmless.
 */
export const rollingChanges = (before: Inputs, after: Inputs): string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => !key.startsWith("__") && !MAY_CHANGE.has(key) && !same(before[key], after[key]))
    .toSorted();

const same = (a: unknown, b: unknown): boolean => canonical(a) === canonical(b);

/** Key order and absent values do not count. */
const canonical = (value: unknown): string =>
  JSON.stringify(value ?? null, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(
          Object.entries(part)
            .filter(([key, it]) => it !== undefined && !key.startsWith("__"))
            .toSorted(([a], [b]) => a.localeCompare(b)),
        )
      : part,
  );

interface Sizes {
  desired: number | undefined;
  max: number | undefined;
}

/** Sizes in a group's inputs: EKS has them nested, an Auto Scaling group flat. */
function sizesOf(inputs: Inputs): Sizes {
  const nested = (inputs["scalingConfig"] ?? {}) as Inputs;
  const number = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
  return {
    desired: number(nested["desiredSize"] ?? inputs["desiredCapacity"]),
    max: number(nested["maxSize"] ?? inputs["maxSize"]),
  };
}

/**
 * The size that an update could bring a group down to: the desired one it sends (which may be older than what an autoscaler has
 * made of it), and never more than the maximum. Pure. @returns undefined when the update says nothing of sizes.
 */
export function sizeAfter(before: Inputs, after: Inputs): number | undefined {
  const sized = ["scalingConfig", "minSize", "maxSize", "desiredCapacity"];
  if (sized.every((key) => same(before[key], after[key]))) return undefined;
  const { desired = Infinity, max = Infinity } = sizesOf(after);
  const to = Math.min(desired, max);
  return Number.isFinite(to) ? to : undefined;
}

/**
 * A scale-in takes nodes without a drain, so it may go only as low as the nodes that hold workload pods.
 * @throws Refused naming the nodes and what to do.
 */
export async function mayScaleIn(
  cluster: Cluster,
  cloud: Cloud,
  kind: NodeGroup["kind"],
  name: string,
  to: number,
): Promise<void> {
  const group = await cloud.group(kind, name);
  if (group === undefined || to >= group.size.desired) return;
  const nodes = groupNodes(await cluster.list("Node"), group);
  const pods = await cluster.list("Pod");
  const busy = nodes.filter((node) =>
    pods.some((pod) => pod.spec?.nodeName === node.metadata.name && isWorkload(pod)),
  );
  if (busy.length <= to) return;
  throw new Refused(
    `node group ${name} is not scaled in from ${group.size.desired} to ${to}: ${busy.length} of its nodes hold workload pods (${busy
      .slice(0, 3)
      .map(({ metadata }) => metadata.name)
      .join(", ")}${busy.length > 3 ? ", …" : ""}), ` +
      `and the cloud would end them without a drain. To go on: drain the nodes you can spare first, or leave size.desired out so that an autoscaler owns it (where one does already: run \`pulumi refresh\`, so that the update starts from its size).`,
  );
}
