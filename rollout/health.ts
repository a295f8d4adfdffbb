import { Breach } from "./errors.ts";
import { count } from "./finding.ts";
import { isFinished, isPodReady, podName } from "./pods.ts";
import type { Run } from "./run.ts";
import { until } from "./wait.ts";
import { stateOf, type Workload } from "./whole.ts";

/** What a health window follows. */
export interface Scope {
  /** In words: `node ip-10-0-0-4`, `the canary`. */
  after: string;
  nodes: readonly string[];
}

/**
 * The health window after a node's drain, or a wave's (design section 4, step 6). It judges what the cluster itself says about the moved
 * workloads: a container that restarts, is out of memory, or a pod that is not Ready where it was Ready at the window's start is a
 * breach by itself. Metrics (CPU, memory, error rate, latency) join it here.
 * @throws Breach naming workload, pod and what happened.
 */
export async function healthWindow(
  run: Run,
  { after, nodes }: Scope,
  workloads: readonly Workload[],
): Promise<void> {
  const { windowSeconds } = run.config.health;
  if (windowSeconds === 0 || workloads.length === 0) return;
  const atStart = new Map(
    podsOf(run, workloads).map((pod) => [
      pod.metadata.uid,
      { restarts: restartsOf(pod), ready: isPodReady(pod) },
    ]),
  );
  run.log.info(
    "health",
    `health window of ${windowSeconds} s after ${after}, over ${count(workloads.length, "workload")}`,
    {
      nodes,
      windowSeconds,
      workloads: workloads.map(({ namespace, name }) => `${namespace}/${name}`),
    },
  );
  const end = run.clock.now() + windowSeconds * 1000;
  await until(
    {
      clock: run.clock,
      signal: run.signal,
      wakes: run.inventory,
      timeoutSeconds: windowSeconds + 60,
      late: () => new Breach(`health window after ${after} did not end in time`),
    },
    () => {
      const bad = breaches(run, workloads, atStart);
      if (bad.length > 0) {
        throw new Breach(
          `health window after ${after} was breached: ${bad.slice(0, 3).join("; ")}${bad.length > 3 ? ` and ${bad.length - 3} more` : ""}`,
        );
      }
      return run.clock.now() >= end ? true : undefined;
    },
  );
  run.log.info("health", `health window after ${after} passed`, { nodes, verdict: "passed" });
}

const podsOf = (run: Run, workloads: readonly Workload[]) =>
  workloads.flatMap(({ uid }) => run.inventory.podsOf(uid));

const restartsOf = (pod: ReturnType<typeof podsOf>[number]): number =>
  (pod.status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0);

function breaches(
  run: Run,
  workloads: readonly Workload[],
  atStart: ReadonlyMap<string, { restarts: number; ready: boolean }>,
): string[] {
  return workloads.flatMap((workload) =>
    run.inventory.podsOf(workload.uid).flatMap((pod) => {
      const was = atStart.get(pod.metadata.uid);
      const name = `${workload.kind} ${workload.namespace}/${workload.name}: pod ${podName(pod)} on node ${pod.spec?.nodeName}`;
      if (was !== undefined && restartsOf(pod) > was.restarts) {
        const reason = pod.status?.containerStatuses?.find(({ lastState }) => lastState?.terminated)
          ?.lastState?.terminated?.reason;
        return [`${name} restarted${reason ? ` (${reason})` : ""}`];
      }
      const gone = pod.metadata.deletionTimestamp !== undefined || isFinished(pod);
      return was?.ready === true && !gone && !isPodReady(pod)
        ? [`${name} is no longer Ready (${stateOf(pod)})`]
        : [];
    }),
  );
}
