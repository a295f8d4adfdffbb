import path from "node:path";
import { ApiError, type Cluster } from "../cluster/cluster.ts";
import { messageOf } from "../errors.ts";
import { evidenceName, STATE_NAMESPACE } from "../names.ts";
import type { Job } from "../run.ts";
import type { Evidence, Result } from "./evidence.ts";
import { joinMetrics, metricsOf } from "./metrics.ts";
import { push, TOKEN_VARIABLE } from "./push.ts";
import { summaryOf } from "./summary.ts";
import { writeWhole } from "./textfile.ts";

/** Bytes of the summary. With the metrics the ConfigMap stays below 100 KiB. */
const SUMMARY_LIMIT = 80 * 1024;
/** How long a Pushgateway that is down may hold up the end of a run. After an interrupt there are seconds left for everything. */
const PUSH_SECONDS = 20;
const PUSH_WHEN_INTERRUPTED_SECONDS = 1;
/** Ends after which nothing is written into the cluster: nothing was begun, or another run may be at work. */
const HANDS_OFF: readonly Result[] = ["blocked", "refused", "abandoned"];

/** Where the whole evidence of a run is on the machine that runs `pulumi`. */
export const evidenceFile = (
  folder: string,
  { pool, generation }: { pool: string; generation: string },
  runId: string,
): string => path.join(folder, `${pool}-${generation}-${runId}.evidence.json`);

/** Puts the evidence where people and Prometheus find it. What cannot be written is one warning line; nothing is thrown. */
export async function tell(job: Job, evidence: Evidence, folder: string | undefined): Promise<void> {
  const { log } = job;
  const { pool } = job.target;
  const places: string[] = [];
  const attempt = async (event: "evidence" | "metrics", what: string, act: () => unknown): Promise<void> => {
    try {
      await act();
    } catch (error) {
      log.warning(event, `${what} of this run could not be written: ${messageOf(error)}`);
    }
  };
  if (folder !== undefined) {
    const file = evidenceFile(folder, evidence.run, evidence.run.id);
    await attempt("evidence", `the evidence (${file})`, () => {
      writeWhole(file, `${JSON.stringify(evidence, undefined, 2)}\n`);
      places.push(file);
    });
  }
  const text = await metricsOf(evidence);
  if (!HANDS_OFF.includes(evidence.result)) {
    const name = evidenceName(pool);
    await attempt("evidence", `the evidence (ConfigMap ${STATE_NAMESPACE}/${name})`, async () => {
      const data = { evidence: JSON.stringify(summaryOf(evidence, SUMMARY_LIMIT)), metrics: text };
      await save(job.cluster, name, data);
      places.push(`ConfigMap ${STATE_NAMESPACE}/${name}`);
    });
  }
  if (places.length > 0)
    log.info("evidence", `the evidence of this run: ${places.join(", ")}`, { result: evidence.result });
  await publish(job, evidence, text, attempt);
}

async function save(cluster: Cluster, name: string, data: Record<string, string>): Promise<void> {
  try {
    await cluster.patch("ConfigMap", name, STATE_NAMESPACE, { data });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    await cluster.create("ConfigMap", { metadata: { name, namespace: STATE_NAMESPACE }, data });
  }
}

/** The metrics of all pools of the stack: of this one as they are now, of the others as their last runs left them. */
async function publish(
  job: Job,
  { result }: Evidence,
  own: string,
  attempt: (event: "metrics", what: string, act: () => unknown) => Promise<void>,
): Promise<void> {
  const { textfile, push: to } = job.config.metrics;
  if (textfile === undefined && to === undefined) return;
  const texts = [own];
  if (result !== "abandoned")
    for (const pool of job.pools ?? []) {
      if (pool === job.target.pool) continue;
      await attempt(
        "metrics",
        `the metrics of pool ${pool}, kept by its last run, are missing: those`,
        async () => {
          const map = await job.cluster.get("ConfigMap", evidenceName(pool), STATE_NAMESPACE);
          const kept = map?.data?.["metrics"];
          if (kept !== undefined) texts.push(kept);
        },
      );
    }
  const text = joinMetrics(texts);
  if (textfile !== undefined)
    await attempt("metrics", `the metrics (${textfile})`, () => writeWhole(textfile, text));
  if (to === undefined || result === "abandoned") return;
  await attempt("metrics", "the metrics", () =>
    push({ ...to, stack: job.stack }, text, {
      clock: job.clock,
      timeoutSeconds: result === "interrupted" ? PUSH_WHEN_INTERRUPTED_SECONDS : PUSH_SECONDS,
      token: process.env[TOKEN_VARIABLE] || undefined,
    }),
  );
}
