import { announce } from "./alert.ts";
import { blueNodes, setBlueTaint } from "./close.ts";
import { handoverTaint, isCordonedByUs } from "./ownership.ts";
import { EVENT, runStateName, STATE_NAMESPACE } from "./names.ts";
import type { Run } from "./run.ts";

/**
 * Lets replacements that green has no room for go to blue nodes whose turn has not come: blue's taint is relaxed to
 * PreferNoSchedule while one is Pending for long, and tightened again afterwards.
 */
export class Relief {
  private readonly run: Run;
  private relaxed = false;
  constructor(run: Run) {
    this.run = run;
    this.relaxed = blueNodes(run).some(
      (node) => !isCordonedByUs(node) && handoverTaint(node)?.effect === "PreferNoSchedule",
    );
  }
  async look(): Promise<void> {
    const { run } = this;
    // replacements of what we move, and nobody else's pods: one that has waited for a GPU for weeks says nothing about green
    const moved = new Set(Object.values(run.state.record.nodes).flatMap(({ owners }) => owners));
    const pending = [...moved]
      .flatMap((uid) => run.inventory.podsOf(uid))
      .filter((pod) => {
        const scheduled = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
        if (scheduled?.status !== "False" || pod.metadata.deletionTimestamp !== undefined) return false;
        const since = Date.parse(scheduled.lastTransitionTime ?? "");
        return this.relaxed || run.cluster.serverTime() - since > run.config.drain.relaxAfterSeconds * 1000;
      });
    if (pending.length > 0 === this.relaxed) return;
    const changed = await setBlueTaint(run, pending.length > 0 ? "PreferNoSchedule" : "NoSchedule");
    this.relaxed = pending.length > 0;
    if (changed === 0) return;
    const first = pending[0];
    await announce(run, {
      event: this.relaxed ? "relax" : "tighten",
      reason: EVENT.relaxed,
      object: first
        ? {
            kind: "Pod",
            namespace: first.metadata.namespace,
            name: first.metadata.name,
            uid: first.metadata.uid,
          }
        : { kind: "ConfigMap", namespace: STATE_NAMESPACE, name: runStateName(run.target.pool) },
      message: first
        ? `green of pool ${run.target.pool} has no room for ${pending.length} pods (${first.metadata.namespace}/${first.metadata.name} first): ${changed} blue nodes take pods again while they wait. Such pods may move twice; give green more room.`
        : `no pod waits for room any more: ${changed} blue nodes of pool ${run.target.pool} are closed to new pods again.`,
      warning: this.relaxed,
    });
  }
}
