import { blueNodes, greenNodes } from "./close.ts";
import type { Pod } from "./cluster/types.ts";
import { nodeOrder } from "./order.ts";
import { isPodReady, judgePod, workloadPodsOn } from "./pods.ts";
import { zeroByDesign } from "./preflight/budget-state.ts";
import type { Run } from "./run.ts";
import { workloadOf } from "./whole.ts";

/**
 * One Ready pod of each workload that is on blue: what `rollout.drain.canary` moves before any node is drained, so that a bad image is
 * met by one replica of each at most. Not of Jobs, whose pods cannot be compared; not an operator's primary; not what goes last.
 * A workload that has a pod on green, Ready or not, or of which an earlier run has moved one, has had its canary.
 */
export function canariesOf(run: Run): Pod[] {
  const { inventory, config } = run;
  const done = new Set([
    ...greenNodes(run)
      .flatMap(({ metadata }) => workloadPodsOn(inventory, metadata.name))
      .flatMap((pod) => workloadOf(pod)?.uid ?? []),
    ...Object.values(run.state.record.nodes).flatMap(({ owners }) => owners),
  ]);
  const chosen: Pod[] = [];
  for (const { node } of nodeOrder(run, blueNodes(run))) {
    for (const pod of workloadPodsOn(inventory, node.metadata.name)) {
      const workload = workloadOf(pod);
      if (workload === undefined || workload.kind === "Job" || done.has(workload.uid)) continue;
      const verdict = judgePod(pod, config.drain);
      if (verdict.action !== "evict" || verdict.last || !isPodReady(pod)) continue;
      const primary = inventory
        .budgetsOf(pod)
        .some((budget) => zeroByDesign(budget, config.preflight.byDesign) !== undefined);
      if (primary) continue;
      done.add(workload.uid);
      chosen.push(pod);
    }
  }
  return chosen;
}
