import { z } from "zod";
import { flag, nonEmpty, wholeNumber } from "./fields.ts";

export const positive = (what: string) =>
  z
    .number({ error: () => `must be a number: ${what}` })
    .positive({ error: () => `must be above 0: ${what}` });

/** Settings that every metric has, whatever its source: spread into its schema. What they mean: rollout/health/metric.ts. */
export const rule = {
  /** Unique among the metrics; appears in messages, alerts and evidence. */
  name: nonEmpty("a name such as errors"),
  /** Which direction is bad. Default: higher. */
  worse: z.enum(["higher", "lower"], { error: () => "must be higher or lower" }).default("higher"),
  /** Absolute limit, in the metric's unit. Default: none. */
  limit: z
    .number({ error: () => "must be a number" })
    .min(0)
    .optional(),
  /** Relative limit: so many times the baseline. Default: none. */
  timesBaseline: positive("so many times the baseline").optional(),
  /** One limit is enough for a breach. Default: false, both must be breached. */
  critical: flag().default(false),
  /** Samples of a window that may be beyond the limits. Default: a quarter. */
  failureLimit: wholeNumber(0, 1000, "a number of samples").optional(),
  /** Samples within the limits that a window must end with. Default: 3. */
  consecutiveSuccesses: wholeNumber(0, 1000, "a number of samples").default(3),
  /** Fewer requests than this in a window say nothing. Default: 100. */
  minimumRequests: wholeNumber(0, 1_000_000_000, "a number of requests").default(100),
};
