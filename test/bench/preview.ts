/** What the live plan adds to a `pulumi preview`, on 100 nodes and 1,000 pods (docs/benchmarks.md). */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { median } from "../../rollout/plan/times.ts";
import { startSandbox, stopSandbox } from "../../sandbox/sandbox.ts";
import { terminalProgress } from "../../sandbox/terminal.ts";
import { Actor } from "../support/actors.ts";
import { ClusterView } from "../support/cluster-view.ts";
import { addFakeNodes } from "../support/nodes.ts";
import { Stack } from "../support/pulumi.ts";
import { pool, stackConfig } from "../support/stacks.ts";
import { apply, budget, deployment } from "../support/workloads.ts";

const NODES = 100;
const DEPLOYMENTS = 50;
const REPLICAS = 20;
const ROUNDS = 5;
const LIMIT_SECONDS = 1.5;

/** @returns whether it kept to its limit */
export async function previewBench(): Promise<boolean> {
  const dir = path.join(mkdtempSync(path.join(tmpdir(), "patchguard-bench-")), "sandbox");
  try {
    const box = await startSandbox({ dir, progress: terminalProgress() });
    const { api } = Actor.test(box.kubeconfig);
    await addFakeNodes(
      api,
      Array.from({ length: NODES }, (_, at) => ({
        name: `node-${at}`,
        pool: "workers",
        generation: "aaaaaaaa",
        zone: `us-east-1${"abc"[at % 3]}`,
      })),
    );
    for (let at = 0; at < DEPLOYMENTS; at++)
      await apply(
        api,
        deployment({ name: `app-${at}`, replicas: REPLICAS }),
        budget({ name: `app-${at}`, app: `app-${at}`, maxUnavailable: 1 }),
      );
    const view = await ClusterView.start(api);
    await view.eventually(
      () => view.pods().filter(({ spec }) => spec?.nodeName !== undefined).length === DEPLOYMENTS * REPLICAS,
      { timeoutSeconds: 300, describe: "all pods are bound" },
    );
    view.stop();
    const stack = await Stack.create(box, config(true));
    const took = { with: [] as number[], without: [] as number[] };
    await stack.start("preview").done; // what is slow only once
    for (let round = 0; round < ROUNDS; round++) {
      for (const plan of [true, false]) {
        stack.configure(config(plan));
        const { code, output, seconds } = await stack.start("preview").done;
        if (code !== 0 || output.includes("pods to move off") !== plan)
          throw new Error(`the preview ended with ${code}:\n${output}`);
        took[plan ? "with" : "without"].push(seconds);
      }
    }
    const [live = NaN, bare = NaN] = [median(took.with), median(took.without)];
    console.log(
      `\npulumi preview on ${NODES} nodes, ${DEPLOYMENTS * REPLICAS} pods; medians of ${ROUNDS}, in turns`,
    );
    console.log(`with findings and plan    ${live.toFixed(2).padStart(6)} s`);
    console.log(`without                   ${bare.toFixed(2).padStart(6)} s`);
    console.log(
      `difference                ${(live - bare).toFixed(2).padStart(6)} s   limit ${LIMIT_SECONDS} s`,
    );
    return live - bare <= LIMIT_SECONDS;
  } finally {
    await stopSandbox({ dir });
  }
}

const config = (plan: boolean): ReturnType<typeof stackConfig> =>
  stackConfig([pool({ image: "good-b" })], { preflight: { plan } });
