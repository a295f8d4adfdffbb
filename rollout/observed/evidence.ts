import { z } from "zod";

/**
 * The evidence of one run of a handover: what was done, when, how long it took, what stood in its way, what was proven. Plain facts
 * for people and machines; docs/observed.md explains each part. Holds no secrets.
 */

/** An instant, in UTC. */
const at = z.iso.datetime();
/** Seconds, to the millisecond. */
const seconds = z.number().nonnegative();
const whole = z.int().nonnegative();

/** How a run ended; docs/architecture.md says what each leaves behind. */
export const RESULTS = [
  "succeeded",
  "held",
  "rolled-back",
  "paused",
  "interrupted",
  "abandoned",
  "blocked",
  "refused",
  "failed",
] as const;

/** What kept pods from being evicted: the Eviction API's refusals, and pre-flight before anything is touched. */
export const CAUSES = [
  "budget",
  "budget-stale",
  "throttled",
  "namespace-terminating",
  "several-budgets",
  "refused",
  "preflight",
] as const;

/** Of a health window. */
export const VERDICTS = ["passed", "failed", "inconclusive", "error", "skipped", "open"] as const;

const pod = z.strictObject({
  /** `namespace/name` */
  pod: z.string(),
  uid: z.string(),
  /** The node that it had to leave. */
  node: z.string().optional(),
  /** `Deployment shop/web`: the controller that replaces it. */
  workload: z.string().optional(),
  /** When its eviction was refused for the first time. */
  refusedAt: at.optional(),
  /** Refusals, by cause. */
  refusals: z.partialRecord(z.enum(CAUSES), whole),
  /** When the Eviction API let it go; left out for one that went by somebody else's hand. */
  evictedAt: at.optional(),
  /** When its object was gone. */
  goneAt: at.optional(),
  /** When its workload was whole again. */
  replacedAt: at.optional(),
  /** From the first refusal to the eviction. */
  refusedSeconds: seconds.optional(),
  /** From the eviction to the end of the object. */
  stopSeconds: seconds.optional(),
  /** What its replacement took: from the eviction on (of a StatefulSet's pod: from its end on), without its volumes. */
  startSeconds: seconds.optional(),
  /** What its volumes took to be handed over. */
  volumeSeconds: seconds.optional(),
});

const node = z.strictObject({
  node: z.string(),
  wave: whole.optional(),
  /** Cordoned, and evictions may begin. */
  startedAt: at,
  /** Every pod that had to go was replaced. */
  movedAt: at.optional(),
  /** Empty. */
  drainedAt: at.optional(),
  drainSeconds: seconds.optional(),
  pods: whole,
});

const blocked = z.strictObject({
  cause: z.enum(CAUSES),
  /** Of the budget, where it is one. */
  namespace: z.string().optional(),
  name: z.string().optional(),
  /** In which at least one pod was held up. */
  seconds,
  /** Summed over the pods. */
  podSeconds: seconds,
  pods: whole,
});

/** What a health window's samples said of one workload and metric. */
const judgement = z.strictObject({
  /** `Deployment shop/web` */
  workload: z.string(),
  metric: z.string(),
  outcome: z.enum(["pass", "fail", "inconclusive", "error", "open"]),
  /** In a sentence: value, baseline, limit, counts. */
  reason: z.string(),
  value: z.number().optional(),
  baseline: z.number().optional(),
  limit: z.number().optional(),
  /** The same value on blue, at the same time. */
  blue: z.number().optional(),
  requests: z.number().optional(),
  /** Every sample that it rests on; left out where there are too many to be kept (`cut` says how many). */
  samples: z
    .array(
      z.strictObject({
        at,
        value: z.number().optional(),
        total: z.number().optional(),
        bad: z.number().optional(),
        /** Of a probe that failed. */
        why: z.string().optional(),
      }),
    )
    .optional(),
});

export const evidenceSchema = z.strictObject({
  /** Layout of this document. */
  version: z.literal(1),
  run: z.strictObject({
    id: z.string(),
    /** `<project>/<stack>` */
    stack: z.string(),
    pool: z.string(),
    /** The generation moved to. */
    generation: z.string(),
    image: z.string(),
    startedAt: at,
    finishedAt: at,
    seconds,
    /** It went on with what an earlier run had begun. */
    resumed: z.boolean(),
  }),
  result: z.enum(RESULTS),
  /** Why it did not succeed. */
  why: z.string().optional(),
  /** What was proven of green; only of a run that succeeded. */
  proof: z.record(z.string(), z.unknown()).optional(),
  evictions: whole,
  /** Evictions that only asked (pre-flight). */
  rehearsals: whole,
  refusals: z.partialRecord(z.enum(CAUSES), whole),
  blocked: z.array(blocked),
  waves: z.array(z.strictObject({ wave: whole, startedAt: at, nodes: z.array(z.string()) })),
  nodes: z.array(node),
  pods: z.array(pod),
  /** Health windows; `skipped` by an operator, `open` where the run ended before its verdict. */
  health: z.array(
    z.strictObject({
      nodes: z.array(z.string()),
      startedAt: at,
      windowSeconds: seconds.optional(),
      endedAt: at.optional(),
      verdict: z.enum(VERDICTS),
      judgements: z.array(judgement).optional(),
    }),
  ),
  requests: z.strictObject({
    kubernetes: z.array(z.strictObject({ verb: z.string(), resource: z.string(), count: whole })),
    cloud: z.array(z.strictObject({ service: z.string(), action: z.string(), count: whole })),
  }),
  /** The run's log but for the lines about single pods, which stand above. */
  log: z.array(z.strictObject({ at, event: z.string(), level: z.string(), message: z.string() })),
  /** How many entries of which list were left out, for want of room. */
  cut: z.record(z.string(), whole).optional(),
});

export type Evidence = z.output<typeof evidenceSchema>;
export type PodEvidence = z.output<typeof pod>;
export type JudgementEvidence = z.output<typeof judgement>;
export type NodeEvidence = z.output<typeof node>;
export type BlockedTime = z.output<typeof blocked>;
export type Result = (typeof RESULTS)[number];
export type Cause = (typeof CAUSES)[number];
