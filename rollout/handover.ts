import { announce } from "./alert.ts";
import { canariesOf } from "./canary.ts";
import { blueNodes, closeBlue, closeLate, reopen } from "./close.ts";
import { Drainer } from "./drain.ts";
import { Abandoned, Aborted, Breach, Hold, Interrupted, messageOf, Paused } from "./errors.ts";
import { Controls, whoAsked } from "./controls.ts";
import { hold, interrupt, pause, rollback, withdraw } from "./failure.ts";
import { count } from "./finding.ts";
import { greenReady, openGreen, protectGreen } from "./green.ts";
import { Health } from "./health/health.ts";
import { judge as judgeMetrics } from "./health/judge.ts";
import { sourcesOf } from "./health/sources/index.ts";
import { Inventory } from "./inventory.ts";
import { identity, takeLease } from "./lease.ts";
import { EVENT, runStateName, STATE_NAMESPACE } from "./names.ts";
import type { Place } from "./order.ts";
import { stillOwed, wavesFrom } from "./owed.ts";
import type { Pod } from "./cluster/types.ts";
import { isCordonedByUs } from "./ownership.ts";
import { podName, workloadPodsOn } from "./pods.ts";
import { passPreflight } from "./preflight.ts";
import { safePoint, skippable } from "./rest.ts";
import { type Job, mayAct, type Run } from "./run.ts";
import { type RunRecord, RunState } from "./run-state.ts";
import { Relief } from "./relief.ts";
import { imageText, zoneOf } from "./target.ts";
import { type Proof, verify } from "./verify.ts";
import { until } from "./wait.ts";
import { isWhole, missingReplicas, whyNotWhole, type Workload, workloadsOf } from "./whole.ts";

/** What a handover that succeeded leaves behind. */
export interface Outcome {
  proof: Proof;
  /** Blue nodes that were emptied in this run or an earlier one that it resumed. */
  nodes: number;
  /** Pods that were moved, by all runs of this handover. */
  pods: number;
  seconds: number;
}

/**
 * Moves a pool from blue to green: design section 4, step by step. Level-triggered: what an earlier run has done already is seen
 * in the cluster and not done again.
 * @throws Blocked, Hold, Breach, Paused, Interrupted, Abandoned, Refused (errors.ts says what each has put back).
 */
export async function handover(job: Job): Promise<Outcome> {
  const end = new AbortController(); // not even putting back may take its time
  const abort = new AbortController(); // an operator's wish: putting back goes on as after any failure
  const stop = AbortSignal.any([end.signal, abort.signal]);
  const forward = (): void => end.abort(job.signal.reason);
  job.signal.addEventListener("abort", forward, { once: true });
  if (job.signal.aborted) forward();
  const { cluster, clock, log } = job;

  const holder = { stack: job.stack, run: job.runId };
  const controls = new Controls(log, identity(holder), (asked) =>
    abort.abort(new Aborted(`the handover of pool ${job.target.pool} was aborted by ${whoAsked(asked)}`)),
  );
  const lost = (reason: Abandoned): void => end.abort(reason);
  const lease = await takeLease(cluster, clock, log, holder, job.config.lease, lost, controls);
  let inventory: Inventory | undefined;
  try {
    inventory = await Inventory.open(cluster);
    const state = await RunState.load(cluster, job.target.pool, freshRecord(job));
    const run: Run = { ...job, signal: stop, inventory, lease, state, controls, startedAt: clock.now() };
    const health = new Health(run, job.measured ?? (await sourcesOf(job.config.health, job)), judgeMetrics);
    try {
      return await steps({ ...run, health });
    } catch (error) {
      controls.end("has failed and is putting back what it closed");
      throw await putBack({ ...run, signal: end.signal }, stop.aborted ? stop.reason : error);
    } finally {
      await health.stop();
    }
  } finally {
    inventory?.close();
    await lease.release();
    job.signal.removeEventListener("abort", forward);
  }
}

/** A run with the watch over its workloads. */
type WatchedRun = Run & { health: Health };

