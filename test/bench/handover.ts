/**
 * Our handover beside `kubectl drain` node by node, on the same cluster in the same run (docs/benchmarks.md).
 * Both move the same 200 pods from 20 nodes to 20 others; kubectl goes first. Health windows are off: kubectl has none.
 */
import { execFile } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { startSandbox, stopSandbox, type Sandbox } from "../../sandbox/sandbox.ts";
import { terminalProgress } from "../../sandbox/terminal.ts";
import { Actor } from "../support/actors.ts";
import { ClusterView } from "../support/cluster-view.ts";
import { moveNodes } from "../support/handover.ts";
import { addFakeNodes } from "../support/nodes.ts";
import { apply, budget, deployment } from "../support/workloads.ts";
import { Watcher } from "../watcher/watcher.ts";

const NODES = 20;
const DEPLOYMENTS = 40;
const REPLICAS = 5;
const OLD = "aaaaaaaa";
const NEW = "bbbbbbbb";

const run = promisify(execFile);
const seconds = (since: number): number => (Date.now() - since) / 1000;
const names = (prefix: string): string[] =>
  Array.from({ length: NODES }, (_, i) => `${prefix}-${String(i).padStart(2, "0")}`);

interface Leg {
  seconds: number;
  evictions: number;
  movedTwice: number;
  violations: string[];
}

/** @returns whether we were at least as fast, and broke no promise */
export async function handoverBench(): Promise<boolean> {
  const dir = path.join(mkdtempSync(path.join(tmpdir(), "patchguard-bench-")), "sandbox");
  try {
    const box = await startSandbox({ dir, without: ["moto", "machine-room"], progress: terminalProgress() });
    const view = await ClusterView.start(Actor.test(box.kubeconfig).api);
    try {
      await fill(box, view);
      const kubectl = await measured(box, () => kubectlDrain(box));
      await settled(view);
      await run("kubectl", ["uncordon", ...names("old")], { env: box.env });
      const ours = await measured(box, () =>
        moveNodes({ kubeconfig: box.kubeconfig, pool: "bench", generation: OLD }),
      );
      await settled(view);
      return report(kubectl, ours);
    } finally {
      view.stop();
    }
  } finally {
    await stopSandbox({ dir });
  }
}

async function fill(box: Sandbox, view: ClusterView): Promise<void> {
  const { api } = Actor.test(box.kubeconfig);
  const pool = (prefix: string, generation: string) =>
    names(prefix).map((name, i) => ({ name, pool: "bench", generation, zone: `us-east-1${"abc"[i % 3]}` }));
  await addFakeNodes(api, pool("old", OLD));
  for (let i = 0; i < DEPLOYMENTS; i++) {
    const name = `app-${String(i).padStart(2, "0")}`;
    await apply(
      api,
      deployment({ name, replicas: REPLICAS, start: "2s", stop: "5s" }),
      budget({ name, app: name, maxUnavailable: 1 }),
    );
  }
  await settled(view);
  await addFakeNodes(api, pool("new", NEW));
}

/** All pods Ready, none on its way out, every budget with room: both legs start from the same picture. */
const settled = (view: ClusterView): Promise<boolean> =>
  view.eventually(
    () => {
      const pods = view.pods();
      const ready = pods.filter((pod) =>
        pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
      );
      return (
        pods.length === DEPLOYMENTS * REPLICAS &&
        ready.length === pods.length &&
        view.budgets().every(({ status }) => (status?.disruptionsAllowed ?? 0) > 0)
      );
    },
    {
      timeoutSeconds: 300,
      describe: () => `${DEPLOYMENTS * REPLICAS} Ready pods; there are ${view.pods().length}`,
    },
  );

async function kubectlDrain(box: Sandbox): Promise<void> {
  for (const name of names("old")) {
    await run("kubectl", ["drain", name, "--ignore-daemonsets", "--delete-emptydir-data"], {
      env: box.env,
      maxBuffer: 1 << 26,
    });
  }
}

async function measured(box: Sandbox, move: () => Promise<unknown>): Promise<Leg> {
  const watcher = await Watcher.start({ kubeconfig: box.kubeconfig, auditLog: box.auditLog });
  try {
    const began = Date.now();
    await move();
    const took = seconds(began);
    await watcher.settle();
    const { evictions, moves } = watcher.summary();
    return {
      seconds: took,
      evictions: Object.values(evictions).reduce((sum, number) => sum + number, 0),
      movedTwice: Object.values(moves).filter(({ total }) => total > 1).length,
      violations: watcher.violations.map(({ kind }) => kind),
    };
  } finally {
    watcher.stop();
  }
}

function report(kubectl: Leg, ours: Leg): boolean {
  const row = (name: string, leg: Leg): string =>
    `${name.padEnd(34)} ${leg.seconds.toFixed(1).padStart(8)} ${String(leg.evictions).padStart(10)} ${(leg.evictions / (DEPLOYMENTS * REPLICAS)).toFixed(3).padStart(15)} ${String(leg.violations.length).padStart(10)}`;
  console.log(
    `\n${NODES} nodes, ${DEPLOYMENTS * REPLICAS} pods: ${DEPLOYMENTS} Deployments of ${REPLICAS}, maxUnavailable 1; pods start in 2 s and stop in 5 s`,
  );
  console.log(
    `${"".padEnd(34)} ${"seconds".padStart(8)} ${"evictions".padStart(10)} ${"evictions/pod".padStart(15)} ${"violations".padStart(10)}`,
  );
  console.log(row("kubectl drain, node by node", kubectl));
  console.log(row("PatchGuard handover, start to end", ours));
  console.log(`ratio (PatchGuard / kubectl): ${(ours.seconds / kubectl.seconds).toFixed(2)}`);
  for (const kind of new Set(ours.violations)) console.log(`violation: ${kind}`);
  return ours.seconds <= kubectl.seconds && ours.violations.length === 0;
}
