import { announce } from "./alert.ts";
import type { Cloud, NodeGroup } from "./cloud/cloud.ts";
import type { Cluster } from "./cluster/cluster.ts";
import type { Node } from "./cluster/types.ts";
import { messageOf } from "./errors.ts";
import { count } from "./finding.ts";
import { freeze, readOwnership, thaw } from "./freeze.ts";
import { EVENT } from "./names.ts";
import {
  changeNode,
  handoverTaint,
  isCordonedByUs,
  type Mark,
  ownershipOf,
  patchToMark,
  patchToUnmark,
  type Role,
  type TaintEffect,
} from "./ownership.ts";
import { mayAct, mayPutBack, type Run } from "./run.ts";
import { instanceId, isBlue, isGreen, type Target } from "./target.ts";

/** The nodes of the pool that are to be emptied, as the inventory has them, in a stable order. */
export const blueNodes = (run: Run): Node[] =>
  run.inventory
    .all("Node")
    .filter((node) => isBlue(run.target, node))
    .toSorted(byNodeName);

export const greenNodes = (run: Run): Node[] =>
  run.inventory
    .all("Node")
    .filter((node) => isGreen(run.target, node))
    .toSorted(byNodeName);

const byNodeName = (a: Node, b: Node): number => a.metadata.name.localeCompare(b.metadata.name);

/** The groups of the pool, green's apart from all others; adopted nodes' groups count as blue. */
export async function poolGroups(
  cloud: Cloud,
  target: Target,
  blue: readonly Node[],
): Promise<{ green: NodeGroup[]; blue: NodeGroup[] }> {
  const tagged = await cloud.groups(target.pool);
  const declared = new Set(target.groups.map(({ kind, name }) => `${kind}/${name}`));
  const isDeclared = (group: NodeGroup): boolean => declared.has(`${group.kind}/${group.name}`);
  const known = new Set(tagged.flatMap(({ instances }) => instances.map(({ id }) => id)));
  const strays = blue.map(instanceId).filter((id) => id !== undefined && !known.has(id)) as string[];
  const adopted = strays.length > 0 ? await cloud.groupsOf(strays) : [];
  return {
    green: tagged.filter(isDeclared),
    blue: [...tagged.filter((group) => !isDeclared(group)), ...adopted],
  };
}

const claimOf = (run: Run, role: Role): { pool: string; role: Role; generation: string } => ({
  pool: run.target.pool,
  role,
  generation: run.target.generation,
});

/** Design section 4, step 5: blue launches nothing any more and takes no new pods. */
export async function closeBlue(run: Run): Promise<void> {
  const blue = blueNodes(run);
  const groups = (await poolGroups(run.cloud, run.target, blue)).blue;
  for (const group of groups) {
    mayAct(run);
    await freeze(run.cloud, group, "blue");
  }
  for (const node of blue) await mark(run, node, "blue", ["taint", "keep"], "NoSchedule");
  await markLater(run);
  run.log.info(
    "close",
    `blue is closed: ${count(blue.length, "node")} take no new pods, ${count(groups.length, "group")} launch nothing`,
    {
      nodes: blue.map(({ metadata }) => metadata.name),
      groups: groups.map(({ name }) => name),
    },
  );
}

/** Blues of pools still to come: free pods should not go where they will have to leave again. */
async function markLater(run: Run): Promise<void> {
  for (const target of run.later) {
    for (const node of run.inventory.all("Node").filter((node) => isBlue(target, node))) {
      if (ownershipOf(node)?.role === "blue") continue;
      await mark({ ...run, target }, node, "later", ["taint"], "PreferNoSchedule");
    }
  }
}

/** While green has no room: let pending replacements go to blue nodes whose turn has not come. */
export async function setBlueTaint(run: Run, effect: TaintEffect): Promise<number> {
  const nodes = blueNodes(run).filter(
    (node) => !isCordonedByUs(node) && handoverTaint(node)?.effect !== effect,
  );
  for (const node of nodes) await mark(run, node, "blue", ["taint"], effect);
  return nodes.length;
}

export async function cordon(run: Run, node: Node): Promise<void> {
  await mark(run, node, "blue", ["cordon", "exclude-lb"]);
}

export async function mark(
  run: Run,
  node: Node,
  role: Role,
  marks: Mark[],
  effect?: TaintEffect,
): Promise<void> {
  mayAct(run);
  await changeNode(run.cluster, node, (current) =>
    patchToMark(current, claimOf(run, role), { marks, ...(effect && { effect }) }),
  );
}

