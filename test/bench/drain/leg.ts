/** One contestant on one cluster: what it took, what it asked, and what an independent watcher saw. */
import { createReadStream, statSync } from "node:fs";
import { createInterface } from "node:readline";
import { showViolation } from "../../watcher/observation.ts";
import { Watcher } from "../../watcher/watcher.ts";
import { parallelBound, serialBound, type Times } from "../lower-bound.ts";
import type { BenchCluster } from "./cluster.ts";
import type { Contestant, Ran } from "./contestants.ts";
import { countRequests, forPods, movedTwice } from "./requests.ts";

export interface Leg {
  name: string;
  ours: boolean;
  nodes: number;
  /** From the first act until all old nodes are empty. */
  seconds: number;
  /** Ours: from the start of the process to its proof, pre-flight and rehearsal included. */
  wholeSeconds: number;
  /** The shortest that the pods of this leg, where they were bound, allow. Seconds. */
  bounds: { serial: number; parallel: number };
  /** Pods that had to move. */
  pods: number;
  evicted: number;
  refused: number;
  movedTwice: number;
  /** Evictions asked for, and looks at single pods, for each evicted pod. */
  requestsPerPod: number;
  /** All other requests, for each node. */
  requestsPerNode: number;
  dryRuns: number;
  process?: { cpuSeconds: number; peakMiB: number };
  violations: string[];
}

/** @param times what pods and volumes take, for the lower bounds */
export async function runLeg(cluster: BenchCluster, contestant: Contestant, times: Times): Promise<Leg> {
  await cluster.fill();
  const { kubeconfig, auditLog } = cluster.box;
  const blue = new Set(cluster.blue());
  const places = cluster.places().filter(({ node }) => blue.has(node));
  const bounds = {
    serial: serialBound(places, cluster.workloads, times),
    parallel: parallelBound(places, cluster.workloads, times),
  };
  const start = statSync(auditLog).size;
  const watcher = await Watcher.start({ kubeconfig, auditLog });
  let ran: Ran;
  let violations: string[];
  try {
    ran = await contestant.run(cluster);
    await cluster.whole(300);
    await watcher.settle();
    violations = watcher.violations.map(showViolation);
  } finally {
    watcher.stop();
  }
  const requests = countRequests(await linesFrom(auditLog, start), contestant.agent);
  const { name, ours } = contestant;
  const evicted = requests.evicted.length;
  return {
    name,
    ours,
    nodes: cluster.nodes,
    seconds: (ran.ended - ran.acted) / 1000,
    wholeSeconds: ((ran.proved ?? ran.ended) - ran.began) / 1000,
    bounds,
    pods: places.length,
    evicted,
    refused: requests.refused,
    movedTwice: movedTwice(requests.evicted, new Set(places.map(({ pod }) => pod))),
    requestsPerPod: forPods(requests) / evicted,
    requestsPerNode: (requests.all - forPods(requests)) / cluster.nodes,
    dryRuns: requests.dryRunEvictions,
    ...(ran.process && { process: ran.process }),
    violations,
  };
}

async function linesFrom(file: string, start: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: createReadStream(file, { start }) })) lines.push(line);
  return lines;
}
