import type { Metric, Source } from "./metric.ts";

/** What the config asks to be measured, and by whom. */
export interface Measured {
  sources: readonly Source[];
  metrics: readonly Metric[];
}