/** What a reopening needs: `npm run restore` has no run. */
export interface Reopener {
  cluster: Cluster;
  cloud: Cloud;
  /** Asked before each write; what it throws ends the reopening. `npm run restore` holds no Lease and has none. */
  mayWrite?: () => void;
}

/** Takes our marks off a node. @returns whether there were any. */
export async function reopenNode(to: Reopener, node: Node, only?: Mark[]): Promise<boolean> {
  return (await changeNode(to.cluster, node, (current) => patchToUnmark(current, only))) !== undefined;
}

/**
 * Puts back all that this pool's handover closed, in whatever role: nodes first (serving comes first, and the cloud may be out of
 * reach), those that are cordoned before the others, then groups, side by side (EKS takes minutes for one).
 * Works on, past a node or group that fails, and reports all failures together.
 * @param groups asked for only when the nodes are open again
 * @throws AggregateError naming what is still closed; whatever `mayWrite` throws.
 */
export async function reopenPool(
  to: Reopener,
  nodes: readonly Node[],
  groups: () => Promise<readonly NodeGroup[]>,
): Promise<{ nodes: string[]; groups: string[] }> {
  const done = { nodes: [] as string[], groups: [] as string[] };
  const failures: Error[] = [];
  const attempt = async (what: string, act: () => Promise<unknown>): Promise<void> => {
    to.mayWrite?.();
    try {
      await act();
    } catch (error) {
      failures.push(new Error(`${what} still closed: ${messageOf(error)}`));
    }
  };
  const cordonedFirst = nodes.toSorted((a, b) => Number(isCordonedByUs(b)) - Number(isCordonedByUs(a)));
  for (const node of cordonedFirst) {
    const { name } = node.metadata;
    await attempt(`Node ${name} is`, async () => {
      if (await reopenNode(to, node)) done.nodes.push(name);
    });
  }
  let found: readonly NodeGroup[] = [];
  await attempt("the pool's node groups are perhaps", async () => {
    found = await groups();
  });
  const thawed = found.map((group) =>
    attempt(`node group ${group.name} is`, async () => {
      if (await thaw(to.cloud, group)) done.groups.push(group.name);
    }),
  );
  await Promise.allSettled(thawed); // to the end of all of them, also where one may not write any more
  await Promise.all(thawed);
  if (failures.length > 0) {
    throw new AggregateError(
      failures,
      `${failures.map(({ message }) => message).join("; ")}. Run \`npm run restore\` to try again.`,
    );
  }
  return done;
}

/**
 * Everything of the pool, and of the pools marked for later, that carries our marks. The nodes are listed afresh: the watch may not
 * show our last write yet. Also after the operator's stop, but never without the Lease.
 */
export async function reopenAll(
  run: Run,
  roles: Role[] = ["blue", "green", "rolled-back", "later"],
): Promise<void> {
  mayPutBack(run);
  const nodes = (await run.cluster.list("Node")).filter((node) => {
    const owner = ownershipOf(node);
    return owner !== undefined && roles.includes(owner.role) && ours(run, owner.pool);
  });
  const groupsOfRoles = async (): Promise<NodeGroup[]> => {
    const { green, blue } = await poolGroups(run.cloud, run.target, blueNodes(run));
    return [...blue, ...green].filter((group) =>
      roles.includes(readOwnership(group.ownership)?.role ?? "blue"),
    );
  };
  const { cluster, cloud } = run;
  const done = await reopenPool({ cluster, cloud, mayWrite: () => mayPutBack(run) }, nodes, groupsOfRoles);
  if (done.nodes.length + done.groups.length === 0) return;
  const closed = new Set(nodes.filter(isClosed).map(({ metadata }) => metadata.name));
  const what = closed.size > 0 ? "reopened" : "no longer protected from scale-down:";
  run.log.info(
    "reopen",
    `${what} ${count(done.nodes.length, "node")} and ${count(done.groups.length, "group")}`,
    done,
  );
  for (const name of done.nodes.filter((name) => closed.has(name))) {
    await announce(run, {
      event: "reopen",
      reason: EVENT.reopened,
      object: { kind: "Node", name },
      message: `Node ${name} takes new pods again: PatchGuard took off its own marks and left those of others.`,
    });
  }
}

/** Did our marks keep pods away? (Green's only keep the autoscaler away.) */
const isClosed = (node: Node): boolean =>
  (ownershipOf(node)?.marks ?? []).some((mark) => mark === "taint" || mark === "cordon");

const ours = (run: Run, pool: string): boolean =>
  pool === run.target.pool || run.later.some((target) => target.pool === pool);
