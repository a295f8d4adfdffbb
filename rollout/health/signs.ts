import type { Pod } from "../cluster/types.ts";
import type { Inventory } from "../inventory.ts";
import { isFinished, isPodReady, isTerminating, podName } from "../pods.ts";
import { stateOf, type Workload } from "../whole.ts";

/** A pod may take this long to become Ready in a window before that is a breach by itself. Seconds. */
const STARTING_SECONDS = 60;

interface AtStart {
  restarts: number;
  ready: boolean;
}

/**
 * What the cluster itself says about workloads during a window: a container that restarts or is out of memory, a pod that is no longer
 * Ready, or one that does not become Ready, is a breach by itself, whatever the metrics say.
 */
export class Signs {
  private readonly inventory: Inventory;
  private readonly workloads: readonly Workload[];
  private readonly atStart = new Map<string, AtStart>();

  constructor(inventory: Inventory, workloads: readonly Workload[]) {
    this.inventory = inventory;
    this.workloads = workloads;
    for (const { uid } of workloads)
      for (const pod of inventory.podsOf(uid)) this.atStart.set(pod.metadata.uid, this.stateNow(pod));
  }

  private stateNow(pod: Pod): AtStart {
    return { restarts: restartsOf(pod), ready: isPodReady(pod) };
  }

  /** @param now milliseconds of the clock @returns a sentence for each breach: workload, pod, node, what happened */
  breaches(now: number): string[] {
    return this.workloads.flatMap((workload) =>
      this.inventory.podsOf(workload.uid).flatMap((pod) => {
        const what = this.breachOf(pod, now);
        const on = pod.spec?.nodeName === undefined ? "" : ` on node ${pod.spec.nodeName}`;
        return what === undefined
          ? []
          : [`${workload.kind} ${workload.namespace}/${workload.name}: pod ${podName(pod)}${on} ${what}`];
      }),
    );
  }

  private breachOf(pod: Pod, now: number): string | undefined {
    const was = this.atStart.get(pod.metadata.uid);
    if (restartsOf(pod) > (was?.restarts ?? 0)) {
      const reason = pod.status?.containerStatuses?.find(({ lastState }) => lastState?.terminated)?.lastState
        ?.terminated?.reason;
      return `restarted${reason ? ` (${reason})` : ""}`;
    }
    if (isTerminating(pod) || isFinished(pod) || isPodReady(pod)) return undefined;
    if (was?.ready === true) return `is no longer Ready (${stateOf(pod)})`;
    // one that was not Ready before is not held against the drain; one that was made since has to become so
    const made = Date.parse(pod.metadata.creationTimestamp ?? "");
    return was === undefined && now - made > STARTING_SECONDS * 1000
      ? `is not Ready ${Math.round((now - made) / 1000)} s after its creation (${stateOf(pod)})`
      : undefined;
  }
}

const restartsOf = (pod: Pod): number =>
  (pod.status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0);
