import type { Pod, PodDisruptionBudget } from "./cluster/types.ts";
import { Hold } from "./errors.ts";
import { type Mover, placeOf } from "./mover.ts";
import { topOf } from "./health/scope.ts";
import { isPodReady, isTerminating } from "./pods.ts";
import { zeroByDesign } from "./preflight/budget-state.ts";
import type { Run } from "./run.ts";
import type { Workload } from "./whole.ts";

/** An eviction that a spent budget refused is asked again this soon when the watch says that the budget has room. */
const RETRY_ROOM_SECONDS = 1;

/** The disruption controller gives up on a pod that it was told is going, and is not, after this long: it then stands for nothing. */
const DISRUPTED_SECONDS = 120;

/** The scheduler's words for "green has no room" (k8s.io/kubernetes pkg/scheduler/framework/plugins). A volume in use is another matter. */
const NO_ROOM =
  /Insufficient |Too many pods|didn't have free ports|max volume count|topology spread constraints|anti-affinity/;

/** What is asked about a workload before one of its pods may go. */
interface Questions {
  /** Is it back at its target, or as near to it as it can come while this pod stays? */
  whole(workload: Workload, pod: Pod): boolean;
  /** Does it serve nobody, so that nothing is lost with it? Asked where no budget says how many. */
  sick(mover: Mover): boolean;
  /** Has it got back what an earlier handover took away? */
  paid(workload: Workload): boolean;
}

/**
 * Whose turn it is, in one pass over all nodes in hand: which evictions may be asked for side by side. Budgets, the rule of one pod of
 * a StatefulSet at a time, and green's room decide, wherever the pods are; the Eviction API is the judge in the end.
 */
export class Turns {
  private readonly run: Run;
  private readonly is: Questions;
  /** UIDs of workloads with a pod that was evicted and has no successor yet; the Deployment's, for all of its ReplicaSets. */
  private readonly inFlight = new Set<string>();
  /** By the same: UID of a pod of which nobody knows whether it was evicted. */
  private readonly doubtful = new Map<string, string>();
  private readonly askedOfWorkload = new Set<string>();
  private readonly askedOfBudget = new Map<string, number>();
  private readonly noRoom: boolean;

  constructor(run: Run, movers: Iterable<Mover>, is: Questions) {
    this.run = run;
    this.is = is;
    const controllers = new Set<string>();
    for (const { workload, evictedAt, arrived, byUs, pod } of movers) {
      if (workload === undefined || arrived) continue;
      if (evictedAt !== undefined) {
        this.inFlight.add(this.keyOf(workload));
        controllers.add(workload.uid);
      } else if (byUs) this.doubtful.set(this.keyOf(workload), pod.metadata.uid); // the answer was lost
    }
    this.noRoom = [...controllers].some((uid) => run.inventory.podsOf(uid).some(hasNoRoom));
  }

  /** Whose pods take turns: a Deployment in the middle of a roll-out has two ReplicaSets, and is one workload. */
  private keyOf(workload: Workload): string {
    return topOf(this.run, workload).uid;
  }

  /** May its eviction be asked for now? Counts it as asked when so. @throws Hold for a Job that was not done in time */
  take(mover: Mover): boolean {
    if (!this.mayAsk(mover)) return false;
    if (mover.workload !== undefined) this.askedOfWorkload.add(this.keyOf(mover.workload));
    for (const budget of this.run.inventory.budgetsOf(mover.pod)) {
      const key = keyOf(budget);
      this.askedOfBudget.set(key, (this.askedOfBudget.get(key) ?? 0) + 1);
    }
    return true;
  }

  private mayAsk(mover: Mover): boolean {
    const { run } = this;
    if (mover.evictedAt !== undefined || mover.goneAt !== undefined) return false;
    const now = run.clock.now();
    // a replacement that waits for room has a deadline of its own; whoever waits for it does not
    if (this.noRoom || mayFinish(run, mover, now)) {
      mover.waitingSince = now;
      return false;
    }
    const budgets = run.inventory.budgetsOf(mover.pod);
    // a budget that has just let a pod go moves on, whose pod that ever was: the disruption controller has not counted it yet
    if (budgets.some((budget) => isCounting(budget, run.cluster.serverTime()))) mover.waitingSince = now;
    const { workload } = mover;
    // an operator moves its primary when the replicas are whole again: they have deadlines of their own, it does not wait yet
    const byDesign = budgets.some((it) => zeroByDesign(it, run.config.preflight.byDesign) !== undefined);
    if (byDesign && workload !== undefined && this.inFlight.has(this.keyOf(workload)))
      mover.waitingSince = now;
    const room = Math.min(...budgets.map(({ status }) => status?.disruptionsAllowed ?? 0)); // Infinity without a budget
    const soon = mover.refusedByBudget && room > 0 && now >= mover.askedAt + RETRY_ROOM_SECONDS * 1000;
    if (now < mover.nextAt && !soon) return false;
    const oneByOne = workload?.kind === "StatefulSet" || (budgets.length === 0 && !this.is.sick(mover));
    if (workload !== undefined && oneByOne) {
      // one at a time: for StatefulSets always (promise 6), for others where no budget says how many
      const { uid } = mover.pod.metadata;
      const key = this.keyOf(workload);
      const inDoubt = (this.doubtful.get(key) ?? uid) !== uid; // it is asked for again, the others wait
      if (inDoubt || this.askedOfWorkload.has(key) || this.inFlight.has(key)) {
        mover.waitingSince = now; // its turn has not come: the one before it has its own deadline
        return false;
      }
      if (!this.is.whole(workload, mover.pod)) return false;
      // one that is not Ready may be the very one that it lacks
      if (isPodReady(mover.pod) && !this.is.paid(workload)) return false;
    }
    // ask no more pods of one budget at once than it says it has room for; at zero, ask one: the API is the judge
    const asked = Math.max(0, ...budgets.map((budget) => this.askedOfBudget.get(keyOf(budget)) ?? 0));
    return budgets.length === 0 || asked < Math.max(room, 1);
  }
}

/** A running Job's pod that is given time to finish (rollout.drain.jobs). @throws Hold when that is over, where the config says so */
function mayFinish({ config }: Run, { pod, workload, noticedAt }: Mover, now: number): boolean {
  const { waitSeconds, afterwards } = config.drain.jobs;
  if (workload?.kind !== "Job" || isTerminating(pod)) return false;
  if (now - noticedAt < waitSeconds * 1000) return true;
  if (waitSeconds === 0 || afterwards === "evict") return false;
  throw new Hold(
    `${placeOf(pod)} of Job ${workload.namespace}/${workload.name} was still running after ${waitSeconds} s (rollout.drain.jobs.waitSeconds). ` +
      `To go on: let it finish, or set rollout.drain.jobs.afterwards: evict, then run \`pulumi up\` again.`,
  );
}

function hasNoRoom(pod: Pod): boolean {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
  return scheduled?.status === "False" && !isTerminating(pod) && NO_ROOM.test(scheduled.message ?? "");
}

/** It has let a pod go that it does not yet count as gone. */
const isCounting = ({ status }: PodDisruptionBudget, now: number): boolean =>
  Object.values(status?.disruptedPods ?? {}).some((at) => now - Date.parse(at) < DISRUPTED_SECONDS * 1000);

const keyOf = ({ metadata }: PodDisruptionBudget): string => `${metadata.namespace}/${metadata.name}`;
