import type { Node, Pod } from "../cluster/types.ts";
import type { RolloutConfig } from "../config/index.ts";
import { DEFAULTS } from "../names.ts";
import { stillOwed, wavesFrom } from "../owed.ts";
import { judgePod, workloadPodsOn } from "../pods.ts";
import { type Question, sceneOf } from "../preflight/question.ts";
import { wantedSizes } from "../sizes.ts";
import { zoneOf } from "../target.ts";
import { ASSUMED, startSeconds, stopSeconds } from "./times.ts";
import { controllerOf, type Picture } from "../picture.ts";

/** What a handover of a pool will do, in what order, and about how long it will take. */
export interface Plan {
  /** In the order of the drain. */
  nodes: PlannedNode[];
  /** Pods that will be evicted, over all nodes. */
  evictions: number;
  /** Green's nodes by zone; undefined where nobody knows what green is made of. */
  green?: Record<string, number> | undefined;
  estimate: Estimate;
}

export interface PlannedNode {
  node: string;
  zone: string;
  /** Nodes of the same wave are drained together. */
  wave: number;
  /** Why it has this place. */
  why: string;
  /** Pods that will be evicted from it. */
  evictions: number;
  /** The budgets that this step uses, and what they allow at a time. */
  budgets: BudgetUse[];
  /** About how long its wave takes, health window included. */
  seconds: number;
}

export interface BudgetUse {
  /** `namespace/name` */
  budget: string;
  /** Pods of this node that it guards. */
  pods: number;
  /** Disruptions that it allows at a time, as it stands now. */
  allowed: number;
}

/** Seconds, from the start of `pulumi up` to the last verdict. Deleting blue comes after that. */
export interface Estimate {
  seconds: number;
  parts: {
    /** Creating green and waiting until it is Ready. */
    green: number;
    /** Waiting for replacements to be Ready, and for volumes. */
    start: number;
    /** Waiting for old pods to be gone. */
    stop: number;
    /** Health windows, and the quiet seconds after each node. */
    windows: number;
  };
  /** Node-hours that are paid beside blue's. */
  extraNodeHours: number;
}

/** The plan of one pool; undefined when nothing moves. Pure. */
export function planOf(question: Question): Plan | undefined {
  const { picture, config, blue } = sceneOf(question);
  if (blue.length === 0) return undefined;
  const nodes: PlannedNode[] = [];
  const parts = { green: ASSUMED.greenSeconds as number, start: 0, stop: 0, windows: 0 };
  const owed = stillOwed(picture, question.owed?.lacked ?? {}, question.now);
  const waves = wavesFrom({ inventory: picture, config }, owed, blue);
  for (const [at, wave] of waves.entries()) {
    const podsOf = new Map(wave.map(({ node }) => [node, toMove(picture, node, config)]));
    const pods = [...podsOf.values()].flat();
    const { start, stop } = drainSeconds(picture, pods);
    // a pod that goes last, alone, has a window of its own
    const alone = pods.filter((pod) => "last" in judgePod(pod, config.drain)).length;
    const together = pods.length > alone ? 1 : 0;
    const windows =
      pods.length === 0 ? 0 : DEFAULTS.quietSeconds + (together + alone) * config.health.windowSeconds;
    parts.start += start;
    parts.stop += stop;
    parts.windows += windows;
    for (const { node, why } of wave) {
      const own = podsOf.get(node) ?? [];
      nodes.push({
        node: node.metadata.name,
        zone: zoneOf(node),
        wave: at + 1,
        why,
        evictions: own.length,
        budgets: budgetUse(picture, own),
        seconds: Math.round(start + stop + windows),
      });
    }
  }
  if (config.drain.canary) {
    const first = Map.groupBy(
      nodes.length === 0 ? [] : blue.flatMap((node) => toMove(picture, node, config)),
      (pod) => controllerOf(pod)?.uid ?? pod.metadata.uid,
    );
    const { start, stop } = drainSeconds(
      picture,
      [...first.values()].flatMap(([pod]) => pod ?? []),
    );
    parts.start += start;
    parts.stop += stop;
    parts.windows += config.health.windowSeconds;
  }
  const seconds = parts.green + parts.start + parts.stop + parts.windows;
  const green =
    question.green === undefined
      ? undefined
      : wantedSizes(question.green, blue, question.resumed !== undefined);
  const greenNodes =
    green === undefined ? blue.length : Object.values(green).reduce((sum, size) => sum + size, 0);
  return {
    nodes,
    evictions: nodes.reduce((sum, { evictions }) => sum + evictions, 0),
    green,
    estimate: {
      seconds: Math.round(seconds),
      parts: {
        green: Math.round(parts.green),
        start: Math.round(parts.start),
        stop: Math.round(parts.stop),
        windows: Math.round(parts.windows),
      },
      extraNodeHours: Math.round((greenNodes * seconds) / 360) / 10,
    },
  };
}

const toMove = (picture: Picture, node: Node, config: RolloutConfig): Pod[] =>
  workloadPodsOn(picture, node.metadata.name).filter(
    (pod) => judgePod(pod, config.drain).action !== "excluded",
  );

/**
 * How long the drain of a wave takes. All its pods are asked to go at once; what holds them back is the budget (so many at a time, the
 * next when a replacement is Ready) and the rule that a StatefulSet gives up one pod at a time. The slowest workload decides.
 */
function drainSeconds(picture: Picture, pods: readonly Pod[]): { start: number; stop: number } {
  let slowest = { start: 0, stop: 0 };
  for (const group of Map.groupBy(pods, (pod) => controllerOf(pod)?.uid ?? pod.metadata.uid).values()) {
    const [first] = group;
    if (first === undefined) continue;
    const start = startSeconds(picture.podsOf(controllerOf(first)?.uid ?? ""));
    const stop = Math.max(...group.map(stopSeconds));
    const alone = controllerOf(first)?.kind === "StatefulSet";
    const rounds = alone ? group.length : Math.ceil(group.length / atATime(picture, first, group.length));
    const volumes = group.some(({ spec }) =>
      spec?.volumes?.some((it) => it.persistentVolumeClaim !== undefined),
    );
    // a StatefulSet's replacement starts when the old pod is gone; a Deployment's at once
    const took = {
      start: rounds * (start + (volumes ? ASSUMED.volumeSeconds : 0)),
      stop: alone ? rounds * stop : Math.max(0, stop - start),
    };
    if (took.start + took.stop > slowest.start + slowest.stop) slowest = took;
  }
  return slowest;
}

function atATime(picture: Picture, pod: Pod, most: number): number {
  const allowed = picture.budgetsOf(pod).map(({ status }) => status?.disruptionsAllowed ?? 1);
  return Math.max(1, Math.min(most, ...allowed));
}

function budgetUse(picture: Picture, pods: readonly Pod[]): BudgetUse[] {
  const uses = new Map<string, BudgetUse>();
  for (const pod of pods) {
    for (const { metadata, status } of picture.budgetsOf(pod)) {
      const budget = `${metadata.namespace}/${metadata.name}`;
      const use = uses.get(budget) ?? { budget, pods: 0, allowed: status?.disruptionsAllowed ?? 0 };
      use.pods += 1;
      uses.set(budget, use);
    }
  }
  return [...uses.values()].toSorted((a, b) => a.budget.localeCompare(b.budget));
}
