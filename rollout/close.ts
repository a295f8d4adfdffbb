import { announce } from "./alert.ts";
import type { Cloud, NodeGroup, Waiting } from "./cloud/cloud.ts";
import type { Cluster } from "./cluster/cluster.ts";
import type { Node } from "./cluster/types.ts";
import { messageOf } from "./errors.ts";
import { count } from "./finding.ts";
import { freeze, readOwnership, thaw, Unfinished } from "./freeze.ts";
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
import type { GroupName } from "./run-state.ts";
import { instanceId, isBlue, isGreen } from "./target.ts";

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

/** The groups of the run's pool, green's apart from all others; the groups that it takes over count as blue. */
export async function poolGroups(run: Run): Promise<{ green: NodeGroup[]; blue: NodeGroup[] }> {
  const tagged = await run.cloud.groups(run.target.pool);
  return {
    green: tagged.filter((group) => isDeclared(run, group)),
    blue: [...tagged.filter((group) => !isDeclared(run, group)), ...(await takenOver(run, tagged))],
  };
}

export const greenGroups = async (run: Run): Promise<NodeGroup[]> =>
  (await run.cloud.groups(run.target.pool)).filter((group) => isDeclared(run, group));

const isDeclared = ({ target }: Run, group: NodeGroup): boolean =>
  target.groups.some((declared) => keyOf(declared) === keyOf(group));

const keyOf = ({ kind, name }: GroupName): string => `${kind}/${name}`;

/**
 * Groups that PatchGuard did not create: those of the blue nodes, those that may make such nodes though they have none now, and those
 * that the run state names, whatever has become of their nodes.
 */
async function takenOver(run: Run, tagged: readonly NodeGroup[]): Promise<NodeGroup[]> {
  const { cloud, target, state } = run;
  const known = new Set(tagged.flatMap(({ instances }) => instances.map(({ id }) => id)));
  const strays = blueNodes(run)
    .map(instanceId)
    .filter((id) => id !== undefined && !known.has(id)) as string[];
  const found = new Map<string, NodeGroup>();
  const add = (groups: readonly NodeGroup[]): void => {
    for (const group of groups) found.set(keyOf(group), group);
  };
  if (strays.length > 0) add(await cloud.groupsOf(strays));
  if (target.adopt !== undefined) add(await cloud.groupsWithLabels(target.adopt));
  for (const { kind, name } of state.record.groups ?? []) {
    if (found.has(keyOf({ kind, name }))) continue;
    const group = await cloud.group(kind, name);
    // no longer adopted, and not closed: none of ours
    if (group !== undefined && (target.adopt !== undefined || group.ownership !== undefined)) add([group]);
  }
  return [...found.values()];
}

const claimOf = (run: Run, role: Role): { pool: string; role: Role; generation: string } => ({
  pool: run.target.pool,
  role,
  generation: run.target.generation,
});

/**
 * Design section 4, step 5: blue launches nothing any more and takes no new pods.
 * @returns UIDs of the nodes that were there; see closeLate for those that were still booting.
 */
export async function closeBlue(run: Run): Promise<Set<string>> {
  const groups = (await poolGroups(run)).blue;
  await recordGroups(run, groups);
  for (const group of groups) {
    mayAct(run);
    await freeze(run.cloud, group, "blue", run);
  }
  // listed when nothing is launched any more: freezing takes minutes, and what joined meanwhile the watch may not show yet
  const blue = (await run.cluster.list("Node"))
    .filter((node) => isBlue(run.target, node))
    .toSorted(byNodeName);
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
  return new Set(blue.map(({ metadata }) => metadata.uid));
}

/**
 * Nodes whose instance was launched before the freeze and that joined after it: they are open, and pods on the move would go there.
 * Closes them like the others.
 * @param closed UIDs of the nodes that are closed; grows.
 */
export async function closeLate(run: Run, closed: Set<string>): Promise<void> {
  for (const node of blueNodes(run).filter(({ metadata }) => !closed.has(metadata.uid))) {
    await mark(run, node, "blue", ["taint", "keep"], "NoSchedule");
    closed.add(node.metadata.uid);
    await announce(run, {
      event: "close",
      reason: EVENT.draining,
      object: { kind: "Node", name: node.metadata.name, uid: node.metadata.uid },
      message: `Node ${node.metadata.name} of pool ${run.target.pool} joined after blue was closed: it takes no new pods, and is drained like the others.`,
    });
  }
}

/** Written before the first of them is touched: see RunRecord.groups. */
async function recordGroups({ state }: Run, groups: readonly NodeGroup[]): Promise<void> {
  const recorded = state.record.groups ?? [];
  const known = new Set(recorded.map(keyOf));
  const others = groups.filter((group) => group.pool === undefined && !known.has(keyOf(group)));
  if (others.length === 0) return;
  await state.save({ groups: [...recorded, ...others.map(({ kind, name }) => ({ kind, name }))] });
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
  /** How long the cloud is waited for. */
  waiting?: Waiting;
}

/** Takes our marks off a node. @returns whether there were any. */
export async function reopenNode(to: Reopener, node: Node, only?: Mark[]): Promise<boolean> {
  return (await changeNode(to.cluster, node, (current) => patchToUnmark(current, only))) !== undefined;
}

/** Something is still closed, or not as it was. Its marks and tags say so, for the next `up` or `npm run restore`. */
export class NotReopened extends AggregateError {
  override readonly name = "NotReopened";
  /** Is a node among it? (Groups only keep the cloud from launching; pods have their nodes back.) */
  readonly nodes: boolean;
  /** Is anything still closed, or are there only sizes that the cloud does not put back now? */
  readonly closed: boolean;
  constructor(nodes: readonly Error[], groups: readonly Error[]) {
    const all = [...nodes, ...groups];
    super(all, `${all.map(({ message }) => message).join("; ")}. Run \`npm run restore\` to try again.`);
    this.nodes = nodes.length > 0;
    this.closed = all.some(({ cause }) => !(cause instanceof Unfinished));
  }
}

