import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { BlockedTime, Evidence } from "./evidence.ts";
import { RESULTS } from "./evidence.ts";

/** Seconds. */
const BUCKETS = [1, 2, 5, 10, 20, 30, 60, 120, 240, 600, 1800, 3600];
/** Budgets that are told by name; the others of their cause are summed up. */
const NAMED_BUDGETS = 20;

/**
 * The numbers of one run in Prometheus' text format (docs/observed.md). Each run begins at zero: they say what this run did, and are
 * no counters of a process that goes on. The number of series is bounded: no pod, no node is named.
 */
export async function metricsOf(evidence: Evidence): Promise<string> {
  const registry = new Registry();
  const { pool, stack, seconds, finishedAt } = evidence.run;
  registry.setDefaultLabels({ stack, pool });
  const registers = [registry];

  const podMove = new Histogram({
    name: "patchguard_pod_move_seconds",
    help: "What the phases of moving a pod took: refused, stop, start, volume.",
    labelNames: ["phase"],
    buckets: BUCKETS,
    registers,
  });
  for (const pod of evidence.pods) {
    for (const phase of ["refused", "stop", "start", "volume"] as const) {
      const took = pod[`${phase}Seconds`];
      if (took !== undefined) podMove.observe({ phase }, took);
    }
  }
  const nodeDrain = new Histogram({
    name: "patchguard_node_drain_seconds",
    help: "From the cordon of a node until it was drained.",
    buckets: BUCKETS,
    registers,
  });
  for (const { drainSeconds } of evidence.nodes)
    if (drainSeconds !== undefined) nodeDrain.observe(drainSeconds);

  new Counter({
    name: "patchguard_evictions_total",
    help: "Pods that the Eviction API let go.",
    registers,
  }).inc(evidence.evictions);
  const refusals = new Counter({
    name: "patchguard_eviction_refusals_total",
    help: "Evictions that were refused.",
    labelNames: ["cause"],
    registers,
  });
  for (const [cause, number] of Object.entries(evidence.refusals)) refusals.inc({ cause }, number);
  const blocked = new Counter({
    name: "patchguard_blocked_seconds_total",
    help: "Time in which at least one pod was held up, by cause; of a budget with its namespace and name.",
    labelNames: ["cause", "namespace", "name"],
    registers,
  });
  for (const { cause, namespace = "", name = "", seconds } of capped(evidence.blocked))
    blocked.inc({ cause, namespace, name }, seconds);
  const requests = new Counter({
    name: "patchguard_api_requests_total",
    help: "Requests to the Kubernetes API server, repetitions included.",
    labelNames: ["verb", "resource"],
    registers,
  });
  for (const { verb, resource, count } of evidence.requests.kubernetes)
    requests.inc({ verb, resource }, count);
  const cloud = new Counter({
    name: "patchguard_cloud_requests_total",
    help: "Requests to the cloud, repetitions included.",
    labelNames: ["service", "action"],
    registers,
  });
  for (const { service, action, count } of evidence.requests.cloud) cloud.inc({ service, action }, count);

  new Gauge({
    name: "patchguard_handover_seconds",
    help: "What the last run of the handover took.",
    registers,
  }).set(seconds);
  const result = new Gauge({
    name: "patchguard_handover_result",
    help: "1 for the way in which the last run ended, 0 for all others.",
    labelNames: ["result"],
    registers,
  });
  for (const each of RESULTS) result.set({ result: each }, each === evidence.result ? 1 : 0);
  new Gauge({
    name: "patchguard_handover_finished_timestamp_seconds",
    help: "When the last run of the handover ended.",
    registers,
  }).set(Date.parse(finishedAt) / 1000);
  return registry.metrics();
}

/** The longest by name; the rest of each cause in one. */
function capped(times: readonly BlockedTime[]): BlockedTime[] {
  const named = times.slice(0, NAMED_BUDGETS);
  const others = new Map<string, BlockedTime>();
  for (const time of times.slice(NAMED_BUDGETS)) {
    const known = others.get(time.cause);
    const { cause } = time;
    others.set(cause, {
      cause,
      name: "(others)",
      seconds: (known?.seconds ?? 0) + time.seconds,
      podSeconds: (known?.podSeconds ?? 0) + time.podSeconds,
      pods: (known?.pods ?? 0) + time.pods,
    });
  }
  return [...named, ...others.values()];
}

/**
 * Several pools' texts as one: a metric's samples must stand together, under one HELP and TYPE.
 * @param texts each as metricsOf makes them
 */
export function joinMetrics(texts: readonly string[]): string {
  const families = new Map<string, { head: string[]; samples: string[] }>();
  for (const text of texts) {
    let family: { head: string[]; samples: string[] } | undefined;
    for (const line of text.split("\n")) {
      const name = /^# (?:HELP|TYPE) (\S+)/.exec(line)?.[1];
      if (name !== undefined) {
        family = families.get(name) ?? { head: [], samples: [] };
        families.set(name, family);
        if (!family.head.includes(line)) family.head.push(line);
      } else if (line !== "") family?.samples.push(line);
    }
  }
  return (
    [...families.values()].map(({ head, samples }) => [...head, ...samples].join("\n")).join("\n\n") + "\n"
  );
}
