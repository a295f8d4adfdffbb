import { blueNodes, greenNodes } from "./close.ts";
import type { Pod } from "./cluster/types.ts";
import { Drainer } from "./drain.ts";
import { Abandoned, messageOf } from "./errors.ts";
import { count } from "./finding.ts";
import { noWayBack } from "./fit/back.ts";
import { isFinished, isTerminating, judgePod, podName, workloadPodsOn } from "./pods.ts";
import { isReady } from "./target.ts";
import { mayAct, type Run } from "./run.ts";
import { type Context, readContext, withContext } from "./snapshot.ts";
import { until } from "./wait.ts";
import { workloadOf } from "./whole.ts";

/** What became of the pods that this handover had moved. */
export interface WayBack {
  /** Pods that were evicted from green, and replaced. */
  back: number;
  /** Pods that are left where they are, and why. */
  stay: { pod: Pod; why: string }[];
  /** Why it ended before its time. */
  failure?: Error;
}

/**
 * Moves pods back to blue (rollout.rollback.workloads: return): blue is open and green is closed already. The drain's own engine, with its
 * budgets, turns and deadlines; no pod is asked to go that would find no room on blue, as the cluster is at that moment.
 * No health windows: blue is what was well before.
 * @throws Abandoned; any other failure is part of the answer, since what has been done stays done.
 */
export async function sendBack(run: Run): Promise<WayBack> {
  const stay = new Map<string, { pod: Pod; why: string }>();
  const keep = (pod: Pod, why: string): void => void stay.set(pod.metadata.uid, { pod, why });
  const moved = movedPods(run);
  const rest = new Map(moved.map((pod) => [pod.metadata.uid, pod]));
  try {
    const context = await contextOf(run);
    const drainer = new Drainer(run, { staysAway: (pods) => unfit(run, context, pods), keep });
    for (const wave of wavesOf(run, moved, keep)) {
      const nodes = [...new Set(wave.map(({ spec }) => spec?.nodeName ?? ""))];
      await drainer.beginReturn(wave);
      await until(
        {
          clock: run.clock,
          signal: run.signal,
          wakes: run.inventory,
          timeoutSeconds: Number.MAX_SAFE_INTEGER / 1000, // every mover has a deadline of its own (deadlines.ts)
          late: () => new Error("unreachable"),
        },
        async () => {
          mayAct(run);
          await drainer.pass();
          return nodes.every((name) => drainer.isMoved(name)) ? true : undefined;
        },
      );
      for (const { metadata } of wave) rest.delete(metadata.uid);
    }
    return { back: moved.length - stay.size, stay: [...stay.values()] };
  } catch (error) {
    if (error instanceof Abandoned) throw error;
    const failure = error instanceof Error ? error : new Error(messageOf(error));
    for (const pod of rest.values())
      if (stillThere(run, pod) && !stay.has(pod.metadata.uid))
        keep(pod, "the way back ended before its turn");
    return { back: moved.length - stay.size, stay: [...stay.values()], failure };
  }
}

/** How often the API server is asked for what the simulation needs, and the pause between two of them, in seconds. */
const ATTEMPTS = 5;
const PAUSE_SECONDS = 3;

/** An API server that is busy now is asked again: the pods that have to go back can wait so long. */
async function contextOf({ cluster, clock, signal }: Run): Promise<Context> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readContext(cluster);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await clock.sleep(PAUSE_SECONDS * 1000, signal);
      signal.throwIfAborted();
    }
  }
}

/** All of them at once, since budgets and turns decide; those that go last (rollout.drain.excludedPods) after them, each alone. */
function wavesOf({ config }: Run, pods: readonly Pod[], keep: (pod: Pod, why: string) => void): Pod[][] {
  const first: Pod[] = [];
  const last: Pod[] = [];
  for (const pod of pods) {
    const verdict = judgePod(pod, config.drain);
    if (verdict.action === "evict") (verdict.last ? last : first).push(pod);
    else if (verdict.action === "refuse") keep(pod, verdict.why);
    else if (verdict.action === "excluded") keep(pod, "rollout.drain.podSelector leaves it to you");
  }
  return [...(first.length > 0 ? [first] : []), ...last.map((pod) => [pod])];
}

/**
 * The pods on green that stand in for those that this handover has moved: of each controller no more than were moved, the youngest first.
 * A pod whose first home was green stays. So does a Job's: it comes to its end where it is.
 */
function movedPods(run: Run): Pod[] {
  const { inventory, state } = run;
  const byOwner = Map.groupBy(
    greenNodes(run).flatMap(({ metadata }) => workloadPodsOn(inventory, metadata.name)),
    (pod) => workloadOf(pod)?.uid ?? "",
  );
  return Object.entries(state.record.homes ?? {}).flatMap(([uid, names]) => {
    const pods = (byOwner.get(uid) ?? []).filter((pod) => !isTerminating(pod));
    const kind = pods[0] && workloadOf(pods[0])?.kind;
    if (kind === undefined || kind === "Job") return [];
    if (kind === "StatefulSet") return pods.filter(({ metadata }) => names.includes(metadata.name));
    const neverLeft = inventory
      .podsOf(uid)
      .filter((pod) => names.includes(pod.metadata.name) && !isTerminating(pod) && !isFinished(pod)).length;
    return pods.toSorted((a, b) => ageOf(b) - ageOf(a)).slice(0, names.length - neverLeft);
  });
}

const ageOf = ({ metadata }: Pod): number => Date.parse(metadata.creationTimestamp ?? "");

function stillThere({ inventory }: Run, { metadata }: Pod): boolean {
  const now = inventory.get("Pod", metadata.name, metadata.namespace);
  return now?.metadata.uid === metadata.uid && !isTerminating(now);
}

/** Which of these would find no room on blue, beside the pods that wait for a node already. By UID. */
function unfit(run: Run, context: Context, pods: readonly Pod[]): Map<string, string> {
  const { inventory } = run;
  const waiting = inventory
    .all("Pod")
    .filter((pod) => pod.spec?.nodeName === undefined && !isFinished(pod) && !isTerminating(pod));
  const blue = new Set(
    blueNodes(run)
      .filter(isReady)
      .map(({ metadata }) => metadata.name),
  );
  const picture = withContext(inventory, context);
  const stranded = noWayBack(picture, greenNodes(run), [...waiting, ...pods], blue);
  return new Map(stranded.map(({ pod, why }) => [pod.metadata.uid, why]));
}

/** The way back in words. */
export function wayBackText({ back, stay, failure }: WayBack): string {
  const parts = [`${count(back, "moved pod")} returned to blue`];
  if (stay.length > 0) {
    const names = stay.slice(0, 5).map(({ pod, why }) => `${podName(pod)} on ${pod.spec?.nodeName} (${why})`);
    const more = stay.length > 5 ? ` and ${stay.length - 5} more` : "";
    parts.push(`${count(stay.length, "pod")} stayed on green: ${names.join("; ")}${more}`);
  }
  if (failure !== undefined) parts.push(`the way back ended early: ${failure.message}`);
  return parts.join("; ");
}
