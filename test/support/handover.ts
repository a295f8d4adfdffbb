/** Runs the rollout's own handover against a sandbox's API server, with a cloud that has no groups. */
import { alerted } from "../../rollout/alerts/alerted.ts";
import type { Environment } from "../../rollout/alerts/sinks/index.ts";
import type { Cloud } from "../../rollout/cloud/cloud.ts";
import { systemClock } from "../../rollout/clock.ts";
import { createCluster } from "../../rollout/cluster/client.ts";
import { connect } from "../../rollout/cluster/kubeconfig.ts";
import { rolloutSchema } from "../../rollout/config/rollout.ts";
import { handover, type Outcome } from "../../rollout/handover.ts";
import { type LogSink, RunLog } from "../../rollout/log.ts";
import { observed } from "../../rollout/observed/observed.ts";
import { RequestCounts } from "../../rollout/observed/requests.ts";
import type { Job } from "../../rollout/run.ts";

/** Nodes without a cloud behind them: what is looked at happens on the API server. */
const noGroups: Cloud = {
  groups: () => Promise.resolve([]),
  group: () => Promise.resolve(undefined),
  groupsOf: () => Promise.resolve([]),
  groupsWithLabels: () => Promise.resolve([]),
  closedGroups: () => Promise.resolve([]),
  imagesOf: () => Promise.resolve(new Map()),
  resize: () => Promise.resolve("done"),
  suspend: () => Promise.resolve(),
  resume: () => Promise.resolve(),
  setOwnership: () => Promise.resolve(),
  targetGroups: () => Promise.resolve([]),
  deregistrationDelays: () => Promise.resolve(new Map()),
  targetHealth: () => Promise.resolve(new Map()),
  facts: () => Promise.resolve({ notAsked: [] }),
};

export interface HandoverOptions {
  kubeconfig: string;
  pool: string;
  /** The generation to move to. */
  generation: string;
  /** `patchguard:rollout`; the health window is off unless it says otherwise. */
  rollout?: object;
  sink?: LogSink;
  /** Where the evidence goes; without it the run is not observed. */
  evidence?: string;
  /** Ends the run from outside, as the operator's Ctrl-C does. */
  signal?: AbortSignal;
  /** Where the secrets of `rollout.alerts` are. */
  env?: Environment;
}

export async function moveNodes(options: HandoverOptions): Promise<Outcome> {
  const requests = new RequestCounts();
  const config = await connect({ kind: "kubernetes", kubeconfig: options.kubeconfig, context: "sandbox" });
  const cluster = createCluster(config, {
    requestTimeoutSeconds: 30,
    userAgent: "patchguard/test",
    clock: systemClock,
    onRequest: (method, path) => requests.toKubernetes(method, path),
  });
  const { evidence } = options;
  const told = (job: Job): Promise<Outcome> => alerted(job, handover, { env: options.env ?? {} });
  const work = evidence === undefined ? told : (job: Job) => observed(job, told, evidence);
  return work({
    target: {
      pool: options.pool,
      generation: options.generation,
      image: { releaseVersion: "1.34.1-20251027" },
      groups: [],
    },
    later: [],
    config: rolloutSchema.parse({ health: { windowSeconds: 0 }, ...options.rollout }),
    stack: "patchguard/test",
    runId: String(Math.random()),
    cluster,
    cloud: noGroups,
    clock: systemClock,
    requests,
    log: new RunLog(systemClock, options.sink === undefined ? [] : [options.sink]),
    signal: options.signal ?? new AbortController().signal,
  });
}
