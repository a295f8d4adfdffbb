import type { EvictionResult } from "../../../../rollout/cluster/cluster.ts";
import type { LogEvent, LogLine } from "../../../../rollout/log.ts";
import { Collector } from "../../../../rollout/observed/collector.ts";
import type { Evidence } from "../../../../rollout/observed/evidence.ts";

/** Seconds after the start of the recorded run, as milliseconds of a clock. */
export const second = (at: number): number => Date.parse("2026-11-02T03:00:00.000Z") + at * 1000;
export const instant = (at: number): string => new Date(second(at)).toISOString();

export const line = (
  at: number,
  event: LogEvent,
  fields: Record<string, unknown> = {},
  message: string = event,
): LogLine => ({ ...fields, time: instant(at), event, level: "info", message });

const budget = (name: string): EvictionResult => ({
  outcome: "budget",
  budget: name,
  message: `The disruption budget ${name} needs 3 healthy pods and has 3 currently`,
});

/**
 * Two nodes in one wave: two pods of a Deployment behind one budget, a StatefulSet's pod with a volume, a pod that went by somebody
 * else's hand. As a run's log has it, and as the Eviction API answered.
 */
export function recorded(): Collector {
  const collector = new Collector();
  const web = { kind: "ReplicaSet", namespace: "shop", name: "web-5d4" };
  const db = { kind: "StatefulSet", namespace: "shop", name: "db" };
  const pod = (name: string) => ({ name, namespace: "shop", uid: `uid-${name}` });
  const of = (name: string) => ({ pod: `shop/${name}`, uid: `uid-${name}` });
  const say = (...lines: LogLine[]): void => lines.forEach((it) => collector.line(it));

  say(
    line(0, "start", { blue: ["a", "b"], resumed: false }),
    line(1, "blocked", {
      object: "PodDisruptionBudget shop/db",
      finding: { object: { kind: "PodDisruptionBudget", namespace: "shop", name: "db" } },
    }),
    line(11, "unblocked", { object: "PodDisruptionBudget shop/db" }),
    line(12, "preflight", { warnings: 0 }),
  );
  for (let asked = 0; asked < 4; asked++) collector.rehearsed();
  say(
    line(20, "wave", { wave: 1, nodes: ["a", "b"] }),
    line(20, "node-start", { node: "a", pods: ["shop/web-1", "shop/db-0"] }),
    line(21, "node-start", { node: "b", pods: ["shop/web-2", "shop/own"] }),
  );
  collector.asked(pod("web-1"), budget("web"), second(22));
  collector.asked(pod("web-2"), budget("web"), second(24));
  collector.asked(pod("db-0"), { outcome: "throttled", message: "too many requests" }, second(24));
  collector.asked(pod("db-0"), { outcome: "evicted" }, second(26));
  say(line(26, "evict", { ...of("db-0"), node: "a", outcome: "evicted" }));
  collector.asked(pod("web-1"), budget("web"), second(27));
  collector.asked(pod("web-1"), { outcome: "evicted" }, second(32));
  say(line(32, "evict", { ...of("web-1"), node: "a", outcome: "evicted" }));
  say(
    line(33, "pod-moved", { ...of("web-1"), node: "a", workload: web }),
    line(36, "pod-gone", { ...of("db-0"), node: "a" }),
    line(40, "pod-gone", { ...of("own"), node: "b" }),
    line(40, "pod-moved", { ...of("own"), node: "b" }),
  );
  collector.asked(
    pod("web-2"),
    { outcome: "budget-stale", message: "The disruption budget web is still being processed by the server." },
    second(40),
  );
  collector.asked(pod("web-2"), { outcome: "evicted" }, second(42));
  say(
    line(42, "evict", { ...of("web-2"), node: "b", outcome: "evicted" }),
    line(44, "pod-gone", { ...of("web-1"), node: "a" }),
    line(45, "pod-moved", { ...of("web-2"), node: "b", workload: web }),
    line(50, "pod-gone", { ...of("web-2"), node: "b" }),
    line(50, "node-moved", { node: "b" }),
    line(51, "node-moved", { node: "b", pods: ["shop/critical"] }),
    line(52, "node-drained", { node: "b", pods: 2, seconds: 31 }),
    line(58, "pod-moved", { ...of("db-0"), node: "a", workload: db, volumeSeconds: 12.5 }),
    line(58, "node-moved", { node: "a" }),
    line(58, "node-drained", { node: "a", pods: 2, seconds: 38 }),
    line(58, "health", { nodes: ["a", "b"], windowSeconds: 30, workloads: ["shop/db"] }),
    line(88, "health", {
      nodes: ["a", "b"],
      verdict: "passed",
      judgements: [
        {
          workload: "StatefulSet shop/db",
          metric: "errors",
          outcome: "pass",
          reason: "StatefulSet shop/db: errors 0.1 %",
          value: 0.001,
          baseline: undefined,
          samples: [{ at: second(73), value: 0.001, total: 1000, bad: 1, why: "answered 503" }],
        },
      ],
    }),
    line(90, "finish"),
  );
  return collector;
}

export const evidenceOf = (collector = recorded(), pool = "workers"): Evidence => {
  const { resumed, ...collected } = collector.collected(second(90));
  return {
    version: 1,
    run: {
      id: "abcd1234",
      stack: "shop/prod",
      pool,
      generation: "bbbbbbbb",
      image: "ami-0000000000000000b",
      startedAt: instant(0),
      finishedAt: instant(90),
      seconds: 90,
      resumed,
    },
    result: "succeeded",
    ...collected,
    requests: {
      kubernetes: [
        { verb: "create", resource: "pods/eviction", count: 7 },
        { verb: "dry-run", resource: "pods/eviction", count: 4 },
      ],
      cloud: [{ service: "eks", action: "DescribeNodegroup", count: 3 }],
    },
  };
};
