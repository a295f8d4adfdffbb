import { z } from "zod";

/**
 * What `npm run preflight -- --json` prints, and what the stack output `plan` holds in short. docs/preflight.schema.json is the same as
 * JSON Schema; a unit test compares the two. A new optional field keeps the version; anything else raises it.
 */

const object = z.strictObject({
  kind: z.string(),
  namespace: z.string().optional().describe("Absent for objects without a namespace."),
  name: z.string(),
});

const findingSchema = z.strictObject({
  severity: z
    .enum(["block", "warning", "wait"])
    .describe("block: nothing may move. wait: pods of an interrupted run on their way."),
  rule: z.string().describe("docs/reference.md lists the rules."),
  object,
  why: z.string(),
  fix: z.string().describe("What to do next."),
});

const seconds = z.int().nonnegative();

const planSchema = z.strictObject({
  nodes: z
    .array(
      z.strictObject({
        node: z.string(),
        zone: z.string(),
        wave: z.int().positive().describe("Nodes of the same wave are drained together."),
        why: z.string().describe("Why it has this place in the order."),
        evictions: z.int().nonnegative(),
        budgets: z.array(
          z.strictObject({
            budget: z.string().describe("namespace/name"),
            pods: z.int().positive().describe("Pods of this node that it guards."),
            allowed: z.int().describe("Disruptions that it allows at a time, as it stands now."),
          }),
        ),
        seconds: seconds.describe("About how long the node takes, health window included."),
      }),
    )
    .describe("In the order of the drain."),
  evictions: z.int().nonnegative(),
  green: z.record(z.string(), z.int().nonnegative()).optional().describe("Green's nodes by zone."),
  estimate: z.strictObject({
    seconds,
    parts: z.strictObject({ green: seconds, start: seconds, stop: seconds, windows: seconds }),
    extraNodeHours: z.number().nonnegative().describe("Paid beside blue's."),
  }),
});

const statefulSchema = z.strictObject({
  set: z.string().describe("namespace/name"),
  ready: z.int().nonnegative(),
  wanted: z.int().nonnegative(),
  nodes: z.array(z.string()).describe("Nodes that its pods are on."),
  claims: z.array(
    z.strictObject({
      claim: z.string(),
      volume: z.string().optional().describe("Absent while no volume is bound."),
      place: z.enum(["local", "zonal", "regional", "anywhere", "unknown-zone", "labels", "unbound"]),
      where: z
        .array(z.string())
        .optional()
        .describe("Zones of a zonal or regional volume, nodes of a local one."),
    }),
  ),
});

const poolSchema = z.strictObject({
  pool: z.string(),
  generation: z.string(),
  image: z.string(),
  verdict: z.enum(["clear", "blocked", "nothing to move"]),
  findings: z.array(findingSchema).describe("Blocks first."),
  plan: planSchema.optional().describe("Absent when nothing moves."),
});

export const reportSchema = z.strictObject({
  version: z.literal(1),
  stack: z.string(),
  cluster: z.string(),
  verdict: z.enum(["clear", "blocked", "nothing to move"]),
  pools: z.array(poolSchema).describe("In the order of the handovers."),
  statefulSets: z
    .array(statefulSchema)
    .optional()
    .describe("Every StatefulSet of the cluster, and where its data is."),
  notAsked: z.array(z.string()).describe("What this look did not ask, and why: one sentence each."),
});

export type Report = z.output<typeof reportSchema>;
export type PoolReport = z.output<typeof poolSchema>;

/** The schema as published. */
export const jsonSchema = (): object => ({
  ...z.toJSONSchema(reportSchema),
  title: "PatchGuard pre-flight report",
});
