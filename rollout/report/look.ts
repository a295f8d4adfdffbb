import { ApiError, type Cluster } from "../cluster/cluster.ts";
import type { AwsPoolConfig, Config } from "../config/index.ts";
import { owedBy, readRecord } from "../run-state.ts";
import { takeSnapshot } from "../snapshot.ts";
import type { Target } from "../target.ts";
import { awsPools, greenSpecOf, targetOf } from "../targets.ts";
import { clusterRef, openWorld } from "../world.ts";
import { type Look, reportOf } from "./report.ts";
import type { Report } from "./schema.ts";

/**
 * Reads the cluster once and reports; writes nothing, asks no eviction.
 * @param requestTimeoutSeconds deadline of one request; default as everywhere
 * @throws Error with one line that says what is wrong with the access
 */
export async function look(config: Config, stack: string, requestTimeoutSeconds?: number): Promise<Report> {
  const { cluster, cloud } = await openWorld(clusterRef(config.cluster), requestTimeoutSeconds);
  const notAsked = [NO_REHEARSAL];
  const poolOf = async (pool: AwsPoolConfig): Promise<Look["pools"][number]> => {
    const target = targetOf(pool, config.cluster.name);
    const green = greenSpecOf(pool, target.generation);
    const [facts, left] = await Promise.all([
      cloud.facts({ target, green, timeoutSeconds: LIMITS_TIMEOUT_SECONDS }),
      unfinished(cluster, target, notAsked),
    ]);
    return { target, green, cloud: facts, ...left };
  };
  const [picture, pools] = await Promise.all([
    takeSnapshot(cluster),
    Promise.all(awsPools(config).map(poolOf)),
  ]);
  return reportOf({
    stack,
    cluster: config.cluster.name,
    config: config.rollout,
    picture,
    now: cluster.serverTime(),
    pools,
    notAsked,
  });
}

/** The cloud's limits do not hold up a look at the cluster for longer. */
const LIMITS_TIMEOUT_SECONDS = 5;

const NO_REHEARSAL =
  "dry-run evictions were not asked: that takes the right to evict, which a read-only look does not have. `pulumi up` asks every pod before it touches anything.";

/** The record of a handover to this generation that did not end well, and what one before it has left short. */
async function unfinished(
  cluster: Cluster,
  { pool, generation }: Target,
  notAsked: string[],
): Promise<Pick<Look["pools"][number], "resumed" | "owed">> {
  try {
    const record = await readRecord(cluster, pool);
    const goesOn = record?.generation === generation && record.phase !== "succeeded";
    return { resumed: goesOn ? record : undefined, owed: owedBy(record, generation) };
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 403)) throw error;
    notAsked.push(
      `whether a handover of pool ${pool} is unfinished was not asked (${error.message}): pods that it has in hand may be reported as blocks.`,
    );
    return {};
  }
}
