import { Abandoned, messageOf } from "../errors.ts";
import type { Job } from "../run.ts";
import { Desk } from "./desk.ts";
import { readOpen } from "./open.ts";
import { Outbox } from "./outbox.ts";
import type { Sink } from "./sink.ts";
import { type Environment, sinksOf } from "./sinks/index.ts";

/** How long the end of a run may wait for sinks that do not answer. Seconds. */
const FLUSH_SECONDS = 15;
/** Pulumi's engine leaves 5 s after the second Ctrl-C; until then, counted from there: the evidence needs the rest. */
const INTERRUPTED_SECONDS = 4;
/** Without an engine the process ends 3 s later (components/dynamic/engine.ts). */
const ABANDONED_SECONDS = 1.5;

export interface AlertedOptions {
  /** File with the evidence of this run, as it will be. */
  file?: string | undefined;
  /** In place of those of the config; tests listen by themselves. */
  sinks?: readonly Sink[];
  env?: Environment;
}

/**
 * Runs a gate or a handover whose announcements also go to the sinks of the config. The work waits for none of them; at its end they
 * have some seconds.
 */
export async function alerted<T>(
  job: Job,
  work: (job: Job) => Promise<T>,
  { file, sinks, env = process.env }: AlertedOptions = {},
): Promise<T> {
  const { clock, log, cluster, clusterName, runId, stack, signal } = job;
  const { pool } = job.target;
  const world = { clock, log, cluster, clusterName, runId, stack, pool, file };
  const chosen = sinks ?? sinksOf(job.config.alerts, env, log);
  if (chosen.length === 0) return work(job);
  const outboxes = chosen.map((sink) => new Outbox(sink, world));
  let ends: number | undefined;
  const stop = (): void => {
    const seconds = signal.reason instanceof Abandoned ? ABANDONED_SECONDS : INTERRUPTED_SECONDS;
    ends = clock.now() + seconds * 1000;
  };
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  const desk = new Desk(world, outboxes, await openOf(job));
  const left = (): number => (ends === undefined ? FLUSH_SECONDS : Math.max(0, ends - clock.now()) / 1000);
  try {
    const result = await work({ ...job, alerts: desk, log: log.also((line) => desk.line(line)) });
    desk.end(undefined);
    return result;
  } catch (error) {
    desk.end(error);
    throw error;
  } finally {
    await desk.flush(left());
    signal.removeEventListener("abort", stop);
  }
}

/** What earlier runs left open. */
async function openOf({
  cluster,
  target: { pool },
  log,
}: Job): Promise<Awaited<ReturnType<typeof readOpen>>> {
  try {
    return await readOpen(cluster, pool);
  } catch (error) {
    log.warning(
      "alert-lost",
      `which alerts an earlier run left open cannot be read, so they are not resolved: ${messageOf(error)}`,
    );
    return new Map();
  }
}
