/** What a person reads of the legs, and the limits that they are held to. */
import { kubectlByNode, PARALLEL, SERIAL } from "./contestants.ts";
import type { Leg } from "./leg.ts";
import type { Mix } from "./mixes.ts";

/** Of kubectl's time node by node, where it is asked for neither replacements nor volumes. */
const SERIAL_OF_KUBECTL: Record<string, number> = { stateless: 0.6, tight: 0.8, stateful: 1.2 };
const SERIAL_OF_BOUND = 1.15;
const PARALLEL_OF_BOUND = 2.5;
/** How many times as fast as kubectl node by node, with this many nodes or more. */
const PARALLEL_FASTER = { nodes: 100, times: 15 };
const REQUESTS_PER_POD: Record<string, number> = { stateless: 2.5, tight: 4 };

const columns: [title: string, width: number, value: (leg: Leg) => string][] = [
  ["", 34, ({ name }) => name],
  ["seconds", 8, ({ seconds }) => seconds.toFixed(1)],
  ["of bound", 8, (leg) => (leg.ours ? ofBound(leg).toFixed(2) : "")],
  ["whole", 8, ({ wholeSeconds }) => wholeSeconds.toFixed(1)],
  ["evicted", 8, ({ evicted }) => String(evicted)],
  ["/pod", 6, ({ evicted, pods }) => (evicted / pods).toFixed(2)],
  ["twice", 6, ({ movedTwice }) => String(movedTwice)],
  ["requests/pod", 13, ({ requestsPerPod }) => requestsPerPod.toFixed(2)],
  ["/node", 6, ({ requestsPerNode }) => requestsPerNode.toFixed(1)],
  ["dry runs", 9, ({ dryRuns }) => String(dryRuns)],
  ["CPU s", 6, ({ process }) => process?.cpuSeconds.toFixed(1) ?? ""],
  ["MiB", 5, ({ process }) => process?.peakMiB.toFixed(0) ?? ""],
  ["broken promises", 16, ({ violations }) => String(violations.length)],
];

const boundOf = ({ name, bounds }: Leg): number => (name === PARALLEL ? bounds.parallel : bounds.serial);
const ofBound = (leg: Leg): number => leg.seconds / boundOf(leg);

/**
 * @param start seconds that the sandbox takes to replace a single pod
 * @param floor seconds that it needs to replace all pods when they are all deleted at once
 */
export function print(mix: Mix, nodes: number, legs: readonly Leg[], start: number, floor: number): void {
  const row = (cells: string[]): string =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(34) : cell.padStart(columns[at]?.[1] ?? 0))).join(" ");
  console.log(`\n${mix.name}, ${nodes} nodes (${mix.about})`);
  console.log(row(columns.map(([title]) => title)));
  for (const leg of legs) console.log(row(columns.map(([, , value]) => value(leg))));
  for (const { name, bounds } of legs.filter(({ ours }) => ours))
    console.log(
      `lower bounds for ${name}: serial ${bounds.serial.toFixed(1)} s, under budgets alone ${bounds.parallel.toFixed(1)} s`,
    );
  console.log(`the sandbox by itself, one pod replaced: ${start.toFixed(2)} s`);
  console.log(`the sandbox by itself, all pods deleted at once: ${floor.toFixed(1)} s\n`);
}

/** @returns what is beyond its limit, one sentence each */
export function judge(mix: Mix, nodes: number, legs: readonly Leg[], floor: number): string[] {
  const missed: string[] = [];
  const check = (kept: boolean, sentence: string): void => {
    if (!kept) missed.push(`${mix.name}, ${nodes} nodes: ${sentence}`);
  };
  const [kubectl, one, all] = [kubectlByNode.name, SERIAL, PARALLEL].map((name) =>
    legs.find((leg) => leg.name === name),
  );
  for (const { name, violations, movedTwice, requestsPerPod } of legs.filter(({ ours }) => ours)) {
    check(violations.length === 0, `${name} broke promises: ${violations.slice(0, 3).join("; ")}`);
    check(movedTwice === 0, `${name} moved ${movedTwice} pods twice`);
    const most = REQUESTS_PER_POD[mix.name] ?? Infinity;
    check(requestsPerPod <= most, `${name} asked ${requestsPerPod.toFixed(2)} times for a pod, not ${most}`);
  }
  if (one) {
    check(ofBound(one) <= SERIAL_OF_BOUND, `${one.name} took ${ofBound(one).toFixed(2)} of its lower bound`);
    const share = one.seconds / (kubectl?.seconds ?? Infinity);
    const most = SERIAL_OF_KUBECTL[mix.name] ?? Infinity;
    check(share <= most, `${one.name} took ${share.toFixed(2)} of kubectl's time, not ${most}`);
  }
  if (one && all)
    check(
      all.seconds <= one.seconds,
      `${all.name} took ${all.seconds.toFixed(1)} s, serial ${one.seconds.toFixed(1)}`,
    );
  if (all && mix.name === "stateless") {
    const times = (kubectl?.seconds ?? Infinity) / all.seconds;
    if (nodes >= PARALLEL_FASTER.nodes)
      check(times >= PARALLEL_FASTER.times, `${all.name} was ${times.toFixed(1)} times as fast as kubectl`);
    // what the sandbox itself cannot do faster is no fault of the handover
    const least = Math.max(boundOf(all), floor);
    check(
      all.seconds <= PARALLEL_OF_BOUND * least,
      `${all.name} took ${(all.seconds / least).toFixed(2)} of the lower bound (${boundOf(all).toFixed(1)} s; the sandbox by itself ${floor.toFixed(1)} s)`,
    );
  }
  return missed;
}
