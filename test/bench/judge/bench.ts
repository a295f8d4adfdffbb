import jstat from "jstat";
import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { WINDOW_ERROR } from "../../../rollout/health/judge.ts";
import { METRICS, PLANNED, SAMPLE_SECONDS, WORKLOADS } from "./services.ts";
import { NODES, type Options, type Window } from "./simulate.ts";
import type { Done, Work } from "./worker.ts";

/**
 * False alarms and misses of the health window's judge, over simulated services (docs/benchmarks.md).
 * @returns whether it kept to its limits
 */
export async function judgeBench({ windows }: { windows: number }): Promise<boolean> {
  const fresh = randomInt(2 ** 31);
  console.log(
    `\n${WORKLOADS} workloads with ${METRICS.length} metrics each, windows of ${PLANNED} samples ${SAMPLE_SECONDS} s apart; fixed seeds from 1, fresh seeds from ${fresh}`,
  );
  let kept = true;
  for (const [seeds, seed] of [
    ["fixed", 1],
    ["fresh", fresh],
  ] as const)
    kept = (await half(seeds, seed, Math.ceil(windows / 2))) && kept;
  return kept;
}

async function half(seeds: string, seed: number, windows: number): Promise<boolean> {
  console.log(`\n${seeds} seeds`);
  const kept = [await falseHalts(seed, windows)];
  const few = Math.min(1000, Math.max(100, Math.ceil(windows / 15)));
  for (const [timesLimit, least] of [
    [2, 0.99],
    [1.3, 0.9],
  ] as const)
    for (const { name } of METRICS) {
      const all = await simulate(
        spread(few, 5, seed, (at) => ({ sick: { workload: at % WORKLOADS, metric: name, timesLimit } })),
      );
      const caught = all.filter(({ outcome, failed }) => outcome === "fail" && failed.includes(name));
      kept.push(
        row(
          `${name} at ${timesLimit} times its limit, 1 of ${WORKLOADS} sick: caught`,
          caught.length,
          all.length,
          {
            least,
            more: `${caught.filter(({ looks }) => looks <= PLANNED).length} by the window's end; half after ${seconds(caught)} s`,
          },
        ),
      );
    }
  const quiet = await simulate(spread(Math.min(few, 300), 5, seed, () => ({ traffic: { requests: 0.1 } })));
  const undecided = quiet.filter(({ outcome }) => outcome === "inconclusive").length;
  kept.push(row("30 requests a window: inconclusive", undecided, quiet.length, { least: 1 }));
  const tight = await simulate(spread(few, 20, seed, () => ({ timesBaseline: 1.1 })));
  const blamed = tight.filter(({ outcome }) => outcome === "fail").length;
  kept.push(row("limits within the noise (1.1 times): failed", blamed, tight.length, { most: WINDOW_ERROR }));
  return kept.every(Boolean);
}

/** Holds count like breaches: both stop a roll-out for nothing. */
async function falseHalts(seed: number, windows: number): Promise<boolean> {
  const all = await simulate(spread(windows, NODES, seed, () => ({})));
  const halts = all.filter(({ outcome }) => outcome !== "pass");
  const failed = halts.filter(({ outcome }) => outcome === "fail").length;
  const most = upperBound(halts.length, all.length);
  const lengthened = all.filter(({ looks }) => looks > PLANNED).length;
  console.log(
    `  a handover of ${NODES} nodes sees a false halt: ${percent(perHandover(halts.length / all.length))}, with 95 % confidence at most ${percent(perHandover(most))}; ` +
      `${percent(lengthened / all.length)} of the windows were lengthened`,
  );
  return row("healthy: halted", halts.length, all.length, {
    most: 1 - 0.99 ** (1 / NODES),
    more: `${failed} breaches, ${halts.length - failed} inconclusive`,
  });
}

const perHandover = (rate: number): number => 1 - (1 - rate) ** NODES;

/** Highest rate that so few events still fit, with 95 % confidence (Clopper and Pearson). */
function upperBound(events: number, of: number): number {
  let low = 0;
  let high = 1;
  for (let step = 0; step < 60; step++) {
    const rate = (low + high) / 2;
    if (jstat.jStat.beta.cdf(rate, events + 1, of - events) < 0.95) low = rate;
    else high = rate;
  }
  return high;
}

function row(
  what: string,
  events: number,
  of: number,
  { least = 0, most = 1, more = "" }: { least?: number; most?: number; more?: string },
): boolean {
  const kept = events / of >= least && events / of <= most;
  const limit = most < 1 ? `at most ${percent(most)}` : `at least ${percent(least)}`;
  console.log(
    `  ${what.padEnd(52)} ${String(events).padStart(6)} of ${of}  ${percent(events / of)} (${limit})${kept ? "" : "  MISSED"}${more === "" ? "" : `  ${more}`}`,
  );
  return kept;
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;

function seconds(windows: readonly Window[]): number {
  const looks = windows.map((it) => it.looks).toSorted((a, b) => a - b);
  return (looks[Math.floor(looks.length / 2)] ?? 0) * SAMPLE_SECONDS;
}

/** So many windows, in handovers of so many. */
function spread(
  windows: number,
  each: number,
  seed: number,
  options: (at: number) => Partial<Options>,
): Options[] {
  return Array.from({ length: Math.ceil(windows / each) }, (_, at) => ({
    ...options(at),
    seed: seed + at,
    windows: each,
  }));
}

/** On all cores. */
async function simulate(work: Work): Promise<Window[]> {
  const workers = Math.min(availableParallelism(), work.length);
  const shares = Array.from({ length: workers }, (_, at) =>
    work.filter((_one, index) => index % workers === at),
  );
  const done = await Promise.all(shares.map(run));
  return done.flat();
}

const run = (work: Work): Promise<Done> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL("worker.ts", import.meta.url), { workerData: work });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
