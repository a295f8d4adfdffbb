import type { Cluster } from "../cluster/cluster.ts";
import { Abandoned, Blocked, Breach, Hold, Interrupted, messageOf, Paused, Refused } from "../errors.ts";
import type { Outcome } from "../handover.ts";
import type { Job } from "../run.ts";
import { imageText } from "../target.ts";
import { Collector } from "./collector.ts";
import type { Evidence, Result } from "./evidence.ts";
import { tell } from "./tell.ts";

/**
 * Runs a handover under observation: what it did, how long that took and what stood in its way is written down at its end, whatever the
 * end. Observes only: no failure in here changes the handover or its outcome.
 * @param folder where the whole evidence is kept as a file; without one the cluster has the summary alone
 */
export async function observed(
  job: Job,
  work: (job: Job) => Promise<Outcome>,
  folder?: string,
): Promise<Outcome> {
  const { clock } = job;
  const collector = new Collector();
  const startedAt = clock.now();
  const log = job.log.also((line) => quietly(() => collector.line(line)));
  const cluster = listening(job.cluster, {
    asked: (...answer) => quietly(() => collector.asked(...answer, clock.now())),
    rehearsed: () => collector.rehearsed(),
  });
  const end = async (result: Result, rest: Partial<Pick<Evidence, "why" | "proof">>): Promise<void> => {
    try {
      const finishedAt = clock.now();
      const { resumed, ...collected } = collector.collected(finishedAt);
      await tell(
        job,
        {
          version: 1,
          run: {
            id: job.runId,
            stack: job.stack,
            pool: job.target.pool,
            generation: job.target.generation,
            image: imageText(job.target.image),
            startedAt: new Date(startedAt).toISOString(),
            finishedAt: new Date(finishedAt).toISOString(),
            seconds: (finishedAt - startedAt) / 1000,
            resumed,
          },
          result,
          ...rest,
          ...collected,
          requests: job.requests?.counts() ?? { kubernetes: [], cloud: [] },
        },
        folder,
      );
    } catch (error) {
      job.log.warning("evidence", `the evidence of this run could not be written: ${messageOf(error)}`);
    }
  };
  try {
    const outcome = await work({ ...job, cluster, log });
    await end("succeeded", { proof: { ...outcome.proof } });
    return outcome;
  } catch (error) {
    await end(resultOf(error), { why: messageOf(error) });
    throw error;
  }
}

/** What an error says of how the run ended (errors.ts). `failed`: none of ours, or putting back has failed, too. */
export function resultOf(error: unknown): Result {
  if (error instanceof Hold) return "held";
  if (error instanceof Breach) return "rolled-back";
  if (error instanceof Paused) return "paused";
  if (error instanceof Interrupted) return "interrupted";
  if (error instanceof Abandoned) return "abandoned";
  if (error instanceof Blocked) return "blocked";
  if (error instanceof Refused) return "refused";
  return "failed";
}

/** The same cluster; what its Eviction API answers is heard. */
function listening(
  cluster: Cluster,
  to: {
    asked: (pod: Parameters<Cluster["evict"]>[0], answer: Awaited<ReturnType<Cluster["evict"]>>) => void;
    rehearsed: () => void;
  },
): Cluster {
  const heard = Object.create(cluster) as Cluster; // all else is the cluster's own
  heard.evict = async (pod, options) => {
    const answer = await cluster.evict(pod, options);
    if (options?.dryRun) to.rehearsed();
    else to.asked(pod, answer);
    return answer;
  };
  return heard;
}

/** An observer that stumbles must not trip what it watches. */
function quietly(act: () => void): void {
  try {
    act();
  } catch {
    // a gap in the evidence is less than a drain that ends in its middle
  }
}
