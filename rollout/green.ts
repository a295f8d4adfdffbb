import { blueNodes, greenGroups, greenNodes, mark, poolGroups, reopenNode } from "./close.ts";
import type { NodeGroup } from "./cloud/cloud.ts";
import type { DaemonSet, Node } from "./cluster/types.ts";
import { Hold } from "./errors.ts";
import { count } from "./finding.ts";
import { protect, readOwnership, thaw, Unfinished } from "./freeze.ts";
import { isPodReady } from "./pods.ts";
import { isCordonedByUs, ownershipOf } from "./ownership.ts";
import { mayAct, type Run } from "./run.ts";
import { imageText, instanceId, isReady, zoneOf } from "./target.ts";
import { until } from "./wait.ts";

/**
 * Green may have been closed by an earlier run: by a rollback, or because it was blue in a handover that was reverted. Takes
 * our own marks off it.
 */
export async function openGreen(run: Run): Promise<void> {
  const green = await greenGroups(run);
  for (const group of green) {
    const owner = readOwnership(group.ownership);
    if (owner === undefined || owner.role === "green") continue;
    mayAct(run);
    await reopenGroup(run, group);
  }
  for (const node of greenNodes(run)) {
    if (ownershipOf(node) === undefined || ownershipOf(node)?.role === "green") continue;
    mayAct(run);
    await reopenNode(run, node);
  }
}

/** A group whose sizes are not put back yet launches all the same; its tag stays, and goes with green's protection. */
async function reopenGroup(run: Run, group: NodeGroup): Promise<void> {
  try {
    await thaw(run.cloud, group, run);
  } catch (error) {
    if (!(error instanceof Unfinished)) throw error;
    run.log.warning("green", `node group ${group.name} launches again, but ${error.message}`);
  }
}

/**
 * Waits until green is really there: every declared group has the instances it should have, each has joined as a Ready,
 * schedulable node that carries the pinned image (read back through the cloud) and its DaemonSets are Ready on it, and every zone
 * that blue serves is covered.
 * @throws Hold at `green.timeoutSeconds`, naming what is missing. Blue has not been touched by then.
 */
export async function greenReady(run: Run): Promise<void> {
  const { target, config } = run;
  let missing: string[] = [];
  await until(
    {
      clock: run.clock,
      signal: run.signal,
      wakes: run.inventory,
      timeoutSeconds: config.green.timeoutSeconds,
      lookEverySeconds: 2,
      late: () =>
        new Hold(
          `green (generation ${target.generation}) of pool ${target.pool} was not ready within ${config.green.timeoutSeconds} s (rollout.green.timeoutSeconds): ${missing.join("; ")}. ` +
            `Blue is untouched. To go on: check that ${imageText(target.image)} boots and joins (its user data, role and subnets), then run \`pulumi up\` again; or pin another image.`,
        ),
    },
    async () => {
      const now = await missingOfGreen(run);
      if (now.join() !== missing.join() && now.length > 0) {
        run.log.info(
          "green",
          `waiting for green: ${now.slice(0, 3).join("; ")}${now.length > 3 ? ` and ${now.length - 3} more` : ""}`,
        );
      }
      missing = now;
      return missing.length === 0 ? true : undefined;
    },
  );
  const nodes = greenNodes(run);
  run.log.info("green", `green is ready: ${count(nodes.length, "node")} on ${imageText(target.image)}`, {
    nodes: nodes.map(({ metadata }) => metadata.name),
  });
}

async function missingOfGreen(run: Run): Promise<string[]> {
  const { target } = run;
  const nodes = greenNodes(run);
  const byInstance = new Map(nodes.map((node) => [instanceId(node), node]));
  const groups = await greenGroups(run);
  const missing: string[] = [];
  for (const { kind, name } of target.groups) {
    const group = groups.find((it) => it.kind === kind && it.name === name);
    if (group === undefined) missing.push(`node group ${name} does not exist`);
    else missing.push(...missingOfGroup(group, byInstance));
  }
  for (const node of nodes) missing.push(...missingOfNode(run, node));
  if (missing.length > 0) return missing;
  missing.push(...(await wrongImages(run, nodes)));
  missing.push(...(await missingTargets(run)));
  const covered = new Set(nodes.map(zoneOf));
  for (const zone of new Set(blueNodes(run).map(zoneOf))) {
    if (!covered.has(zone))
      missing.push(`zone ${zone} has blue nodes but no green one: pods with volumes there could not follow`);
  }
  return missing;
}

