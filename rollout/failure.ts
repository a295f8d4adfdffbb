import { announce } from "./alert.ts";
import { greenGroups, greenNodes, mark, reopen } from "./close.ts";
import {
  Blocked,
  type Breach,
  Hold,
  type Interrupted,
  type InTheWay,
  messageOf,
  type Paused,
} from "./errors.ts";
import { freeze } from "./freeze.ts";
import type { EventReason } from "./names.ts";
import { EVENT, runStateName, STATE_NAMESPACE } from "./names.ts";
import type { LogEvent } from "./log.ts";
import { count } from "./finding.ts";
import { type NoWayBack, noWayBack } from "./fit/back.ts";
import { isFinished, isTerminating, podName } from "./pods.ts";
import { mayAct, mayPutBack, type Run } from "./run.ts";
import type { RunRecord } from "./run-state.ts";
import { readContext, withContext } from "./snapshot.ts";
import { until } from "./wait.ts";
import { sendBack, wayBackText } from "./way-back.ts";
import { isWhole, replicas, whyNotWhole, type Workload, workloadsOf } from "./whole.ts";

async function tell(
  run: Run,
  event: LogEvent,
  reason: EventReason,
  message: string,
  about?: InTheWay,
): Promise<void> {
  const { pool } = run.target;
  const object = { kind: "ConfigMap", namespace: STATE_NAMESPACE, name: runStateName(pool) };
  const fields = { pool, ...(about && { about }) };
  await announce(run, { event, reason, object, message, warning: true, fields });
}

/** Nothing begun, nothing to record: a hold before the first act leaves no trace. */
async function record(run: Run, phase: RunRecord["phase"], why: string): Promise<void> {
  if (Object.keys(run.state.record.nodes).length === 0) return;
  await run.state.save({ phase, why });
}

/** Could not move on: everything closed is reopened, green stays, the next `up` resumes. */
export async function hold(run: Run, error: Error): Promise<Error> {
  await landed(run, run.config.drain.terminationSlackSeconds, WATCH_LAG_MS);
  const left = await reopen(run);
  if (left !== undefined) error.message += ` — ${left.message}`;
  await record(run, "held", error.message);
  if (error instanceof Blocked && left === undefined) return error; // nothing was touched, and the pause was told
  const about = error instanceof Hold ? error.about : undefined;
  await tell(run, "hold", EVENT.held, `handover of pool ${run.target.pool} holds: ${error.message}`, about);
  if (left?.nodes) throw left;
  return error instanceof Hold ? error : new Hold(error.message, { cause: error });
}

/** How long the watch may take to show our own last evictions: until then pods that have just been asked to leave seem to stay. */
const WATCH_LAG_MS = 1000;
const WATCH_LAG_WHEN_INTERRUPTED_MS = 250;

/** Replicas of a workload that are not bound to a node yet, beyond those that it lacked before. */
function placesOf({ inventory, state, cluster }: Run, workload: Workload): number {
  const { wanted = 0 } = replicas(inventory, workload, new Set(), cluster.serverTime());
  const bound = inventory
    .podsOf(workload.uid)
    .filter((pod) => pod.spec?.nodeName && !isFinished(pod) && !isTerminating(pod));
  return wanted - Math.max(0, state.record.missingBefore[workload.uid] ?? 0) - bound.length;
}

/**
 * Pods that were evicted and are on their way are let land on green first: a blue that is open again would take them back, and the
 * next run would move them a second time. Waits so long at most; what is stuck longer is why we hold.
 */
async function landed(
  run: Run,
  timeoutSeconds: number,
  watchLagMilliseconds: number,
  signal = run.signal,
): Promise<void> {
  const { inventory, state } = run;
  const inHand = Object.values(state.record.nodes).filter(({ phase }) => phase === "in-hand");
  if (inHand.length === 0) return;
  const evicted = new Set(inHand.flatMap(({ moved }) => moved));
  const inFlight = workloadsOf(inventory, new Set(inHand.flatMap(({ owners }) => owners)));
  const onTheirWay = (): boolean => {
    const leaving = inventory.all("Pod").some((pod) => evicted.has(pod.metadata.uid) && isTerminating(pod));
    return leaving || inFlight.some((workload) => placesOf(run, workload) > 0);
  };
  await run.clock.sleep(watchLagMilliseconds);
  if (!onTheirWay()) return;
  const late = (): Error => new Hold(`evicted pods were still on their way after ${timeoutSeconds} s`);
  try {
    await until({ clock: run.clock, signal, wakes: inventory, timeoutSeconds, late }, () =>
      onTheirWay() ? undefined : true,
    );
  } catch (error) {
    run.log.warning("hold", `reopening all the same: ${messageOf(error)}`);
  }
}

/** Pulumi's engine leaves 5 s after the second Ctrl-C: what is on its way may take a little of that, the rest is for reopening. */
const LANDING_WHEN_INTERRUPTED_SECONDS = 1.5;

/** What the cloud may take of the five seconds from the interrupt on: enough to be asked, too little for the end of an EKS update. */
const CLOUD_WHEN_INTERRUPTED_SECONDS = 3.5;

/**
 * The operator's stop: reopen, end. Nodes come first, since there is little time; then the groups' sizes, as far as the cloud accepts
 * them at once, and only then their processes. What is left keeps its ownership tag, and is told.
 */
