import type { Place } from "./order.ts";
import { isPodReady, podName, workloadPodsOn } from "./pods.ts";
import type { Run } from "./run.ts";
import { isWhole, workloadOf, workloadsOf } from "./whole.ts";

/** The number of replicas, by controller UID, that a workload lacks by its own doing (run-state.ts: `owed`). */
type Lacked = Record<string, number>;

/**
 * What an earlier handover has taken away and is not back yet. An operator that runs fewer pods than then is owed no more than it has:
 * nobody would ever make the others.
 */
export function stillOwed({ inventory, cluster }: Run, owed: Lacked): Lacked {
  const short = workloadsOf(inventory, new Set(Object.keys(owed))).flatMap((workload) => {
    const { uid } = workload;
    const lacked = Math.max(owed[uid] ?? 0, -inventory.podsOf(uid).length);
    const whole = isWhole(inventory, workload, { [uid]: lacked }, new Set(), cluster.serverTime());
    return whole ? [] : [[uid, lacked] as const];
  });
  return Object.fromEntries(short);
}

/**
 * The nodes with the pods that an earlier handover has left not Ready, each for itself, before the others: what waits for them would wait
 * for ever. Not those that hold an operator-run primary or what watches all others: these go last whatever else they hold.
 */
export function owedFirst(
  { inventory, state }: Run,
  order: readonly Place[],
): [first: Place[], rest: Place[]] {
  const { owed = {} } = state.record;
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
