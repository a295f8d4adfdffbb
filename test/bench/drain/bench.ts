/** `npm run bench -- drain`: our handover beside `kubectl drain`, on one cluster in one run (docs/benchmarks.md). */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startSandbox, stopSandbox } from "../../../sandbox/sandbox.ts";
import { terminalProgress } from "../../../sandbox/terminal.ts";
import { BenchCluster } from "./cluster.ts";
import { kubectlByNode, kubectlCordoned, parallel, serial, type Contestant } from "./contestants.ts";
import { runLeg, type Leg } from "./leg.ts";
import { MIXES, type Mix, TIMES } from "./mixes.ts";
import { judge, print } from "./report.ts";

export interface DrainOptions {
  /** Nodes to empty. */
  nodes: number;
  /** Names of mixes; all without it. */
  mixes?: string[];
  /** Three hundred nodes as well, where kubectl's drain node by node is left out. */
  full: boolean;
}

/** Beyond this many nodes kubectl node by node takes longer than anybody waits. */
const BY_NODE_AT_MOST = 100;
const FULL_NODES = 300;

/** @returns whether every limit was kept */
export async function drainBench({ nodes, mixes, full }: DrainOptions): Promise<boolean> {
  const unknown = mixes?.filter((name) => !MIXES.some((mix) => mix.name === name)) ?? [];
  if (unknown.length > 0)
    throw new Error(
      `there is no mix ${unknown.join(", ")}; there are ${MIXES.map(({ name }) => name).join(", ")}`,
    );
  const missed: string[] = [];
  for (const mix of MIXES.filter(({ name }) => mixes?.includes(name) ?? true)) {
    for (const size of full ? [nodes, FULL_NODES] : [nodes]) missed.push(...(await onOneCluster(mix, size)));
  }
  for (const line of missed) console.log(`beyond the limit: ${line}`);
  return missed.length === 0;
}

async function onOneCluster(mix: Mix, nodes: number): Promise<string[]> {
  const dir = path.join(mkdtempSync(path.join(tmpdir(), "patchguard-bench-")), "sandbox");
  const stopped = (signal: NodeJS.Signals): void => {
    void stopSandbox({ dir }).finally(() => process.kill(process.pid, signal));
  };
  process.once("SIGINT", stopped).once("SIGTERM", stopped);
  try {
    const box = await startSandbox({
      dir,
      env: { ...process.env, SANDBOX_AUDIT_READS: "1" },
      without: mix.volumes ? [] : ["moto", "machine-room"],
      progress: terminalProgress(),
    });
    const cluster = await BenchCluster.open(box, mix, nodes);
    try {
      await cluster.fill();
      const times = { ...TIMES, start: await cluster.replacementSeconds() };
      await cluster.clear();
      const legs: Leg[] = [];
      for (const contestant of contestants(mix, nodes)) {
        console.log(`${mix.name}, ${nodes} nodes: ${contestant.name}`);
        legs.push(await runLeg(cluster, contestant, times));
        await cluster.clear();
      }
      await cluster.fill();
      const floor = await cluster.replaceAll();
      print(mix, nodes, legs, times.start, floor);
      return judge(mix, nodes, legs, floor);
    } finally {
      cluster.close();
    }
  } finally {
    process.off("SIGINT", stopped).off("SIGTERM", stopped);
    await stopSandbox({ dir });
  }
}

function contestants(mix: Mix, nodes: number): Contestant[] {
  const halfway = mix.scaleOut && ((cluster: BenchCluster) => cluster.scaleOut());
  return [
    ...(mix.peers && nodes <= BY_NODE_AT_MOST ? [kubectlByNode] : []),
    ...(mix.peers ? [kubectlCordoned] : []),
    ...(nodes <= BY_NODE_AT_MOST ? [serial(halfway)] : []),
    parallel(halfway),
  ];
}
