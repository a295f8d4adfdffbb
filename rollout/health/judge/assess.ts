import type { Case, Sample } from "../metric.ts";
import { chanceBesideBlue, chanceOfRise } from "./chance.ts";
import {
  countsOf,
  failureLimitOf,
  isAnswer,
  isBeyond,
  ruleOf,
  type Rule,
  valueOf,
  valuesOf,
} from "./rule.ts";
import type { Look } from "../verdict.ts";

/** What one workload's samples of one metric amount to, before the other cases of the window are considered. */
export interface Assessment extends Rule {
  case: Case;
  /** `breach`: beyond the limit, and the samples still to come cannot change that. `within`: a whole window within the limit. */
  state: "breach" | "within" | "undecided";
  /** Why nothing is decided. */
  why: string;
  /** Of a breach: how likely noise alone is that far above the baseline; the looks taken meanwhile are counted in. */
  chance: number | undefined;
  value: number | undefined;
  /** Of level and histogram: samples with a value, and those beyond the limit. */
  known: number;
  beyond: number;
  /** Of ratio and histogram. */
  requests: number | undefined;
  blue: number | undefined;
}

/**
 * Among so many samples at the end one may be beyond the limit: of the many series of a window some single last sample nearly always is, and
 * every such window would be lengthened for nothing.
 */
const STRAY_AMONG = 3;
/** Share of a window's samples that must be there. */
const ENOUGH = 0.75;
/** Above this probability, green is taken to be no worse than blue. */
const NO_WORSE_THAN_BLUE = 0.05;
/** Fewer samples of blue are no comparison. */
const BLUE_SAMPLES = 4;

export function assess(one: Case, { planned, last }: Look): Assessment {
  const { metric, green } = one;
  const rule = ruleOf(one);
  const { limit, baseline } = rule;
  const ratio = metric.measure === "ratio";
  const expected = expectedOf(one, planned);
  const known = ratio ? green.filter(isAnswer).length : valuesOf(green).length;
  const requests = green.some(({ total }) => total !== undefined) ? countsOf(green).total : undefined;
  const value = valueOf(one, green);
  const facts = {
    ...rule,
    case: one,
    value,
    known,
    requests,
    beyond: limit === undefined ? 0 : valuesOf(green).filter((it) => isBeyond(one, it, limit)).length,
    blue: valueOf(one, one.blue),
    chance: undefined,
    why: "",
  };
  const undecided = (why: string): Assessment => ({ ...facts, state: "undecided", why });

  if (limit === undefined)
    return undecided("nothing is known of it before the drain, and it has no limit of its own");
  if (known === 0) return undecided("there is no data after the drain");
  if (metric.measure !== "level" && requests !== undefined && requests < metric.minimumRequests)
    return undecided(`fewer than ${metric.minimumRequests} requests say nothing`);
  if (value === undefined) return undecided("there is no data after the drain");

  if (isSettled(one, limit, facts.beyond, known, expected)) {
    const besideBlue = blueExplains(one, limit);
    if (besideBlue)
      return undecided("blue is beyond the limit, too, and green no worse: it is not the image");
    const chance = metric.measure === "probe" ? undefined : chanceOfRise(one, Math.max(baseline ?? 0, limit));
    // one half of the error is for the look at the whole window, the other for all looks before it
    const looks = known >= expected || last ? 2 : 2 * expected;
    return {
      ...facts,
      state: "breach",
      chance: chance === undefined ? 0 : Math.min(1, chance * looks),
    };
  }
  // the last answer of a window may come a moment after its end
  if (known < (last ? Math.ceil(expected * ENOUGH) : expected - 1))
    return undecided(`${known} of ${expected} samples are there`);
  if (facts.beyond > failureLimitOf(metric, Math.max(known, expected)) && !ratio)
    return undecided("it is beyond the limit");
  if (metric.measure === "probe" && facts.beyond === known) return undecided("none went well");
  if (ratio && isBeyond(one, value, limit)) return undecided("it is beyond the limit");
  const end = endOf(one, limit);
  return end === undefined ? { ...facts, state: "within" } : undecided(end);
}

/**
 * Samples that a window of this metric has: as many as were planned, fewer where its source measures more rarely than it is asked, which
 * the baseline tells.
 */
function expectedOf({ metric, baseline, first }: Case, planned: number): number {
  const count = (samples: readonly Sample[]): number =>
    metric.measure === "ratio" ? samples.filter(isAnswer).length : valuesOf(samples).length;
  const before = Math.max(count(baseline), count(first));
  return before === 0 ? planned : Math.min(planned, before);
}

/** Beyond the limit, whatever the rest of the window brings: so an early verdict is the one that the end would give. */
function isSettled(one: Case, limit: number, beyond: number, known: number, expected: number): boolean {
  if (one.metric.measure !== "ratio") return beyond > failureLimitOf(one.metric, Math.max(known, expected));
  const { bad, total } = countsOf(one.green);
  const rest = (total * Math.max(0, expected - known)) / known;
  // the best that may come: as many requests as until now, and none of them bad
  const best = one.metric.worse === "higher" ? bad : bad + rest;
  return isBeyond(one, best / (total + rest), limit);
}

function blueExplains(one: Case, limit: number): boolean {
  const { blue, metric } = one;
  const value = valueOf(one, blue);
  if (value === undefined || valuesOf(blue).length < BLUE_SAMPLES) return false;
  if (metric.measure !== "level" && countsOf(blue).total < metric.minimumRequests) return false;
  return isBeyond(one, value, limit) && chanceBesideBlue(one) > NO_WORSE_THAN_BLUE;
}

/** A window must end well. @returns why it does not */
function endOf(one: Case, limit: number): string | undefined {
  const { metric, green } = one;
  if (metric.consecutiveSuccesses === 0) return undefined;
  const end = green.slice(-metric.consecutiveSuccesses);
  if (end.length < metric.consecutiveSuccesses || !end.every(isAnswer))
    return `its last ${metric.consecutiveSuccesses} samples are not all there`;
  const late = `its last ${metric.consecutiveSuccesses} samples are not within the limit`;
  if (metric.measure !== "level" && end.every(({ total }) => total === 0))
    return "there is no traffic any more";
  if (metric.measure !== "ratio") {
    const beyond = valuesOf(end).filter((value) => isBeyond(one, value, limit)).length;
    return beyond > (end.length >= STRAY_AMONG ? 1 : 0) ? late : undefined;
  }
  const value = valueOf(one, end);
  return value === undefined || isBeyond(one, value, limit) ? late : undefined;
}