export async function interrupt(run: Run, error: Interrupted): Promise<Error> {
  const late = new AbortController();
  const over = new AbortController();
  void run.clock.sleep(CLOUD_WHEN_INTERRUPTED_SECONDS * 1000, over.signal).then(() => {
    late.abort(new Error("another change of it was still at work when the time of an interrupt was over"));
  });
  try {
    const unaborted = new AbortController().signal; // the run's own has fired
    await landed(run, LANDING_WHEN_INTERRUPTED_SECONDS, WATCH_LAG_WHEN_INTERRUPTED_MS, unaborted);
    const left = await reopen(run, undefined, { signal: late.signal, toTheEnd: false });
    await record(run, "interrupted", error.message);
    const pool = run.target.pool;
    const message =
      left === undefined
        ? `handover of pool ${pool} was interrupted and reopened what it had closed. Run \`pulumi up\` to go on.`
        : `handover of pool ${pool} was interrupted and reopened what it could in the time that was left; the rest is recorded, and the next \`pulumi up\` goes on from there. ${left.message}`;
    await tell(run, "interrupt", EVENT.held, message);
    if (left !== undefined) error.message += ` — ${message}`;
    return error;
  } finally {
    over.abort();
  }
}

/** Finished nodes stay finished and closed, so that the next `up` goes on where this one stopped. */
export async function pause(run: Run, error: Paused): Promise<Error> {
  await record(run, "paused", error.message);
  await tell(run, "pause", EVENT.paused, error.message);
  return error;
}

/**
 * A health window was breached. Blue serves again first, then green is frozen and closed to new pods (marked as ours), unless blue has no
 * room for the pods that wait for a node; pods that moved stay where they are. Waits until every workload is whole.
 */
export async function rollback(run: Run, breach: Breach): Promise<Error> {
  await tell(
    run,
    "rollback",
    EVENT.rolledBack,
    `rolling pool ${run.target.pool} back to blue: ${breach.message}`,
  );
  const left = await reopen(run, ["blue", "later"]);
  if (left?.nodes) throw left; // green stays open: pods could not go back to blue
  for (const group of await greenGroups(run)) {
    mayAct(run);
    await freeze(run.cloud, group, "rolled-back", run);
  }
  const stranded = await strandedByClosing(run);
  if (stranded.length === 0) {
    for (const node of greenNodes(run)) await mark(run, node, "rolled-back", ["taint"], "NoSchedule");
  } else {
    breach.message += ` — green stays open to new pods, since blue has no room for ${count(stranded.length, "pod")}: ${stranded
      .slice(0, 3)
      .map(({ pod, why }) => `${podName(pod)} (${why})`)
      .join("; ")}`;
    if (run.config.rollback.workloads === "return") breach.message += "; so no pod returns to blue";
    run.log.warning("rollback", breach.message);
  }
  await record(run, "rolled-back", breach.message);
  if (run.config.rollback.workloads === "return" && stranded.length === 0) await returnPods(run, breach);
  await wholeAgain(run, breach);
  if (left !== undefined) breach.message += ` — ${left.message}`;
  return breach;
}

/** A failure on the way back is a second one: it is reported beside the breach. @throws Abandoned */
async function returnPods(run: Run, breach: Breach): Promise<void> {
  const way = await sendBack(run);
  const text = wayBackText(way);
  if (way.failure !== undefined) run.log.error("rollback", text);
  else if (way.stay.length > 0) run.log.warning("rollback", text);
  else run.log.info("rollback", text);
  breach.message += ` — ${text}`;
  mayPutBack(run);
  await record(run, "rolled-back", breach.message);
}

/** Pods of what we moved that wait for a node and would find none without green. A cluster that cannot be read strands nobody. */
async function strandedByClosing(run: Run): Promise<NoWayBack[]> {
  const { inventory, state, cluster, log } = run;
  const owners = new Set(Object.values(state.record.nodes).flatMap((record) => record.owners));
  const waiting = [...owners]
    .flatMap((uid) => inventory.podsOf(uid))
    .filter((pod) => pod.spec?.nodeName === undefined && !isFinished(pod) && !isTerminating(pod));
  if (waiting.length === 0) return [];
  try {
    return noWayBack(withContext(inventory, await readContext(cluster)), greenNodes(run), waiting);
  } catch (error) {
    log.warning(
      "rollback",
      `whether blue has room for the pods that wait for a node could not be judged: ${messageOf(error)}`,
    );
    return [];
  }
}

/** Aborted before any pod was moved: there is nothing to go back from, so green need not be closed either. */
export async function withdraw(run: Run, error: Breach): Promise<Error> {
  const left = await reopen(run);
  const { pool } = run.target;
  await tell(
    run,
    "rollback",
    EVENT.rolledBack,
    `pool ${pool} stays on blue, no pod was moved, and what was closed is open again: ${error.message}`,
  );
  if (left?.nodes) throw left;
  if (left !== undefined) error.message += ` — ${left.message}`;
  return error;
}

/** @throws Error naming the workloads that did not come back: a second failure is reported, not hidden. */
async function wholeAgain(run: Run, breach: Breach): Promise<void> {
  const uids = new Set(Object.values(run.state.record.nodes).flatMap(({ owners }) => owners));
  const missing = (): Workload[] =>
    workloadsOf(run.inventory, uids).filter(
      (workload) =>
        !isWhole(
          run.inventory,
          workload,
          run.state.record.missingBefore,
          new Set(),
          run.cluster.serverTime(),
        ),
    );
  const names = (): string =>
    missing()
      .map((it) => `${it.kind} ${it.namespace}/${it.name} (${whyNotWhole(run.inventory, it)})`)
      .join("; ");
  try {
    await until(
      {
        clock: run.clock,
        signal: run.signal,
        wakes: run.inventory,
        timeoutSeconds: run.config.drain.podTimeoutSeconds,
        late: () => new Error(`blue is open again and green is closed, but not whole: ${names()}`),
      },
      () => (missing().length === 0 ? true : undefined),
    );
  } catch (error) {
    run.log.error("rollback", messageOf(error));
    breach.message += ` — rolled back, ${messageOf(error)}`;
  }
}
