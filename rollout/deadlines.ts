import type { Pod } from "./cluster/types.ts";
import type { RolloutConfig } from "./config/index.ts";
import { Hold } from "./errors.ts";
import { aboutPod, aboutRefused, aboutWorkload } from "./in-the-way.ts";
import { type Mover, type NodeDrain, placeOf } from "./mover.ts";
import { podName } from "./pods.ts";
import { operatorRun } from "./preflight/budget-state.ts";
import type { Run } from "./run.ts";
import { matches, parseSelector } from "./selectors.ts";
import { whyNotWhole, type Workload } from "./whole.ts";

const over = (now: number, since: number, seconds: number): boolean => now - since > seconds * 1000;

/**
 * The deadlines of a pod on its way, one after the other: its eviction, its end, its replacement, its volumes.
 * @throws Hold at the first that has passed, naming what it waits for.
 */
export function checkDeadlines(
  run: Run,
  mover: Mover,
  now: number,
  state: { whole: boolean; volumesMissing: string | undefined; leftBehind: () => string | undefined },
): void {
  const { drain: limits } = run.config;
  if (mover.evictedAt === undefined) {
    if (over(now, mover.waitingSince, limits.budgetTimeoutSeconds))
      throw neverEvicted(run, mover, state.leftBehind());
    return;
  }
  if (mover.goneAt === undefined) {
    if (endIsOver(run, mover, now)) throw neverGone(mover, now - mover.evictedAt);
    return;
  }
  if (mover.arrived || mover.workload === undefined) return;
  // Kubernetes itself waits six minutes for the volumes of a node that was lost: they have a deadline of their own, below
  const { podTimeoutSeconds, setting } = podTimeoutOf(mover.pod, limits);
  const startedAt = Math.max(mover.goneAt, mover.volumesMissingAt ?? 0);
  if (over(now, startedAt, podTimeoutSeconds) && !state.whole) {
    throw new Hold(
      `${nameOf(mover.workload)} was not whole ${podTimeoutSeconds} s after pod ${podName(mover.pod)} left node ${mover.pod.spec?.nodeName} ` +
        `(${setting}): ${whyNotWhole(run.inventory, mover.workload)}. To go on: mend that, then run \`pulumi up\` again.`,
      { about: aboutWorkload(mover.workload, mover.pod.spec?.nodeName) },
    );
  }
  // a pod that no node has is not the CSI driver's matter
  if (mover.boundAt !== undefined && state.volumesMissing !== undefined)
    checkVolumes(run, state.volumesMissing, Math.max(mover.goneAt, mover.boundAt), now);
}

/** It was asked to go, or was going, and its grace period is over. */
export const endIsOver = (
  { config }: Pick<Run, "config">,
  { evictedAt, goneAt, graceSeconds }: Mover,
  now: number,
): boolean =>
  evictedAt !== undefined &&
  goneAt === undefined &&
  over(now, evictedAt, graceSeconds + config.drain.terminationSlackSeconds);

const LOOK_AT_CSI = "look at the CSI driver's controller";

/** @throws Hold */
export function checkVolumes({ config }: Run, missing: string, since: number, now: number): void {
  const { volumeTimeoutSeconds } = config.drain;
  if (!over(now, since, volumeTimeoutSeconds)) return;
  throw new Hold(
    `${missing} after ${volumeTimeoutSeconds} s (rollout.drain.volumeTimeoutSeconds). ` +
      `To go on: ${LOOK_AT_CSI}; PatchGuard never detaches by force.`,
  );
}

/** How long its replacement may take: the workload's own time where the config has one. Seconds. */
export function podTimeoutOf(
  { metadata }: Pod,
  { overrides, podTimeoutSeconds }: RolloutConfig["drain"],
): { podTimeoutSeconds: number; setting: string } {
  const at = overrides.findIndex(
    ({ namespace, podSelector }) =>
      namespace === (metadata.namespace ?? "default") &&
      (podSelector === undefined || matches(parseSelector(podSelector), metadata.labels)),
  );
  const own = overrides[at];
  return own === undefined
    ? { podTimeoutSeconds, setting: "rollout.drain.podTimeoutSeconds" }
    : {
        podTimeoutSeconds: own.podTimeoutSeconds,
        setting: `rollout.drain.overrides[${at}].podTimeoutSeconds`,
      };
}