async function steps(run: WatchedRun): Promise<Outcome> {
  const { target, log, state } = run;
  log.info(
    "start",
    `handover of pool ${target.pool} to generation ${target.generation} (${imageText(target.image)})`,
    {
      blue: blueNodes(run).map(({ metadata }) => metadata.name),
      resumed: state.record.phase !== "moving" || Object.keys(state.record.nodes).length > 0,
    },
  );
  await passPreflight(
    run,
    run.inventory,
    { resumed: resumable(state.record), owed: state.record.owed },
    true,
  );
  await openGreen(run);
  if (blueNodes(run).length > 0) run.health.start();
  await greenReady(run);
  if (blueNodes(run).length > 0) {
    await safePoint(run, "before anything is closed");
    await run.health.takeBaseline();
    await protectGreen(run);
    await recordBaseline(run);
    await moveAll(run, await closeBlue(run));
  } else {
    await closeBlue(run); // groups of other generations may be there without a node: they must not launch one
  }
  await safePoint(run, "before green is proven and blue may be deleted");
  const proof = await verify(run);
  await run.lease.hear(); // when it has ended Pulumi deletes blue
  await safePoint(run, "before it ends and blue may be deleted");
  run.controls.end("is done");
  return finish(run, proof);
}

/**
 * Who was short of replicas before we moved anything. On a resume the first account stands for those whose pods we have moved and not
 * seen whole through a health window since: what they lack may be our own doing. Others are counted afresh.
 */
async function recordBaseline(run: Run): Promise<void> {
  mayAct(run);
  const { state, inventory } = run;
  const pods = blueNodes(run).flatMap((node) => workloadPodsOn(inventory, node.metadata.name));
  const begun = Object.keys(state.record.nodes).length > 0;
  const now = missingReplicas(inventory, pods, run.cluster.serverTime());
  const ours = new Set(Object.values(state.record.nodes).flatMap(({ owners }) => owners));
  const earlier = Object.fromEntries([...ours].map((uid) => [uid, state.record.missingBefore[uid] ?? 0]));
  const missingBefore = begun ? { ...now, ...earlier } : now;
  const { owed } = state.record;
  const still = owed && { owed: stillOwed(inventory, owed, run.cluster.serverTime()) };
  await state.save({ phase: "moving", missingBefore, ...still });
}

/**
 * Empties blue, wave by wave. The next wave is planned when the one before it is over, from the cluster as it is then: nodes may have
 * joined, left, or got other pods.
 * @param closed UIDs of the nodes that are closed; grows.
 */
async function moveAll(run: WatchedRun, closed: Set<string>): Promise<void> {
  const drainer = new Drainer(run);
  for (const { metadata } of blueNodes(run))
    if (isFinished(run, metadata.name)) await judge(run, drainer, [metadata.name], undefined);
  const rest = async (where: string): Promise<void> => drainer.stoodStill(await safePoint(run, where));
  if (run.config.drain.canary && run.state.record.canary === undefined) {
    await rest("before the canary");
    await moveCanary(run, drainer, closed);
  }
  const begun = new Set<string>();
  const told = new Set<string>();
  const waves = (): Place[][] => {
    const rest = blueNodes(run).filter(
      ({ metadata: { name } }) => !begun.has(name) && !isFinished(run, name),
    );
    return wavesFrom(run, run.state.record.owed ?? {}, rest);
  };
  const excludedOn = (): Pod[] => [...begun].flatMap((name) => drainer.excludedOn(name));
  for (;;) {
    await rest("before the next node");
    const planned = waves();
    tellOrder(run, planned, told);
    const [wave] = planned;
    if (wave !== undefined) {
      for (const { node } of wave) begun.add(node.metadata.name);
      await moveWave(run, drainer, closed, wave);
      continue;
    }
    if (!drainer.allDrained()) {
      await move(run, drainer, closed, () => drainer.allDrained() || waves().length > 0);
      continue;
    }
    const last = drainer.nextLast();
    if (last === undefined) {
      const ended = (): boolean => drainer.allTold() || excludedOn().length > 0;
      if (ended()) break;
      // those that were left out have gone by themselves, or by the operator's hand
      await move(run, drainer, closed, () => ended() || drainer.nextLast() !== undefined);
      continue;
    }
    await moveLast(run, drainer, closed, last);
  }
  const excluded = excludedOn();
  if (excluded.length > 0) {
    throw new Hold(
      `${excluded.length} pods that rollout.drain.podSelector leaves out are still on blue (${excluded
        .slice(0, 3)
        .map(({ metadata, spec }) => `${metadata.namespace}/${metadata.name} on ${spec?.nodeName}`)
        .join(", ")}). ` + `To go on: move them yourself, then run \`pulumi up\` again.`,
    );
  }
  run.log.info("order", `all ${blueNodes(run).length} blue nodes are drained`, {
    nodes: Object.keys(run.state.record.nodes),
  });
}

