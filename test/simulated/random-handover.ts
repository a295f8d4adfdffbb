import type { PodDisruptionBudget } from "../../rollout/cluster/types.ts";
import { Random } from "./random.ts";
import type { Faults } from "./session.ts";
import type { WorldOptions } from "./world.ts";

/** A small random cluster, what somebody asks of PatchGuard there, and all that goes wrong meanwhile. Plain data. */
export interface Scenario {
  seed: number;
  kind: "eks-managed" | "self-managed";
  zones: string[];
  /** Blue nodes of each zone, and green ones. */
  perZone: number[];
  /** Pods that a node of green takes. */
  greenPods: number;
  times: Omit<WorldOptions, "seed">;
  daemons: number;
  workloads: WorkloadPlan[];
  /** Budgets beside the workloads' own: each selects a workload that has one already. */
  overlapping: { name: string; over: string; spec: Budget }[];
  /** A workload with a budget of which one pod crashes from the start. */
  crashing: string | undefined;
  /** Pods that are no longer Ready, by themselves, between the first run's pre-flight and its baseline. */
  unready: Unready | undefined;
  /** Target groups that hold every node's instance, and the controller that takes out what has the label. */
  balancers: { delaySeconds: number; controllerSeconds: number }[];
  /** A blue node has been cordoned by its operator. */
  foreignCordon: boolean;
  /** What `patchguard:rollout` says. */
  rollout: Record<string, unknown>;
  /** Of the first runs, in their order; those after them have none of it. */
  runs: RunPlan[];
  /** What others do during the first run. */
  meddling: Meddling[];
}

export type Budget = NonNullable<PodDisruptionBudget["spec"]>;

export interface WorkloadPlan {
  kind: "Deployment" | "StatefulSet";
  name: string;
  replicas: number;
  volumes: boolean;
  startSeconds: number;
  stopSeconds: number;
  graceSeconds: number;
  minReadySeconds: number;
  oneHostEach: boolean;
  budget: Budget | undefined;
  /** Its pods never become Ready on green. */
  sick: boolean;
}

export interface Unready {
  /** With which line of the run's log. */
  at: "preflight" | "green" | "protect";
  /** From 0 to 1, one for each: which of the pods that serve. */
  picks: number[];
  /** They are Ready again after so long; undefined: they are not. */
  backSeconds: number | undefined;
}

export interface RunPlan {
  faults: Faults;
  latency: { low: number; high: number };
  crashAfterWrite?: number;
}

/** Somebody else's act, so many seconds after the first run began. `pick` chooses among what there is by then. */
export interface Meddling {
  act: Act;
  atSeconds: number;
  pick: number;
}

export const ACTS = [
  "delete-pod",
  "evict-pod",
  "uncordon",
  "cordon",
  "spend-budget",
  "open-budget",
  "remove-budget",
  "add-budget",
  "scale-up",
  "scale-down",
  "restart",
  "lose-blue",
  "grow-blue",
  "finalizer",
  "outage",
  "stall",
  "take-lease",
  "interrupt",
] as const;
export type Act = (typeof ACTS)[number] | "hang-lease";

const ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"];
/** Pods of a node that has room for all. */
const ROOMY = 20;

/** The same seed gives the same scenario on every machine. */
export function scenarioOf(seed: number): Scenario {
  const random = new Random(seed ^ 0x5eed);
  const zones = ZONES.slice(0, random.between(1, 3));
  const perZone = zones.map(() => random.between(1, 2));
  const nodes = perZone.reduce((sum, count) => sum + count, 0);
  const tight = random.chance(0.08);
  const workloads = Array.from({ length: random.between(1, 4) }, (_, i) => workload(random, i, nodes));
  const pods = workloads.reduce((sum, { replicas }) => sum + replicas, 0);
  const daemons = random.between(0, 1);
  const overlapping = workloads
    .filter(({ budget }) => budget !== undefined && random.chance(0.03))
    .map(({ name }) => ({ name: `${name}-too`, over: name, spec: { maxUnavailable: 1 } }));
  const more = new Random(seed ^ 0xba1a); // its own: what it draws changes nothing of the others
  const after = new Random(seed ^ 0xaf7e); // the same
  for (const it of workloads) if (after.chance(0.1)) it.minReadySeconds = 20;
  return {
    seed,
    crashing: more.chance(0.05) ? workloads.find(({ budget }) => budget !== undefined)?.name : undefined,
    unready: after.chance(0.15) ? unready(after) : undefined,
    balancers: Array.from({ length: more.chance(0.15) ? more.between(1, 2) : 0 }, () => ({
      delaySeconds: more.pick([0, 5, 30]),
      controllerSeconds: more.pick([0.2, 1, 10]),
    })),
    kind: random.pick(["eks-managed", "self-managed"]),
    zones,
    perZone,
    greenPods: tight ? Math.max(1 + daemons, Math.floor(pods / nodes) + daemons) : ROOMY,
    times: times(random),
    daemons,
    workloads,
    overlapping,
    foreignCordon: nodes > 1 && random.chance(0.08),
    rollout: rollout(random, workloads),
    runs: runs(random),
    meddling: [
      ...(random.chance(0.5) ? [] : meddling(random)),
      ...(more.chance(0.03)
        ? [{ act: "hang-lease" as const, atSeconds: more.between(0, 300) / 10, pick: more.next() }]
        : []),
    ],
  };
}

