import { z } from "zod";
import { DEFAULTS } from "../names.ts";
import { alerts } from "./alerts.ts";
import { dnsLabel, flag, httpUrl, labelSelector, nonEmpty, seconds, wholeNumber } from "./fields.ts";
import { health } from "./health.ts";

/** `patchguard:rollout`: how a handover goes. Every field is optional; times are whole seconds. */

const namespaced = { namespace: dnsLabel(63), name: nonEmpty("the name of a PodDisruptionBudget") };

/** A day (`2026-12-31`, its end in UTC) or an instant (`2026-12-31T12:00:00Z`). */
const until = z
  .string({ error: () => 'must be a day such as "2026-12-31" (in quotes)' })
  .superRefine((value, context) => {
    const shape = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;
    if (!shape.test(value) || Number.isNaN(Date.parse(value)))
      context.addIssue({
        code: "custom",
        message: `"${value}" is neither a day such as 2026-12-31 nor an instant such as 2026-12-31T12:00:00Z`,
      });
  });

const preflight = z.strictObject({
  /** How long pre-flight waits for blocking findings to clear. Seconds; default 1800. 0 = fail at once. */
  timeoutSeconds: seconds(0).default(DEFAULTS.preflightTimeoutSeconds),
  /** Which budgets can block: all of the cluster's, or those of pods on the pool's nodes. Default: cluster. */
  scope: z.enum(["cluster", "pool"], { error: () => "must be cluster or pool" }).default("cluster"),
  /** Budgets that are at zero on purpose (an operator moves the primary itself): they warn and do not block. Default: none. */
  byDesign: z.array(z.strictObject(namespaced)).default([]),
  /** Budgets whose blocking is accepted for a while: they warn until the day is over. Default: none. */
  exceptions: z
    .array(z.strictObject({ ...namespaced, reason: nonEmpty("why this is acceptable"), until }))
    .default([]),
  /** Show findings and plan in `pulumi preview` and `up`. false where no preview may read the cluster. Default: true. */
  plan: flag().default(true),
});

const drain = z.strictObject({
  /** Pods to move with their nodes, as kubectl's --pod-selector. Default: role!=critical. */
  podSelector: labelSelector().default("role!=critical"),
  /**
   * Pods that the selector leaves out: moved when all others are, one at a time, each with its own health window (`last`), or left to the
   * operator; the run then holds (`hold`). Default: last.
   */
  excludedPods: z.enum(["last", "hold"], { error: () => "must be last or hold" }).default("last"),
  /** Consent to lose what pods keep in emptyDir volumes. Default: false, such pods block. */
  deleteEmptyDirData: flag().default(false),
  /** Label selector of pods without a controller that may be evicted although nothing makes them again. Default: none. */
  unmanagedPods: labelSelector().optional(),
  /** From "the old pod is gone" to "its replacement is Ready". Seconds; default 240. */
  podTimeoutSeconds: seconds(1).default(DEFAULTS.podTimeoutSeconds),
  /** How long a budget may refuse one eviction before the handover holds. Seconds; default 600. */
  budgetTimeoutSeconds: seconds(1).default(DEFAULTS.budgetTimeoutSeconds),
  /** What a pod may take beyond its own grace period to be gone. Seconds; default 60. */
  terminationSlackSeconds: seconds(1).default(DEFAULTS.terminationSlackSeconds),
  /** How long a volume may take to be detached from the old node and attached to the new one. Seconds; default 420. */
  volumeTimeoutSeconds: seconds(1).default(DEFAULTS.volumeTimeoutSeconds),
  /** A replacement Pending for longer than this relaxes blue's taint to PreferNoSchedule. Seconds; default 30. */
  relaxAfterSeconds: seconds(0).default(DEFAULTS.relaxAfterSeconds),
  /**
   * Nodes that are drained together, in a wave: 1, at most so many of one zone, or `auto`, all of a zone. Budgets hold whatever it says;
   * the health window is the wave's. Default: 1.
   */
  maxParallel: z
    .union([wholeNumber(1, 1000, "auto or a number of nodes"), z.literal("auto")], {
      error: () => "must be auto or a number of nodes from 1 to 1000",
    })
    .default(1),
  /** Move one pod of each workload first, and wait out a health window, before any node is drained. Default: false. */
  canary: flag().default(false),
  /** Workloads with deadlines of their own. The first that names a pod holds. Default: none. */
  overrides: z
    .array(
      z.strictObject({
        namespace: dnsLabel(63),
        /** Pods of the namespace, as kubectl's --selector. Default: all. */
        podSelector: labelSelector().optional(),
        /** In place of `drain.podTimeoutSeconds`. Seconds. */
        podTimeoutSeconds: seconds(1),
      }),
    )
    .default([]),
  /** Pods of Jobs that are still running. */
  jobs: z
    .strictObject({
      /** How long they may go on, from their node's turn on. Seconds; default 0: they are evicted like any other. */
      waitSeconds: seconds(0).default(DEFAULTS.jobWaitSeconds),
      /** What becomes of those that are not done by then: evicted (their Job starts them again), or the run holds. Default: evict. */
      afterwards: z.enum(["evict", "hold"], { error: () => "must be evict or hold" }).default("evict"),
    })
    .prefault({}),
  /** Nodes with pods of these namespaces are drained last, so that there is somebody to watch. Default: monitoring. */
  monitoringNamespaces: z.array(dnsLabel(63)).default(["monitoring"]),
});

