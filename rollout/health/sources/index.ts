import type { Cluster } from "../../cluster/cluster.ts";
import type { RolloutConfig } from "../../config/index.ts";
import type { RunLog } from "../../log.ts";
import type { Measured } from "../measured.ts";
import { datadogSources } from "./datadog.ts";
import { metricsApiSources } from "./metrics-api.ts";
import { newRelicSources } from "./newrelic.ts";
import { probeSources } from "./probes.ts";
import { prometheusSources } from "./prometheus.ts";

/** What sources are made of. */
export interface SourceWorld {
  cluster: Cluster;
  log: RunLog;
}

/** What the config asks to be measured, and by whom. @throws Error where a credential is missing in the environment, by its name */
export async function sourcesOf(
  health: RolloutConfig["health"],
  { cluster, log }: SourceWorld,
): Promise<Measured> {
  if (health.windowSeconds === 0) return { sources: [], metrics: [] };
  const parts: Measured[] = [
    await metricsApiSources(health, cluster, log),
    prometheusSources(health.prometheus, cluster),
    datadogSources(health.datadog),
    newRelicSources(health.newRelic),
    probeSources(health, cluster, log),
  ];
  return {
    sources: parts.flatMap(({ sources }) => sources),
    metrics: parts.flatMap(({ metrics }) => metrics),
  };
}