/**
 * Load balancers send traffic to instances through target groups: green must be registered and healthy wherever blue serves, or
 * clients would meet nobody when blue goes.
 */
async function missingTargets(run: Run): Promise<string[]> {
  const { green, blue } = await poolGroups(run);
  const arns = [...new Set(blue.flatMap(({ targetGroupArns }) => targetGroupArns))].toSorted();
  if (arns.length === 0) return [];
  const health = await run.cloud.targetHealth(arns);
  return arns.flatMap((arn) => {
    const serving = green.filter(({ targetGroupArns }) => targetGroupArns.includes(arn));
    if (serving.length === 0)
      return [`target group ${arn} has blue instances, and no green group is attached to it`];
    const ids = serving.flatMap(({ instances }) => instances.map(({ id }) => id));
    return ids.flatMap((id) => {
      const state = health.get(arn)?.get(id);
      return state === "healthy"
        ? []
        : [`instance ${id} is ${state ?? "not registered"} in target group ${arn}`];
    });
  });
}

function missingOfGroup(group: NodeGroup, nodes: Map<string | undefined, Node>): string[] {
  if (group.status === "CREATE_FAILED" || group.status === "DEGRADED") {
    return [
      `node group ${group.name} is ${group.status}${group.issues.length > 0 ? ` (${group.issues.join("; ")})` : ""}`,
    ];
  }
  const joined = group.instances.filter(({ id }) => nodes.has(id)).length;
  if (joined >= group.size.desired && group.size.desired > 0) return [];
  if (group.size.desired === 0 && group.instances.length === 0) return [];
  return [`node group ${group.name} (${group.status}): ${joined} of ${group.size.desired} nodes have joined`];
}

function missingOfNode(run: Run, node: Node): string[] {
  const name = node.metadata.name;
  if (!isReady(node)) return [`node ${name} is not Ready`];
  if (node.spec?.unschedulable) {
    return [
      isCordonedByUs(node) ? `node ${name} is being reopened` : `node ${name} is cordoned by somebody else`,
    ];
  }
  const late = daemonSetsMissing(run, node);
  return late.length > 0 ? [`node ${name} lacks Ready pods of DaemonSet ${late.join(", ")}`] : [];
}

/**
 * DaemonSets whose pod on this node is not Ready, or that run on every blue node and have no pod here yet. (Which nodes a
 * DaemonSet wants is the controller's business; what it does on blue is the best account of what it will do on green.)
 */
function daemonSetsMissing(run: Run, node: Node): string[] {
  const { inventory } = run;
  const blue = blueNodes(run).filter(isReady);
  return inventory.all("DaemonSet").flatMap((set: DaemonSet) => {
    const pods = inventory.podsOf(set.metadata.uid);
    const here = pods.find((pod) => pod.spec?.nodeName === node.metadata.name);
    const everywhere =
      blue.length > 0 && blue.every((it) => pods.some((pod) => pod.spec?.nodeName === it.metadata.name));
    const missing = here ? !isPodReady(here) : everywhere;
    return missing ? [`${set.metadata.namespace ?? ""}/${set.metadata.name}`] : [];
  });
}

/** Nodes that do not run the pinned image. For a release version the group's release is compared instead (verify.ts reads the rest). */
export async function wrongImages(run: Run, nodes: readonly Node[]): Promise<string[]> {
  const { image } = run.target;
  if (!("ami" in image)) return [];
  const ids = nodes.map((node) => [node, instanceId(node)] as const);
  const images = await run.cloud.imagesOf(ids.flatMap(([, id]) => id ?? []));
  return ids.flatMap(([node, id]) => {
    const found = id === undefined ? undefined : images.get(id);
    return found === image.ami
      ? []
      : [`node ${node.metadata.name} runs image ${found ?? "unknown"}, not ${image.ami}`];
  });
}

/** Keeps autoscalers from shrinking green while pods move onto it; undone at the end. */
export async function protectGreen(run: Run): Promise<void> {
  const green = await greenGroups(run);
  for (const group of green) {
    mayAct(run);
    await protect(run.cloud, group, run);
  }
  for (const node of greenNodes(run)) await mark(run, node, "green", ["keep"]);
  run.log.info(
    "protect",
    `green is protected from scale-down: ${count(greenNodes(run).length, "node")}, ${count(green.length, "group")}`,
  );
}
