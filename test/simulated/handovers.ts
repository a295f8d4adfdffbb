import { type RolloutConfig, rolloutSchema } from "../../rollout/config/rollout.ts";
import { handover, type Outcome } from "../../rollout/handover.ts";
import type { Measured } from "../../rollout/health/measured.ts";
import { type LogLine, RunLog } from "../../rollout/log.ts";
import type { Job } from "../../rollout/run.ts";
import { SimulatedCrash, type SessionOptions } from "./session.ts";
import { type Client, groupsFor, world, type World, type WorldOptions } from "./world.ts";

export const BLUE = { generation: "aaaaaaaa", image: "ami-0000000000000000a" };
export const GREEN = { generation: "bbbbbbbb", image: "ami-0000000000000000b" };

/** Blue and green with a node in each of three zones, a guarded web of 4, a Kafka of 3 with zonal volumes, a daemon: seven pods to move. */
export async function smallWorld(
  seed: number,
  options: Omit<WorldOptions, "seed"> = {},
  perZone = 1,
): Promise<World> {
  const it = await world({ seed, ...options })
    .pool("workers", { ...BLUE, perZone })
    .daemonSet("agent")
    .settled();
  it.deployment("web", { replicas: 4, budget: { maxUnavailable: 1 } }).statefulSet("kafka", {
    budget: { minAvailable: 2 },
  });
  await it.settled();
  return it.pool("workers", { ...GREEN, perZone }).settled();
}

export interface RunOptions extends SessionOptions {
  /** What `patchguard:rollout` says; the health window is short unless it says otherwise. */
  rollout?: Record<string, unknown>;
  to?: { generation: string; image: string };
  /** Labels of nodes to take over. */
  adopt?: Record<string, string>;
  signal?: AbortSignal;
  /** Virtual seconds. */
  limitSeconds?: number;
  /** Green's groups; one in each of three zones, EKS managed, unless said otherwise. */
  groups?: ReturnType<typeof groupsFor>;
  /** Sees the process before it does anything. */
  onClient?: (client: Client) => void;
  /** Sees every line of the run's log as it is written: what happens in the world at that moment. */
  onLine?: (line: LogLine) => void;
  /** What health windows measure; nothing but the cluster's own signs without it. */
  measured?: Measured;
  /** What runs; the handover itself unless something is put around it. */
  work?: (job: Job) => Promise<Outcome>;
}

/** How a run of the rollout ended. */
export interface Ended {
  client: Client;
  outcome: Outcome | undefined;
  error: Error | undefined;
  crashed: boolean;
  log: LogLine[];
}

/** Runs one handover, as one process, to its end or its crash. What it throws is part of the answer. */
export async function runHandover(on: World, name: string, options: RunOptions = {}): Promise<Ended> {
  const { to = GREEN, signal = new AbortController().signal, limitSeconds = 7200, work = handover } = options;
  const client = on.client(name, options);
  options.onClient?.(client);
  const log: LogLine[] = [];
  const job = {
    target: {
      pool: "workers",
      generation: to.generation,
      image: { ami: to.image },
      groups: options.groups ?? groupsFor("workers", to.generation),
      adopt: options.adopt,
    },
    later: [],
    config: rolloutConfig(options.rollout),
    stack: "shop/prod",
    runId: name,
    cluster: client.cluster,
    cloud: client.cloud,
    clock: client.clock,
    measured: options.measured,
    log: new RunLog(client.clock, [(line) => log.push(line), options.onLine ?? ((): void => undefined)]),
    signal,
  };
  const end: Ended = { client, outcome: undefined, error: undefined, crashed: false, log };
  try {
    end.outcome = await on.run(Promise.race([work(job), client.session.crashed]), limitSeconds);
  } catch (error) {
    end.error = error instanceof Error ? error : new Error(String(error));
    end.crashed = client.session.dead || error instanceof SimulatedCrash;
  }
  return end;
}

const rolloutConfig = (given: Record<string, unknown> = {}): RolloutConfig =>
  rolloutSchema.parse({ health: { windowSeconds: 5 }, ...given });

/** The run's log as people read it, for the message of a test that failed. */
export const story = (on: { clock: { stamp(at: number): string } }, { log }: Ended, most = 30): string =>
  log
    .slice(-most)
    .map(
      ({ time, level, event, message }) =>
        `  ${on.clock.stamp(Date.parse(time))} ${level} ${event}: ${message}`,
    )
    .join("\n");

/** A container of a web pod on green restarts. */
export function restartOne(on: World): void {
  const green = new Set(
    on.store
      .all("Node")
      .filter(({ metadata }) => metadata.labels?.["patchguard.dev/generation"] === GREEN.generation)
      .map(({ metadata }) => metadata.name),
  );
  const pod = on.store
    .all("Pod")
    .find(
      ({ metadata, spec }) =>
        metadata.labels?.["app"] === "web" &&
        green.has(spec?.nodeName ?? "") &&
        metadata.deletionTimestamp === undefined,
    );
  if (pod === undefined) return;
  on.store.update(
    "Pod",
    pod,
    (draft) => {
      const [status] = draft.status?.containerStatuses ?? [];
      if (status) status.restartCount = (status.restartCount ?? 0) + 1;
    },
    "kubelet",
  );
}