function workload(random: Random, i: number, nodes: number): WorkloadPlan {
  const kind = random.chance(0.6) ? "Deployment" : "StatefulSet";
  const oneHostEach = random.chance(0.1);
  const replicas = random.between(1, oneHostEach ? Math.min(4, nodes) : 4);
  const stopSeconds = random.pick([0, 1, 3, 5, 20]);
  return {
    kind,
    name: `${kind === "Deployment" ? "web" : "db"}-${"abcd"[i] ?? ""}`,
    replicas,
    volumes: kind === "StatefulSet" && random.chance(0.6) && !oneHostEach, // a zone may have fewer nodes than volumes
    startSeconds: random.pick([0, 1, 2, 4, 8]),
    stopSeconds,
    graceSeconds: Math.max(stopSeconds, random.pick([1, 5, 30])),
    minReadySeconds: random.pick([0, 0, 0, 3, 6]),
    oneHostEach,
    budget: budget(random, replicas),
    sick: random.chance(0.02),
  };
}

const unready = (random: Random): Unready => ({
  at: random.pick(["preflight", "green", "protect"]),
  picks: Array.from({ length: random.between(1, 3) }, () => random.next()),
  backSeconds: random.chance(0.2) ? undefined : random.pick([2, 10, 30, 45]),
});

function budget(random: Random, replicas: number): Budget | undefined {
  if (random.chance(0.3)) return undefined;
  if (random.chance(0.04))
    return random.pick<Budget>([
      { maxUnavailable: 0 },
      { minAvailable: "100%" },
      { minAvailable: replicas },
      { maxUnavailable: "0%" },
    ]);
  if (replicas === 1) return random.pick<Budget>([{ maxUnavailable: 1 }, { maxUnavailable: "50%" }]);
  return random.pick<Budget>([
    { maxUnavailable: 1 },
    { maxUnavailable: random.between(1, replicas) },
    { maxUnavailable: random.pick(["10%", "25%", "50%"]) },
    { minAvailable: replicas - 1 },
    { minAvailable: random.between(1, replicas - 1) },
    { minAvailable: "50%" },
    { maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow" },
  ]);
}

const times = (random: Random): Scenario["times"] => ({
  bootSeconds: random.pick([1, 3, 10]),
  attachSeconds: random.pick([0, 1, 4]),
  detachSeconds: random.pick([0, 1, 4]),
  updateSeconds: random.pick([0, 1, 5]),
  watchDelay: random.pick([
    { low: 0, high: 5 },
    { low: 2, high: 30 },
    { low: 50, high: 400 },
  ]),
  lag: random.pick([
    { low: 5, high: 80 },
    { low: 20, high: 300 },
  ]),
});

function rollout(random: Random, workloads: readonly WorkloadPlan[]): Scenario["rollout"] {
  const last = random.chance(0.2) ? random.pick(workloads).name : undefined;
  return {
    preflight: { timeoutSeconds: random.pick([10, 150]) },
    green: { timeoutSeconds: 40 },
    health: { windowSeconds: random.pick([0, 2, 5]) },
    lease: random.pick([
      { durationSeconds: 10, renewSeconds: 2 },
      { durationSeconds: 30, renewSeconds: 5 },
    ]),
    drain: {
      maxParallel: random.pick([1, 1, 2, "auto", "auto"]),
      canary: random.chance(0.25),
      ...(last !== undefined && {
        podSelector: `app!=${last}`,
        excludedPods: random.pick(["last", "last", "hold"]),
      }),
      podTimeoutSeconds: 60,
      budgetTimeoutSeconds: 150,
      terminationSlackSeconds: 15,
      volumeTimeoutSeconds: 60,
      relaxAfterSeconds: random.pick([3, 20]),
    },
    ...(random.chance(0.1) && { maxDurationSeconds: 60 }),
    rollback: { workloads: last === undefined ? "return" : "stay" },
  };
}

/** Half of the clusters have a network without faults; a third of the runs are killed, some of them twice. */
function runs(random: Random): RunPlan[] {
  const calm = random.chance(0.5);
  const plan = (crash: number): RunPlan => ({
    faults: calm ? {} : faults(random),
    latency: random.pick([
      { low: 1, high: 8 },
      { low: 1, high: 8 },
      { low: 20, high: 120 },
    ]),
    ...(random.chance(crash) && { crashAfterWrite: random.between(1, 70) }),
  });
  return [plan(0.35), plan(0.15)];
}

function faults(random: Random): Faults {
  const rate = random.pick([0.002, 0.002, 0.01, 0.03]);
  const kinds = ["throttle", "serverError", "lost", "answerLost", "conflict", "cloud"] as const;
  const chosen = random.chance(0.4) ? kinds : [random.pick(kinds)];
  return Object.fromEntries(chosen.map((kind) => [kind, rate]));
}

const meddling = (random: Random): Meddling[] =>
  Array.from({ length: random.between(1, 3) }, () => ({
    act: random.pick(ACTS),
    atSeconds: random.between(0, 600) / 10,
    pick: random.next(),
  })).toSorted((a, b) => a.atSeconds - b.atSeconds);

/** Its budget lets nothing go from the start. */
export const isAtZero = ({ budget, replicas }: WorkloadPlan): boolean =>
  budget !== undefined &&
  (budget.maxUnavailable === 0 ||
    budget.maxUnavailable === "0%" ||
    budget.minAvailable === "100%" ||
    budget.minAvailable === replicas);
