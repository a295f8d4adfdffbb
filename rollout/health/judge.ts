import { meanOf } from "./series.ts";
import { type Judge, shown } from "./verdict.ts";

export const judge: Judge = (cases, { planned, last }) => {
  const judgements = cases.map(({ workload, metric, green, baseline }) => {
    const value = meanOf(green);
    const base = meanOf(baseline) ?? 0;
    const n = green.filter((it) => it.value !== undefined).length;
    const bad =
      value !== undefined &&
      value > (metric.limit ?? -Infinity) &&
      value > (metric.timesBaseline ?? 0) * base;
    const outcome =
      n < planned / 2
        ? last
          ? ("inconclusive" as const)
          : ("open" as const)
        : bad
          ? ("fail" as const)
          : ("pass" as const);
    return {
      workload,
      metric: metric.name,
      outcome,
      reason: `${workload}: ${metric.name} ${shown(metric, value)}, baseline ${shown(metric, base)}, ${n} samples`,
      value,
      baseline: base,
      samples: green,
    };
  });
  const outcome =
    (["fail", "open", "inconclusive"] as const).find((it) => judgements.some((j) => j.outcome === it)) ??
    "pass";
  return { outcome, judgements };
};