/** Nodes that are reopened side by side: after a second Ctrl-C there are five seconds for all of them. */
const NODES_AT_ONCE = 10;

/**
 * Puts back all that this pool's handover closed, in whatever role: nodes first (serving comes first, and the cloud may be out of
 * reach), those that are cordoned before the others, then groups, all side by side (EKS takes minutes for one).
 * Works on, past a node or group that fails, and reports all failures together.
 * @param finders of groups, asked only when the nodes are open again; one that fails does not stop the others
 * @throws NotReopened naming what is still closed; whatever `mayWrite` throws.
 */
export async function reopenPool(
  to: Reopener,
  nodes: readonly Node[],
  ...finders: (() => Promise<readonly NodeGroup[]>)[]
): Promise<{ nodes: string[]; groups: string[] }> {
  const done = { nodes: [] as string[], groups: [] as string[] };
  const stuckNodes: Error[] = [];
  const stuckGroups: Error[] = [];
  const attempt = async (failures: Error[], what: string, act: () => Promise<unknown>): Promise<void> => {
    to.mayWrite?.();
    try {
      await act();
    } catch (error) {
      const how = error instanceof Unfinished ? "not as it was" : "still closed";
      failures.push(new Error(`${what} ${how}: ${messageOf(error)}`, { cause: error }));
    }
  };
  const cordonedFirst = nodes.toSorted((a, b) => Number(isCordonedByUs(b)) - Number(isCordonedByUs(a)));
  for (let at = 0; at < cordonedFirst.length; at += NODES_AT_ONCE) {
    await allOf(
      cordonedFirst.slice(at, at + NODES_AT_ONCE).map((node) => {
        const { name } = node.metadata;
        return attempt(stuckNodes, `Node ${name} is`, async () => {
          if (await reopenNode(to, node)) done.nodes.push(name);
        });
      }),
    );
  }
  const found = new Map<string, NodeGroup>();
  for (const find of finders) {
    await attempt(stuckGroups, "the pool's node groups are perhaps", async () => {
      for (const group of await find()) found.set(keyOf(group), group);
    });
  }
  await allOf(
    [...found.values()].map((group) =>
      attempt(stuckGroups, `node group ${group.name} is`, async () => {
        if (await thaw(to.cloud, group, to.waiting)) done.groups.push(group.name);
      }),
    ),
  );
  if (stuckNodes.length + stuckGroups.length > 0) {
    to.mayWrite?.(); // when the Lease is lost, that is what has to be said
    throw new NotReopened(stuckNodes, stuckGroups);
  }
  return done;
}

/** Waits for the end of all, also where one fails. @throws what the first that failed has thrown. */
async function allOf(acts: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(acts);
  await Promise.all(acts);
}

/**
 * Everything of the pool, and of the pools marked for later, that carries our marks. The nodes are listed afresh: the watch may not
 * show our last write yet. Also after the operator's stop, but never without the Lease.
 */
export async function reopenAll(
  run: Run,
  roles: Role[] = ["blue", "green", "rolled-back", "later"],
  waiting: Waiting = run,
): Promise<void> {
  mayPutBack(run);
  const nodes = (await allNodes(run)).filter((node) => {
    const owner = ownershipOf(node);
    return owner !== undefined && roles.includes(owner.role) && ours(run, owner.pool);
  });
  const groupsOfRoles = async (): Promise<NodeGroup[]> => {
    const { green, blue } = await poolGroups(run);
    return [...blue, ...green].filter((group) =>
      roles.includes(readOwnership(group.ownership)?.role ?? "blue"),
    );
  };
  const { cluster, cloud } = run;
  const mayWrite = (): void => mayPutBack(run);
  const done = await reopenPool({ cluster, cloud, mayWrite, waiting }, nodes, groupsOfRoles);
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

/** Listed afresh; where that fails those that the watches know, each read afresh where it can be. */
async function allNodes({ cluster, inventory, log }: Run): Promise<readonly Node[]> {
  try {
    return await cluster.list("Node");
  } catch (error) {
    const known = inventory.all("Node");
    log.warning(
      "reopen",
      `the nodes could not be listed (${messageOf(error)}): the ${known.length} that the watch knows are opened. \`npm run restore\` looks for others`,
    );
    const nodes: Node[] = [];
    for (let at = 0; at < known.length; at += NODES_AT_ONCE) {
      const some = known.slice(at, at + NODES_AT_ONCE);
      nodes.push(
        ...(await Promise.all(
          some.map(async (node) => {
            const { name } = node.metadata;
            return (await cluster.get("Node", name).catch(() => undefined)) ?? node;
          }),
        )),
      );
    }
    return nodes;
  }
}

/** Reopens, and returns what could not be: it is told together with the end that asked for it. @throws Abandoned */
export async function reopen(run: Run, roles?: Role[], waiting?: Waiting): Promise<NotReopened | undefined> {
  try {
    await reopenAll(run, roles, waiting);
    return undefined;
  } catch (error) {
    if (error instanceof NotReopened) return error;
    throw error;
  }
}

/** Did our marks keep pods away? (Green's only keep the autoscaler away.) */
const isClosed = (node: Node): boolean =>
  (ownershipOf(node)?.marks ?? []).some((mark) => mark === "taint" || mark === "cordon");

const ours = (run: Run, pool: string): boolean =>
  pool === run.target.pool || run.later.some((target) => target.pool === pool);
