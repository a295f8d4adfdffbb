/**
 * The shortest time that a drain can take, whoever does it: every act costs nothing, only pods take their time to start and to stop, and
 * volumes to change hands. What a real run takes beyond is the price of the tool, the scheduler, the controllers and the machine.
 */

/** What pods and volumes take in the sandbox. Seconds. */
export interface Times {
  start: number;
  stop: number;
  detach: number;
  attach: number;
  /** A node counts as drained when nothing was bound to it for so long since its cordon: a rule of ours. */
  quiet: number;
}

/** A pod that has to move. */
export interface BoundPod {
  node: string;
  workload: string;
}

export interface BoundWorkload {
  name: string;
  /** StatefulSet: one pod at a time, and a name must be free before its successor comes. */
  ordered: boolean;
  volumes: boolean;
  /** Of its budget. */
  maxUnavailable: number;
}

/** From an eviction to "the next pod of this workload may go", and to "the old pod is gone". Seconds. */
function cycleOf({ ordered, volumes }: BoundWorkload, times: Times): number {
  if (!ordered) return times.start;
  return times.stop + (volumes ? times.detach + times.attach : 0) + times.start;
}

interface Span {
  /** Until all replacements are Ready. */
  replaced: number;
  /** Until the old pods are gone, too, and the node was quiet. */
  drained: number;
}

/** How long these pods take when they are all asked for as early as their budgets allow. */
function spanOf(
  pods: readonly BoundPod[],
  workloads: ReadonlyMap<string, BoundWorkload>,
  times: Times,
): Span {
  let replaced = 0;
  let drained = times.quiet;
  for (const [name, own] of Map.groupBy(pods, ({ workload }) => workload)) {
    const workload = workloads.get(name);
    if (workload === undefined) throw new Error(`there is no workload ${name}`);
    const cycle = cycleOf(workload, times);
    const rounds = Math.ceil(own.length / (workload.ordered ? 1 : workload.maxUnavailable));
    replaced = Math.max(replaced, rounds * cycle);
    drained = Math.max(drained, rounds * cycle, (rounds - 1) * cycle + times.stop);
  }
  return { replaced, drained };
}

const byName = (workloads: readonly BoundWorkload[]): Map<string, BoundWorkload> =>
  new Map(workloads.map((workload) => [workload.name, workload]));

/**
 * Node by node: the next one's turn comes when the pods of the one before are replaced, and the end is when the last is drained. In
 * whatever order: the node with the shortest tail is taken for the last.
 */
export function serialBound(
  pods: readonly BoundPod[],
  workloads: readonly BoundWorkload[],
  times: Times,
): number {
  const known = byName(workloads);
  const spans = [...Map.groupBy(pods, ({ node }) => node).values()].map((own) => spanOf(own, known, times));
  if (spans.length === 0) return 0;
  const sum = spans.reduce((total, { replaced }) => total + replaced, 0);
  return sum + Math.min(...spans.map(({ replaced, drained }) => drained - replaced));
}

/** All nodes at once: nothing but the budgets, and the rule of one pod of a StatefulSet at a time, holds anybody up. */
export const parallelBound = (
  pods: readonly BoundPod[],
  workloads: readonly BoundWorkload[],
  times: Times,
): number => (pods.length === 0 ? 0 : spanOf(pods, byName(workloads), times).drained);
