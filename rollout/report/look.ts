import type { Config } from "../config/index.ts";
import { takeSnapshot } from "../snapshot.ts";
import { awsPools, greenSpecOf, targetOf } from "../targets.ts";
import { clusterRef, openWorld } from "../world.ts";
import { reportOf } from "./report.ts";
import type { Report } from "./schema.ts";

/** Reads the cluster once and reports; writes nothing, asks no eviction. @throws Error with one line that says what is wrong with the access */
export async function look(config: Config, stack: string): Promise<Report> {
  const { cluster, clock } = await openWorld(clusterRef(config.cluster));
  const pools = awsPools(config).map((pool) => {
    const target = targetOf(pool, config.cluster.name);
    return { target, green: greenSpecOf(pool, target.generation) };
  });
  return reportOf({
    stack,
    cluster: config.cluster.name,
    config: config.rollout,
    picture: await takeSnapshot(cluster),
    now: clock.now(),
    pools,
  });
}
