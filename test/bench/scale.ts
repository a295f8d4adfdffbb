/** Inventory, findings and plan of 5,000 nodes, 100,000 pods and 3,000 budgets (docs/benchmarks.md). */
import { KubeConfig } from "@kubernetes/client-node";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../rollout/clock.ts";
import { createCluster } from "../../rollout/cluster/client.ts";
import { takeSnapshot } from "../../rollout/snapshot.ts";
import { reportOn } from "./report-on.ts";

const SIZE = { nodes: 5000, pods: 100_000, budgets: 3000 };
const LIMIT_SECONDS = 25;
const LIMIT_MIB = 2048;

/** @returns whether it kept to its limits */
export async function scaleBench(): Promise<boolean> {
  // a process of its own, so that the peak is of this work alone
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "measure"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const [code] = (await once(child, "close")) as [number];
  if (code !== 0) throw new Error(`the measurement ended with ${code}`);
  const result = JSON.parse(text) as Result;
  console.log(
    `\n${SIZE.nodes} nodes, ${SIZE.pods} pods (${result.podKiB.toFixed(1)} KiB each), ${SIZE.budgets} budgets, read page by page over HTTP; ${result.blue} blue nodes with ${result.evictions} pods to move`,
  );
  console.log(`lists arrive         ${result.listSeconds.toFixed(1).padStart(7)} s`);
  console.log(
    `findings and plan    ${result.judgeSeconds.toFixed(1).padStart(7)} s   ${result.findings} findings`,
  );
  console.log(
    `together             ${(result.listSeconds + result.judgeSeconds).toFixed(1).padStart(7)} s   limit ${LIMIT_SECONDS} s`,
  );
  console.log(
    `peak memory (RSS)    ${String(Math.round(result.peakMiB)).padStart(7)} MiB limit ${LIMIT_MIB} MiB`,
  );
  return result.listSeconds + result.judgeSeconds <= LIMIT_SECONDS && result.peakMiB <= LIMIT_MIB;
}

interface Result {
  podKiB: number;
  blue: number;
  evictions: number;
  findings: number;
  listSeconds: number;
  judgeSeconds: number;
  peakMiB: number;
}

async function measure(): Promise<Result> {
  const server = spawn(
    process.execPath,
    [fileURLToPath(new URL("synthetic-server.ts", import.meta.url)), ...Object.values(SIZE).map(String)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    const [url] = (await once(createInterface(server.stdout), "line")) as [string];
    const kc = new KubeConfig();
    kc.loadFromClusterAndUser({ name: "synthetic", server: url, skipTLSVerify: true }, { name: "nobody" });
    const sample = await (await fetch(`${url}/api/v1/pods?limit=1`)).text();
    const cluster = createCluster(kc, {
      requestTimeoutSeconds: 60,
      userAgent: "patchguard/bench",
      clock: systemClock,
    });
    const began = performance.now();
    const picture = await takeSnapshot(cluster);
    const listed = performance.now();
    const report = reportOn(picture);
    const judged = performance.now();
    const plan = report.pools[0]?.plan;
    return {
      podKiB: sample.length / 1024,
      blue: plan?.nodes.length ?? 0,
      evictions: plan?.evictions ?? 0,
      findings: report.pools[0]?.findings.length ?? 0,
      listSeconds: (listed - began) / 1000,
      judgeSeconds: (judged - listed) / 1000,
      peakMiB: process.resourceUsage().maxRSS / 1024,
    };
  } finally {
    server.kill();
  }
}

if (process.argv[2] === "measure") process.stdout.write(JSON.stringify(await measure()));
