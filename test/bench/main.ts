/**
 * `npm run bench [-- NAME…]`: the benchmarks of docs/benchmarks.md, all or the named ones. Exit 0 when every one kept to its limit.
 * Of `drain`: `--nodes N` (20), `--mix NAME` (all; may be given more than once), `--full` (300 nodes, too).
 * Of `judge`: `--windows N` (30000).
 */
import { parseArgs } from "node:util";
import { drainBench } from "./drain/bench.ts";
import { judgeBench } from "./judge/bench.ts";
import { liveBench } from "./live.ts";
import { previewBench } from "./preview.ts";
import { scaleBench } from "./scale.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    nodes: { type: "string", default: "20" },
    mix: { type: "string", multiple: true },
    windows: { type: "string", default: "30000" },
    full: { type: "boolean", default: false },
  },
});
const nodes = Number(values.nodes);
if (!Number.isInteger(nodes) || nodes < 1) throw new Error(`--nodes ${values.nodes}: a number of nodes`);
const windows = Number(values.windows);
if (!Number.isInteger(windows) || windows < 1)
  throw new Error(`--windows ${values.windows}: a number of windows`);

const BENCHES = new Map([
  ["scale", scaleBench],
  ["live", liveBench],
  ["preview", previewBench],
  ["drain", () => drainBench({ nodes, full: values.full, ...(values.mix && { mixes: values.mix }) })],
  ["judge", () => judgeBench({ windows })],
]);

const wanted = positionals.length > 0 ? positionals : [...BENCHES.keys()];
const missed: string[] = [];
for (const name of wanted) {
  const bench = BENCHES.get(name);
  if (bench === undefined)
    throw new Error(`there is no benchmark ${name}; there are ${[...BENCHES.keys()].join(", ")}`);
  if (!(await bench())) missed.push(name);
}
if (missed.length > 0) {
  console.log(`\nbeyond the limit: ${missed.join(", ")}`);
  process.exitCode = 1;
}
