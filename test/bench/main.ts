/**
 * `npm run bench [-- NAME…]`: the benchmarks of docs/benchmarks.md, all or the named ones. Exit 0 when every one kept to its limit.
 */
import { handoverBench } from "./handover.ts";
import { liveBench } from "./live.ts";
import { previewBench } from "./preview.ts";
import { scaleBench } from "./scale.ts";

const BENCHES = new Map([
  ["scale", scaleBench],
  ["live", liveBench],
  ["preview", previewBench],
  ["handover", handoverBench],
]);

const wanted = process.argv.length > 2 ? process.argv.slice(2) : [...BENCHES.keys()];
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