/** The order as it is planned, and again when nodes have joined. @param told names that were told before; grows */
function tellOrder(run: Run, waves: readonly Place[][], told: Set<string>): void {
  const order = waves.flat();
  const first = told.size === 0;
  const unknown = order.filter(({ node }) => !told.has(node.metadata.name));
  if (unknown.length === 0 && !first) return;
  for (const { node } of unknown) told.add(node.metadata.name);
  if (first) told.add(""); // an empty order is told once, too
  const inWaves = waves.length < order.length ? ` in ${count(waves.length, "wave")}` : "";
  run.log.info(
    "order",
    `${order.length} of ${blueNodes(run).length} nodes to drain${inWaves}: ${order.map(({ node }) => node.metadata.name).join(", ") || "none"}`,
    {
      order: waves.flatMap((wave, at) =>
        wave.map(({ node, why }) => ({ node: node.metadata.name, wave: at + 1, why })),
      ),
    },
  );
}

/** These nodes together, until all of their pods are replaced, and the health window over what they gave up. */
async function moveWave(
  run: WatchedRun,
  drainer: Drainer,
  closed: Set<string>,
  wave: readonly Place[],
): Promise<void> {
  const nodes = wave.map(({ node }) => node);
  const names = nodes.map(({ metadata }) => metadata.name);
  stopAtLimit(run, blueNodes(run).length);
  if (names.length > 1)
    run.log.info("wave", `${afterOf(run, names)} are drained together: ${names.join(", ")}`, {
      nodes: names,
    });
  const since = run.clock.now();
  await drainer.begin(nodes);
  const windows = run.config.health.windowSeconds > 0;
  await move(run, drainer, closed, () =>
    names.every((name) => (windows ? drainer.isDrained(name) : drainer.isMoved(name))),
  );
  await judge(run, drainer, names, since);
}

/** One pod of each workload, and a health window over all of them, before any node is drained (rollout.drain.canary). */
async function moveCanary(run: WatchedRun, drainer: Drainer, closed: Set<string>): Promise<void> {
  const pods = canariesOf(run);
  const names = [...new Set(pods.map(({ spec }) => spec?.nodeName ?? ""))];
  run.log.info("wave", `the canary moves one pod of each of ${count(pods.length, "workload")} first`, {
    canary: true,
    pods: pods.map(podName),
    nodes: names,
  });
  const since = run.clock.now();
  await drainer.beginCanary(pods);
  await move(run, drainer, closed, () => names.every((name) => drainer.isMoved(name)));
  drainer.endCanary();
  // also those that an interrupted run had moved: its window was cut off
  const owners = new Set(Object.values(run.state.record.nodes).flatMap((record) => record.owners));
  const scope = { after: "the canary", nodes: names, since };
  const workloads = workloadsOf(run.inventory, owners);
  await untilWhole(run, workloads);
  await skippable(run, scope, (window) => run.health.window(window, scope, workloads));
  mayAct(run);
  await run.state.save({ canary: "passed" });
}

