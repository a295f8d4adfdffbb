import { randomUUID } from "node:crypto";
import { appendFileSync, mkdirSync } from "node:fs";
import path from "node:path";
import { ApiError } from "../../rollout/cluster/cluster.ts";
import { explain } from "../../rollout/cluster/explain.ts";
import type { RolloutConfig } from "../../rollout/config/index.ts";
import { clearConsent } from "../../rollout/consent.ts";
import { Abandoned, messageOf } from "../../rollout/errors.ts";
import { sentence } from "../../rollout/finding.ts";
import { alerted } from "../../rollout/alerts/alerted.ts";
import { gate, workLeft } from "../../rollout/gate.ts";
import { handover } from "../../rollout/handover.ts";
import { type LogSink, RunLog } from "../../rollout/log.ts";
import { observed } from "../../rollout/observed/observed.ts";
import { evidenceFile } from "../../rollout/observed/tell.ts";
import type { Job } from "../../rollout/run.ts";
import type { Target } from "../../rollout/target.ts";
import type { GreenSpec } from "../../rollout/targets.ts";
import { keepHeapSmall } from "../../rollout/thrift.ts";
import { type ClusterRef, openWorld } from "../../rollout/world.ts";
import { engineLog, engineSignal, watchEngine } from "./engine.ts";

// from the first call on, also between jobs: no provider outlives its engine
watchEngine();
keepHeapSmall();

/** Inputs of Gate and Handover: plain data, no credentials. */
export interface JobInputs {
  cluster: ClusterRef;
  target: Target;
  later: Target[];
  /** Names of the stack's pools. Not part of the work either. */
  pools: string[];
  /** What green will be made of. Not part of the work: a change of sizes alone is no reason for a handover. */
  green?: GreenSpec;
  rollout: RolloutConfig;
  /** `<project>/<stack>`. */
  stack: string;
  /** The resource's own URN, for progress on its line. (`urn` itself is taken: every resource has that output.) */
  resourceUrn: string;
}

interface DiffResult {
  changes: boolean;
  replaces: string[];
}

export type Stored = JobInputs & Record<string, unknown>;

/** What counts as changed inputs: the target. How a handover goes (timeouts and the like) is no reason for one. */
const workOf = ({ cluster, target }: JobInputs): string => canonical({ cluster, target });

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(
          Object.entries(part)
            .filter(([key]) => !key.startsWith("__"))
            .toSorted(([a], [b]) => a.localeCompare(b)),
        )
      : part,
  );

/**
 * Level-triggered: besides changed inputs, left-over nodes in the cluster make an update. Called on every preview and up; reads only.
 * A cluster that cannot be reached is a warning and "changes": the update itself will say what is wrong.
 */
async function diff(olds: Stored, news: Stored): Promise<DiffResult> {
  if (workOf(olds) !== workOf(news)) return { changes: true, replaces: [] };
  const log = engineLog(news.resourceUrn);
  try {
    const { cluster } = await openWorld(news.cluster);
    const why = await workLeft(cluster, news.target);
    return { changes: why !== undefined, replaces: [] };
  } catch (error) {
    // the program has warned already, once for all pools (components/plan.ts); an `up` says it again as an error
    const message = `the cluster could not be asked whether anything is left to move, so an update is planned: ${explain(error)}`;
    log({ time: new Date().toISOString(), level: "info", event: "finding", message });
    return { changes: true, replaces: [] };
  }
}

/** For run logs and evidence: copies, never the only ones. */
const localFolder = ({ stack }: JobInputs): string =>
  path.join(process.env["PATCHGUARD_LOG_DIR"] ?? ".patchguard", stack.replaceAll("/", "-"));

