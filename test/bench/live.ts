/** Findings and plan on a real API server with 1,000 nodes and 10,000 pods, from the moment that the lists have arrived, and the memory of a handover (docs/benchmarks.md). */
import { KubeConfig } from "@kubernetes/client-node";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { systemClock } from "../../rollout/clock.ts";
import { createCluster } from "../../rollout/cluster/client.ts";
import { Transport } from "../../rollout/cluster/transport.ts";
import { Inventory } from "../../rollout/inventory.ts";
import { readContext, withContext } from "../../rollout/snapshot.ts";
import { startSandbox, stopSandbox } from "../../sandbox/sandbox.ts";
import { terminalProgress } from "../../sandbox/terminal.ts";
import { reportOn } from "./report-on.ts";
import { fill } from "./live-fill.ts";
import { makeRoom, providerPeak } from "./provider-peak.ts";

const SIZE = { nodes: 1000, pods: 10_000, budgets: 300 };
const LIMIT_SECONDS = 5;
const LIMIT_MIB = 300;

/** @returns whether it kept to its limit */
export async function liveBench(): Promise<boolean> {
  const dir = path.join(mkdtempSync(path.join(tmpdir(), "patchguard-bench-")), "sandbox");
  try {
    const box = await startSandbox({
      dir,
      without: ["moto", "machine-room", "kwok", "kube-controller-manager", "kube-scheduler"],
      progress: terminalProgress(),
    });
    const kc = new KubeConfig();
    kc.loadFromFile(box.kubeconfig);
    const options = { requestTimeoutSeconds: 60, userAgent: "sandbox-bench", clock: systemClock };
    const transport = new Transport(kc, options);
    await fill(transport, SIZE);
    const cluster = createCluster(kc, options);
    const began = performance.now();
    const inventory = await Inventory.open(cluster);
    try {
      const context = await readContext(cluster);
      const listed = performance.now();
      const report = reportOn(withContext(inventory, context));
      const judged = performance.now();
      const plan = report.pools[0]?.plan;
      console.log(
        `\nlive: ${SIZE.nodes} nodes, ${SIZE.pods} pods, ${SIZE.budgets} budgets on a real API server; ${plan?.nodes.length ?? 0} blue nodes with ${plan?.evictions ?? 0} pods to move`,
      );
      console.log(`lists arrive         ${((listed - began) / 1000).toFixed(1).padStart(7)} s`);
      console.log(
        `findings and plan    ${((judged - listed) / 1000).toFixed(1).padStart(7)} s   limit ${LIMIT_SECONDS} s`,
      );
      await makeRoom(transport, SIZE);
      const peak = await providerPeak(box.kubeconfig);
      console.log(
        `handover's process   ${peak.toFixed(0).padStart(7)} MiB limit ${LIMIT_MIB} MiB, to the first eviction`,
      );
      return judged - listed <= LIMIT_SECONDS * 1000 && peak <= LIMIT_MIB;
    } finally {
      inventory.close();
    }
  } finally {
    await stopSandbox({ dir });
  }
}