/** What an earlier run's canary has moved must be back before it is watched. @throws Hold */
async function untilWhole(run: Run, workloads: readonly Workload[]): Promise<void> {
  const { inventory, state, cluster, clock, signal } = run;
  const { podTimeoutSeconds } = run.config.drain;
  const short = (): Workload | undefined =>
    workloads.find(
      (it) => !isWhole(inventory, it, state.record.missingBefore, new Set(), cluster.serverTime()),
    );
  const late = (): Hold => {
    const it = short();
    const name = it === undefined ? "a workload" : `${it.kind} ${it.namespace}/${it.name}`;
    const why = it === undefined ? "" : `: ${whyNotWhole(inventory, it)}`;
    return new Hold(
      `${name}, of which the canary has moved a pod, was not whole ${podTimeoutSeconds} s later (rollout.drain.podTimeoutSeconds)${why}. To go on: mend that, then run \`pulumi up\` again.`,
    );
  };
  await until({ clock, signal, wakes: inventory, timeoutSeconds: podTimeoutSeconds, late }, () =>
    short() === undefined ? true : undefined,
  );
}

/** A pod that the selector leaves out: moved alone, when all others are, with a health window of its own. */
async function moveLast(run: WatchedRun, drainer: Drainer, closed: Set<string>, pod: Pod): Promise<void> {
  stopAtLimit(run, blueNodes(run).length);
  const node = pod.spec?.nodeName ?? "";
  const since = run.clock.now();
  const workloads = await drainer.beginLast(pod);
  await move(run, drainer, closed, () => drainer.isDrained(node));
  await watch(run, [node], workloads, since);
}

/** The health window after the nodes of a wave. @param since when their drain began; undefined: in an earlier run */
async function judge(
  run: WatchedRun,
  drainer: Drainer,
  nodes: readonly string[],
  since: number | undefined,
): Promise<void> {
  const workloads = nodes.flatMap((node) => drainer.workloadsMovedFrom(node));
  await watch(run, nodes, [...new Map(workloads.map((it) => [it.uid, it])).values()], since);
}

/** A health window whose verdict is recorded: nodes without one, since the run was killed, are watched by the next run. */
async function watch(
  run: WatchedRun,
  nodes: readonly string[],
  workloads: readonly Workload[],
  since: number | undefined,
): Promise<void> {
  const records = nodes.flatMap((node) => {
    const record = run.state.record.nodes[node];
    return record === undefined ? [] : [{ node, record }];
  });
  if (run.config.health.windowSeconds === 0 || records.length === 0 || workloads.length === 0) return;
  const scope = { after: afterOf(run, nodes), nodes, since };
  await skippable(run, scope, (window) => run.health.window(window, scope, workloads));
  mayAct(run);
  await run.state.saveNodes(
    Object.fromEntries(records.map(({ node, record }) => [node, { ...record, owners: [] }])),
  );
}

/** What a health window follows, in words: `node ip-10-0-0-4`, `12 nodes of zone us-east-1a`. */
function afterOf(run: Run, nodes: readonly string[]): string {
  const [first = ""] = nodes;
  if (nodes.length === 1) return `node ${first}`;
  const node = run.inventory.get("Node", first);
  return `${nodes.length} nodes${node === undefined ? "" : ` of zone ${zoneOf(node)}`}`;
}

/** Already emptied by an earlier run, and still closed: not drained again. */
function isFinished(run: Run, name: string): boolean {
  const node = run.inventory.get("Node", name);
  // uncordoned by somebody else meanwhile: it is taken in hand again, which cordons it
  if (node?.spec?.unschedulable !== true || !isCordonedByUs(node)) return false;
  if (run.state.record.nodes[name]?.phase !== "drained") return false;
  return workloadPodsOn(run.inventory, name).length === 0;
}

