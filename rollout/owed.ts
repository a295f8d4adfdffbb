import type { Node } from "./cluster/types.ts";
import { nodeOrder, type OrderBy, type Place } from "./order.ts";
import { isPodReady, podName, workloadPodsOn } from "./pods.ts";
import { wavesOf } from "./waves.ts";
import { isWhole, type Seen, workloadOf, workloadsOf } from "./whole.ts";

/** The number of replicas, by controller UID, that a workload lacks by its own doing (run-state.ts: `owed`). */
export type Lacked = Record<string, number>;

/**
 * What an earlier handover has taken away and is not back yet. An operator that runs fewer pods than then is owed no more than it has:
 * nobody would ever make the others.
 * @param now what time the API server has
 */
export function stillOwed(inventory: Seen, owed: Lacked, now: number): Lacked {
  const short = workloadsOf(inventory, new Set(Object.keys(owed))).flatMap((workload) => {
    const { uid } = workload;
    const lacked = Math.max(owed[uid] ?? 0, -inventory.podsOf(uid).length);
    const whole = isWhole(inventory, workload, { [uid]: lacked }, new Set(), now);
    return whole ? [] : [[uid, lacked] as const];
  });
  return Object.fromEntries(short);
}

/** The waves of a drain, as they would be from now on: what is owed goes first, the others in their order. */
export function wavesFrom(by: OrderBy, owed: Lacked, nodes: readonly Node[]): Place[][] {
  const [first, rest] = owedFirst(by, owed, nodeOrder(by, nodes));
  return [...first.map((place) => [place]), ...wavesOf(rest, by.config.drain.maxParallel)];
}

/**
 * The nodes with the pods that an earlier handover has left not Ready, each for itself, before the others: what waits for them would wait
 * for ever. Not those that hold an operator-run primary or what watches all others: these go last whatever else they hold.
 */
function owedFirst(
  { inventory }: Pick<OrderBy, "inventory">,
  owed: Lacked,
  order: readonly Place[],
): [first: Place[], rest: Place[]] {
  const first: Place[] = [];
  const rest: Place[] = [];
  for (const place of order) {
    const pod = workloadPodsOn(inventory, place.node.metadata.name).find(
      (it) => !isPodReady(it) && owed[workloadOf(it)?.uid ?? ""] !== undefined,
    );
    if (pod === undefined || place.tier > 1) rest.push(place);
    else first.push({ ...place, why: `holds ${podName(pod)}, which an earlier handover has left not Ready` });
  }
  return [first, rest];
}
