import type { Pod } from "../../rollout/cluster/types.ts";
import type { Replay } from "./replay.ts";
import type { Change } from "./store.ts";
import { isServing, ownerOf } from "./workloads.ts";

/** By then everybody has seen that a budget is gone. */
const BUDGET_SEEN_AFTER_MS = 1000;

/** What we last took from a workload. */
interface Taken {
  /** `namespace/name` */
  pod: string;
  /** How many of its pods served just before. */
  served: number;
  /** How many of them others have taken away since, or failed by themselves. */
  lost: number;
}

/** The default of one pod at a time for Deployments that no budget guards: their ReplicaSets together are one workload. */
export class Unguarded {
  private readonly replay: Replay;
  private readonly taken = new Map<string, Taken>();
  private budgetsChangedAt = -Infinity;

  constructor(replay: Replay) {
    this.replay = replay;
  }

  /** Somebody changes a budget, or takes a serving pod away. */
  budgetChanged(at: number): void {
    this.budgetsChangedAt = at;
  }

  lost(pod: Pod): void {
    const taken = this.taken.get(this.topOf(pod) ?? "");
    if (taken !== undefined) taken.lost += 1;
  }

  /** @returns why this pod may not go now */
  disrupted({ at }: Change<"Pod">, pod: Pod): string | undefined {
    const top = this.topOf(pod);
    if (top === undefined || !isServing(pod)) return undefined; // it served nobody
    const { replay } = this;
    const served = replay.all("Pod").filter((it) => this.topOf(it) === top && isServing(it)).length;
    const before = this.taken.get(top);
    this.taken.set(top, { pod: `${pod.metadata.namespace ?? ""}/${pod.metadata.name}`, served, lost: 0 });
    const guarded = replay.budgetsOf(pod).length > 0 || at - this.budgetsChangedAt < BUDGET_SEEN_AFTER_MS;
    if (before === undefined || guarded) return undefined;
    const wanted = replay
      .all("ReplicaSet")
      .filter(({ metadata }) => (ownerOf({ metadata })?.uid ?? metadata.uid) === top)
      .reduce((sum, { spec }) => sum + (spec?.replicas ?? 1), 0);
    return served + before.lost >= Math.min(before.served, wanted)
      ? undefined
      : `no budget guards it, and ${before.pod}, which was taken away before, is not replaced: ${served} of ${wanted} served`;
  }

  /** UID of the Deployment, or of the ReplicaSet where it has none; undefined: a pod of something else. */
  private topOf(pod: Pod): string | undefined {
    const owner = ownerOf(pod);
    if (owner?.kind !== "ReplicaSet") return undefined;
    const set = this.replay.get("ReplicaSet", owner.name, pod.metadata.namespace);
    return (set && ownerOf({ metadata: set.metadata })?.uid) ?? owner.uid;
  }
}