/** Drain passes, one after each change of the cluster, until `done`; the drain's own deadlines end it otherwise. */
async function move(run: Run, drainer: Drainer, closed: Set<string>, done: () => boolean): Promise<void> {
  const relief = new Relief(run);
  await until(
    {
      clock: run.clock,
      signal: run.signal,
      wakes: run.inventory,
      timeoutSeconds: Number.MAX_SAFE_INTEGER / 1000, // every mover has a deadline of its own (drain.ts)
      late: () => new Hold("unreachable"),
    },
    async () => {
      mayAct(run);
      await closeLate(run, closed);
      await drainer.pass();
      await relief.look();
      return done() ? true : undefined;
    },
  );
}

/** @throws Paused when `rollout.maxDurationSeconds` is over; called only between nodes. */
function stopAtLimit(run: Run, total: number): void {
  const limit = run.config.maxDurationSeconds;
  const took = run.clock.now() - run.startedAt - run.controls.restedMilliseconds;
  if (limit === undefined || took < limit * 1000) return;
  const done = Object.values(run.state.record.nodes).filter(({ phase }) => phase === "drained").length;
  throw new Paused(
    `handover of pool ${run.target.pool} paused after ${limit} s (rollout.maxDurationSeconds), ${done} of ${total} nodes: run \`pulumi up\` again to go on from there.`,
  );
}

async function finish(run: Run, proof: Proof): Promise<Outcome> {
  const { state, target, clock } = run;
  mayAct(run);
  // the marks of later pools go too: their own handover sets its own, and may never come
  const left = await reopen(run, ["green", "later"]);
  if (left?.closed) throw left;
  const nodes = Object.keys(state.record.nodes).length;
  const pods = Object.values(state.record.nodes).reduce((sum, { moved }) => sum + moved.length, 0);
  const seconds = Math.round((clock.now() - run.startedAt) / 1000);
  await state.save({ phase: "succeeded", finishedAt: new Date(clock.now()).toISOString() });
  const adopted =
    proof.adopted.length > 0
      ? ` Groups that PatchGuard did not create stay, closed, for you to delete: ${proof.adopted.join(", ")}.`
      : "";
  await announce(run, {
    event: "finish",
    reason: EVENT.succeeded,
    object: { kind: "ConfigMap", namespace: STATE_NAMESPACE, name: runStateName(target.pool) },
    message: `pool ${target.pool} is on ${proof.image}: ${count(pods, "pod")} moved off ${count(nodes, "node")}, ${count(proof.nodes.length, "green node")} and ${count(proof.templates.length, "template")} proven.${adopted}${left === undefined ? "" : ` But ${left.message}`}`,
    warning: left !== undefined,
    fields: { proof, nodes, pods, seconds },
  });
  return { proof, nodes, pods, seconds };
}

/** Puts back what the kind of failure asks for. @returns the error to end the update with. */
async function putBack(run: Run, error: unknown): Promise<Error> {
  if (error instanceof Abandoned) return error; // not one more write
  try {
    if (error instanceof Interrupted) return await interrupt(run, error);
    if (error instanceof Paused) return await pause(run, error);
    if (error instanceof Breach) return await (nothingMoved(run) ? withdraw : rollback)(run, error);
    return await hold(run, error instanceof Error ? error : new Error(messageOf(error)));
  } catch (second) {
    if (second instanceof Abandoned) {
      return new Abandoned(`${messageOf(error)} — and while that was being put back: ${second.message}`);
    }
    run.log.error("error", `putting back failed: ${messageOf(second)}`);
    return new AggregateError(
      [error, second],
      `${messageOf(error)} — and putting back failed: ${messageOf(second)}. Run \`npm run restore -- --stack …\`.`,
    );
  }
}

/** No pod was set out to be evicted, in this run or one that it resumes. */
const nothingMoved = ({ state }: Run): boolean => Object.keys(state.record.nodes).length === 0;

const resumable = (record: RunRecord): RunRecord | undefined =>
  Object.keys(record.nodes).length > 0 ? record : undefined;

const freshRecord = (job: Job): RunRecord => ({
  version: 1,
  stack: job.stack,
  generation: job.target.generation,
  phase: "moving",
  startedAt: new Date(job.clock.now()).toISOString(),
  nodes: {},
  missingBefore: {},
});