/** The NDJSON run log: a copy for people; what the next run needs stands in the cluster. */
function fileLog(inputs: JobInputs): LogSink {
  const { target } = inputs;
  const folder = localFolder(inputs);
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${target.pool}-${target.generation}.ndjson`);
  let lost = false;
  return (line) => {
    try {
      appendFileSync(file, `${JSON.stringify(line)}\n`);
    } catch (error) {
      // a full disk must stop neither a drain nor the telling of a hold; said once, the terminal and the Events go on
      if (!lost) process.stderr.write(`the run log ${file} cannot be written: ${messageOf(error)}\n`);
      lost = true;
    }
  };
}

async function withJob<T>(inputs: Stored, work: (job: Job) => Promise<T>): Promise<T> {
  const { signal, dispose } = engineSignal();
  try {
    const world = await openWorld(inputs.cluster);
    const log = new RunLog(world.clock, [engineLog(inputs.resourceUrn), fileLog(inputs)]);
    const { target, later, pools, green, rollout: config, stack } = inputs;
    return await work({
      ...world,
      target,
      later,
      pools,
      green,
      config,
      stack,
      clusterName: inputs.cluster.name,
      log,
      signal,
      runId: randomUUID().slice(0, 8),
    });
  } catch (error) {
    if (error instanceof Abandoned) process.exitCode = 1;
    // a verdict of ours (Hold, Refused …) has said it all; a bare refusal of the API server has not
    const said = error instanceof Error && error.name !== "Error" && !(error instanceof ApiError);
    throw new Error(said ? messageOf(error) : explain(error), { cause: error });
  } finally {
    dispose();
  }
}

type Outputs = Record<string, unknown>;

async function runGate(inputs: Stored): Promise<Outputs> {
  const { sizes, warnings } = await withJob(inputs, async (job) => {
    await clearConsent(job.cluster);
    return alerted(job, gate);
  });
  return { ...inputs, sizes, warnings: warnings.map(sentence) };
}

async function runHandover(inputs: Stored): Promise<Outputs> {
  const folder = localFolder(inputs);
  const { proof, nodes, pods, seconds } = await withJob(inputs, (job) =>
    observed(
      job,
      (watched) => alerted(watched, handover, { file: evidenceFile(folder, watched.target, watched.runId) }),
      folder,
    ),
  );
  return { ...inputs, proof, nodes, pods, seconds };
}

/** A failed update stays in the state as "to be done again": the engine keeps the resource and updates it next time. */
const partial = (id: string, inputs: Stored, error: unknown): Error =>
  Object.assign(new Error(messageOf(error)), { id, properties: inputs, reasons: [messageOf(error)] });

const idOf = ({ target }: JobInputs, kind: string): string => `${target.pool}-${kind}`;

export const gateDiff = (_id: string, olds: Stored, news: Stored): Promise<DiffResult> => diff(olds, news);
export const handoverDiff = gateDiff;

export const gateCreate = async (inputs: Stored): Promise<{ id: string; outs: Outputs }> => ({
  id: idOf(inputs, "gate"),
  outs: await runGate(inputs),
});
export const gateUpdate = async (_id: string, _olds: Stored, news: Stored): Promise<{ outs: Outputs }> => ({
  outs: await runGate(news),
});

export async function handoverCreate(inputs: Stored): Promise<{ id: string; outs: Outputs }> {
  const id = idOf(inputs, "handover");
  try {
    return { id, outs: await runHandover(inputs) };
  } catch (error) {
    throw partial(id, inputs, error);
  }
}
export const handoverUpdate = async (
  _id: string,
  _olds: Stored,
  news: Stored,
): Promise<{ outs: Outputs }> => ({ outs: await runHandover(news) });

/** `up` starts with consent withdrawn: only the deletion of this resource, by `destroy`, records it (rollout/consent.ts). */
export async function consentCreate(inputs: { cluster: ClusterRef }): Promise<{ id: string; outs: Outputs }> {
  const { cluster } = await openWorld(inputs.cluster);
  await clearConsent(cluster);
  return { id: "destroy-consent", outs: { ...inputs } };
}