const green = z.strictObject({
  /** How long green may take to join and become Ready. Seconds; default 900. */
  timeoutSeconds: seconds(1).default(DEFAULTS.greenTimeoutSeconds),
});

const lease = z.strictObject({
  /** How long the cluster's Lease is valid without renewal; nothing is evicted beyond. Seconds; default 30. */
  durationSeconds: seconds(2, 3600).default(DEFAULTS.leaseDurationSeconds),
  /** How often the Lease is renewed; at most half its duration. Seconds; default 5. */
  renewSeconds: seconds(1, 1800).default(DEFAULTS.leaseRenewSeconds),
});

const pause = z.strictObject({
  /** How long a handover that an operator has paused may rest; it then ends, resumable by the next `up`. Seconds; default: no limit. */
  timeoutSeconds: seconds(1).optional(),
  /** How often a pause is told anew. Seconds; default 300. */
  remindSeconds: seconds(1).default(DEFAULTS.pauseRemindSeconds),
});

const metrics = z.strictObject({
  /** File for node_exporter's textfile collector, replaced in one step at the end of each run. Default: none. */
  textfile: nonEmpty("the path of a file")
    .regex(/\.prom$/, { error: () => "must end in .prom: the textfile collector reads no other file" })
    .optional(),
  /** Pushgateway that is sent the numbers at the end of each run. Default: none. */
  push: z
    .strictObject({
      /** Of the Pushgateway, without `/metrics/…`; a credential comes from the environment (PATCHGUARD_METRICS_TOKEN). */
      url: httpUrl(),
      /** Value of the label `job`. Default: patchguard. */
      job: nonEmpty("a name for the label job").default("patchguard"),
    })
    .optional(),
});

const rollback = z.strictObject({
  /**
   * Pods that were moved before the breach: they stay on green, or return to blue under the same budgets, as far as they fit there.
   * Default: stay.
   */
  workloads: z.enum(["stay", "return"], { error: () => "must be stay or return" }).default("stay"),
});

export const rolloutSchema = z.strictObject({
  /** What must hold before anything is created or closed. */
  preflight: preflight.prefault({}),
  /** How pods are moved off a node. */
  drain: drain.prefault({}),
  /** What is awaited of the new generation before the old one is closed. */
  green: green.prefault({}),
  /** The health window after each node. */
  health: health.prefault({}),
  /** The lock that allows one handover at a time on a cluster. */
  lease: lease.prefault({}),
  /** While an operator has paused a handover (`npm run pause`). */
  pause: pause.prefault({}),
  /** A handover that takes longer ends at a safe point, resumable by the next `up`. Seconds; default: no limit. */
  maxDurationSeconds: seconds(60).optional(),
  /** When the CI job that runs `pulumi up` is ended from outside; the plan warns if it would not be enough. Seconds; default 21600, GitHub's own limit. */
  jobTimeoutSeconds: seconds(60).default(DEFAULTS.jobTimeoutSeconds),
  /** Where the numbers of a run go, as Prometheus metrics. */
  metrics: metrics.prefault({}),
  /** Where alerts go besides the terminal, Kubernetes Events and the run log. */
  alerts: alerts.prefault({}),
  /** What a rollback does beyond reopening blue and closing green. */
  rollback: rollback.prefault({}),
  /** Reserved: must be empty for now. */
  verify: z.strictObject({}).prefault({}),
});

/** `patchguard:rollout`, defaults filled in. */
export type RolloutConfig = z.output<typeof rolloutSchema>;