/** The same of a workload, by any of its pods. */
export function timeoutOfWorkload(
  { config, inventory }: Pick<Run, "config" | "inventory">,
  { uid }: Workload,
): { podTimeoutSeconds: number; setting: string } {
  const [pod] = inventory.podsOf(uid);
  const { podTimeoutSeconds } = config.drain;
  return pod === undefined
    ? { podTimeoutSeconds, setting: "rollout.drain.podTimeoutSeconds" }
    : podTimeoutOf(pod, config.drain);
}

/** A workload whose pods an interrupted run had evicted gets the time of any other. @throws Hold */
export function checkResumed(run: Run, workload: Workload, drain: NodeDrain, now: number): void {
  const { podTimeoutSeconds, setting } = timeoutOfWorkload(run, workload);
  if (!over(now, drain.cordonedAt, podTimeoutSeconds)) return;
  throw new Hold(
    `${nameOf(workload)}, whose pods an earlier run had moved off node ${drain.node}, was not whole ${podTimeoutSeconds} s later ` +
      `(${setting}): ${whyNotWhole(run.inventory, workload)}. To go on: mend that, then run \`pulumi up\` again.`,
    { about: aboutWorkload(workload, drain.node) },
  );
}

/** A workload that was whole again and is short once more (scaled up, evicted by others) gets the time of any other. @throws Hold */
export function checkShort(run: Run, workload: Workload, { node, shortSince }: NodeDrain, now: number): void {
  const { podTimeoutSeconds, setting } = timeoutOfWorkload(run, workload);
  if (!over(now, shortSince.get(workload.uid) ?? now, podTimeoutSeconds)) return;
  throw new Hold(
    `${nameOf(workload)}, whose pods had moved off node ${node} and were all back, has been short again for ${podTimeoutSeconds} s ` +
      `(${setting}): ${whyNotWhole(run.inventory, workload)}. To go on: mend that, then run \`pulumi up\` again.`,
    { about: aboutWorkload(workload, node) },
  );
}

const nameOf = ({ kind, namespace, name }: Workload): string => `${kind} ${namespace}/${name}`;

/** @param leftBehind a volume that an earlier run did not see handed over, for which its workload waits */
function neverEvicted(run: Run, mover: Mover, leftBehind: string | undefined): Hold {
  const { pod, refusal, workload } = mover;
  const { budgetTimeoutSeconds } = run.config.drain;
  const notWhole = workload && `${nameOf(workload)} is not whole: ${whyNotWhole(run.inventory, workload)}`;
  const why = refusal ?? leftBehind ?? notWhole ?? "it was never asked";
  const volume = refusal === undefined && leftBehind !== undefined;
  const [byHand] = run.inventory.budgetsOf(pod).flatMap((budget) => operatorRun(budget)?.byHand ?? []);
  return new Hold(
    `${placeOf(pod)} could not be evicted within ${budgetTimeoutSeconds} s (rollout.drain.budgetTimeoutSeconds): ` +
      `${why}. To go on: ${volume ? LOOK_AT_CSI : (byHand ?? "clear that")}, then run \`pulumi up\` again.`,
    { about: aboutRefused(run.inventory, mover) },
  );
}

function neverGone({ pod, byUs, graceSeconds }: Mover, sinceMilliseconds: number): Hold {
  const since = byUs ? "s after its eviction" : "s after PatchGuard saw it: somebody else had deleted it";
  const finalizers = pod.metadata.finalizers?.join(", ");
  const { name, namespace } = pod.metadata;
  return new Hold(
    `${placeOf(pod)} is still terminating ${Math.round(sinceMilliseconds / 1000)} ${since} (grace period ${graceSeconds} s): ` +
      (finalizers
        ? `finalizer ${finalizers} holds it. To go on: let the controller that set it finish.`
        : `its kubelet or a volume holds it. To go on: \`kubectl describe pod -n ${namespace} ${name}\`.`) +
      ` PatchGuard never deletes by force.`,
    { about: aboutPod(pod) },
  );
}
