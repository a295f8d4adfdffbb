import { shown } from "../verdict.ts";
import type { Assessment } from "./assess.ts";

/** What is known of a case, for people: who, what, how much, of how many, and what was allowed. */
export function sentence(it: Assessment, why: string): string {
  const { workload, metric, green, blue } = it.case;
  if (metric.measure === "probe") return ofProbe(it, why);
  const where = blue.length > 0 ? "on green" : "after the drain";
  const meanwhile = it.blue === undefined ? "" : ` (blue meanwhile ${shown(metric, it.blue)})`;
  return (
    `${workload}: ${metric.name} ${shown(metric, it.value)}${measured(it)} ${green.length > 0 ? where : "after the drain"}${meanwhile}` +
    `${limits(it)}${why === "" ? "" : `; ${why}`}`
  );
}

/** `probe front failed 6 of 6 times after the drain, …; at last: …`: a probe is well or not, and says why. */
function ofProbe({ case: one, known, beyond }: Assessment, why: string): string {
  const { workload, metric, green } = one;
  const whose = workload === metric.name ? "" : `${workload}: `;
  const last = green.findLast((sample) => sample.why !== undefined)?.why;
  const bears = metric.failureLimit === undefined ? "a quarter of a window's" : whole(metric.failureLimit);
  return (
    `${whose}${metric.name} failed ${whole(beyond)} of ${whole(known)} times after the drain, limit ${bears}` +
    `${last === undefined ? "" : `; at last: ${last}`}${why === "" ? "" : `; ${why}`}`
  );
}

function measured({ case: { metric }, value, known, beyond, requests, limit }: Assessment): string {
  if (value === undefined) return requests === undefined ? "" : ` of ${whole(requests)} requests`;
  if (metric.measure === "ratio") return ` of ${whole(requests ?? 0)} requests`;
  const far = limit === undefined ? "" : `, ${beyond} of them beyond the limit`;
  return ` as the mean of ${known} ${known === 1 ? "sample" : "samples"}${far}`;
}

function limits({ case: { metric }, baseline }: Assessment): string {
  const parts: string[] = [];
  if (metric.limit !== undefined) parts.push(shown(metric, metric.limit));
  if (metric.timesBaseline !== undefined)
    parts.push(
      `${metric.timesBaseline} times the baseline${baseline === undefined ? ", which is not known" : ` of ${shown(metric, baseline)}`}`,
    );
  return parts.length === 0 ? "" : `, limit ${parts.join(metric.critical ? " or " : " and ")}`;
}

const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const whole = (value: number): string => GROUPED.format(value);
