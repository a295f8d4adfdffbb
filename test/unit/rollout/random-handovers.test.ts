import assert from "node:assert/strict";
import { scenarioOf } from "../../simulated/random-handover.ts";
import { play, type Played, tale } from "../../simulated/random-run.ts";

/*
 * A thousand handovers of random small clusters in the simulated API: random workloads and budgets, settings, faults, kills, and others
 * who lay their hands on the cluster meanwhile. Each keeps every promise, and can be finished once what stood in its way is mended.
 * RANDOM_SEED=<seed> plays one alone, with its whole log.
 */
const FILE = "test/unit/rollout/random-handovers.test.ts";
const ONLY = process.env["RANDOM_SEED"] === undefined ? undefined : Number(process.env["RANDOM_SEED"]);
const SEEDS = ONLY === undefined ? Array.from({ length: 1000 }, (_, i) => i + 1) : [ONLY];

const replayOf = (seed: number): string => `RANDOM_SEED=${seed} npx mocha ${FILE}`;

/** One more line for each seed whose handover broke a promise, or could not be played. */
async function problemsOf(seed: number, see: (played: Played) => void): Promise<string[]> {
  try {
    const played = await play(scenarioOf(seed));
    see(played);
    return played.problems;
  } catch (error) {
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  }
}

describe("handovers of random small clusters", () => {
  const count = new Map<string, number>();
  const add = (what: string): void => void count.set(what, (count.get(what) ?? 0) + 1);
  const tally = ({ scenario, ends, acts, judgement }: Played): void => {
    for (const end of ends) add(`end ${end}`);
    for (const act of new Set(acts)) add(`act ${act}`);
    for (const fault of Object.keys(scenario.runs[0]?.faults ?? {})) add(`fault ${fault}`);
    const { canary, maxParallel } = scenario.rollout["drain"] as {
      canary: boolean;
      maxParallel: number | string;
    };
    if (canary) add("canary");
    add(`maxParallel ${maxParallel}`);
    if (judgement.moves.some(({ again }) => again)) add("moved again");
  };

  it(`${SEEDS.length} of them keep every promise`, async function () {
    this.timeout(600_000);
    const failures: string[] = [];
    for (const seed of SEEDS) {
      const problems = await problemsOf(seed, (played) => {
        tally(played);
        if (ONLY !== undefined) console.log(tale(played));
      });
      if (problems.length > 0)
        failures.push(`seed ${seed}:\n    ${problems.slice(0, 5).join("\n    ")}\n  ${replayOf(seed)}`);
    }
    assert.equal(
      failures.length,
      0,
      `${failures.length} of ${SEEDS.length} break a promise:\n${failures.slice(0, 5).join("\n")}`,
    );
  });
});
