import type { Cluster } from "../../cluster/cluster.ts";
import type { RolloutConfig } from "../../config/index.ts";
import type { RunLog } from "../../log.ts";
import type { Measured } from "../measured.ts";
import { datadogSources } from "./datadog.ts";
import { newRelicSources } from "./newrelic.ts";

/** What sources are made of. */
export interface SourceWorld {
  cluster: Cluster;
  log: RunLog;
}

/** What the config asks to be measured, and by whom. @throws Error where a credential is missing in the environment, by its name */
export function sourcesOf(health: RolloutConfig["health"], _world: SourceWorld): Promise<Measured> {
  if (health.windowSeconds === 0) return Promise.resolve({ sources: [], metrics: [] });
  const parts: Measured[] = [datadogSources(health.datadog), newRelicSources(health.newRelic)];
  return Promise.resolve({
    sources: parts.flatMap(({ sources }) => sources),
    metrics: parts.flatMap(({ metrics }) => metrics),
  });
}
