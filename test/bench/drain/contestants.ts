/** Who empties the old nodes, and how. */
import { execFile, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { LogLine } from "../../../rollout/log.ts";
import { PRODUCT_AGENT } from "../../watcher/names.ts";
import type { Told } from "./child.ts";
import type { BenchCluster } from "./cluster.ts";
import { NEW, OLD, POOL } from "./mixes.ts";

/** What a contestant says of itself. Times are milliseconds since the epoch. */
export interface Ran {
  began: number;
  /** The first act: what is before it are questions. */
  acted: number;
  /** All old nodes are empty; ours: and every pod is replaced. */
  ended: number;
  /** Of the process that ran the handover. */
  process?: { cpuSeconds: number; peakMiB: number };
  /** The whole handover, up to its proof. */
  proved?: number;
  lines?: LogLine[];
}

export interface Contestant {
  name: string;
  ours: boolean;
  agent: string;
  run(cluster: BenchCluster): Promise<Ran>;
}

const exec = promisify(execFile);
const DRAIN = ["--ignore-daemonsets", "--delete-emptydir-data"];

const kubectl = ({ box }: BenchCluster, ...args: string[]): Promise<unknown> =>
  exec("kubectl", args, { env: box.env, maxBuffer: 1 << 28 });

async function timed(work: () => Promise<unknown>): Promise<Ran> {
  const began = Date.now();
  await work();
  return { began, acted: began, ended: Date.now() };
}

export const kubectlByNode: Contestant = {
  name: "kubectl drain, node by node",
  ours: false,
  agent: "kubectl/",
  run: (cluster) =>
    timed(async () => {
      for (const name of cluster.blue()) await kubectl(cluster, "drain", name, ...DRAIN);
    }),
};

/** With a selector kubectl cordons all of them first, and then drains them one after the other. */
export const kubectlCordoned: Contestant = {
  name: "kubectl drain, all cordoned first",
  ours: false,
  agent: "kubectl/",
  run: (cluster) =>
    timed(() => kubectl(cluster, "drain", `--selector=patchguard.dev/generation=${OLD}`, ...DRAIN)),
};

/** @param halfway called once, when half of the nodes are drained */
function handover(
  name: string,
  drain: object,
  halfway?: (cluster: BenchCluster) => Promise<void>,
): Contestant {
  return {
    name,
    ours: true,
    agent: PRODUCT_AGENT,
    async run(cluster) {
      const lines: LogLine[] = [];
      let drained = 0;
      let half: Promise<void> | undefined;
      const child = fork(fileURLToPath(new URL("child.ts", import.meta.url)));
      const { ended } = await new Promise<Extract<Told, { ended: unknown }>>((resolve, reject) => {
        child.once("error", reject);
        child.once("exit", (code) => reject(new Error(`the handover's process ended with ${code}`)));
        child.on("message", (told: Told) => {
          if ("ended" in told) return resolve(told);
          lines.push(told.line);
          if (told.line.event === "node-drained") drained++;
          if (drained >= cluster.nodes / 2) half ??= halfway?.(cluster);
        });
        const { kubeconfig } = cluster.box;
        child.send({ kubeconfig, pool: POOL, generation: NEW, rollout: { drain } });
      });
      await half;
      if (ended.failure !== undefined) throw new Error(`${name}: ${ended.failure}`);
      const at = (line: LogLine | undefined): number => Date.parse(line?.time ?? "");
      const { began, cpuSeconds, peakMiB } = ended;
      return {
        began,
        acted: at(lines.findLast(({ event }) => event === "preflight")), // that it passed
        ended: at(lines.findLast(({ event }) => event === "node-drained")),
        proved: ended.ended,
        process: { cpuSeconds, peakMiB },
        lines,
      };
    },
  };
}

export const SERIAL = "PatchGuard, serial";
export const PARALLEL = "PatchGuard, maxParallel: auto";

type Halfway = (cluster: BenchCluster) => Promise<void>;

export const serial = (halfway?: Halfway): Contestant => handover(SERIAL, { maxParallel: 1 }, halfway);
export const parallel = (halfway?: Halfway): Contestant =>
  handover(PARALLEL, { maxParallel: "auto" }, halfway);
