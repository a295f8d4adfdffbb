import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Finding, nameOf, sentence } from "../../../rollout/finding.ts";
import { tooLong } from "../../../rollout/plan/limits.ts";
import { planOf } from "../../../rollout/plan/plan.ts";
import { CONTEXT_KINDS, CORE_KINDS, FixedPicture } from "../../../rollout/picture.ts";
import type { Clock } from "../../../rollout/clock.ts";
import type { Cluster } from "../../../rollout/cluster/cluster.ts";
import { findings } from "../../../rollout/preflight/findings.ts";
import { sceneOf } from "../../../rollout/preflight/question.ts";
import { rehearse } from "../../../rollout/preflight/rehearse.ts";
import { RULES } from "../../../rollout/preflight/rules.ts";
import { loadScenario, type Scenario } from "./scenario.ts";

/** Another place for scenarios that are not in the library. */
const own = process.env.SCENARIOS_DIR;
const folder = (name: string): string =>
  join(own ?? fileURLToPath(new URL("../../scenarios", import.meta.url)), name);
const filesIn = (name: string): string[] =>
  readdirSync(folder(name))
    .filter((file) => file.endsWith(".yaml"))
    .toSorted();

const blocksOf = (found: Finding[]): Finding[] => found.filter(({ severity }) => severity !== "warning");
const told = (found: Finding[]): string =>
  found.length === 0 ? "nothing" : found.map((it) => `\n  ${it.rule}: ${sentence(it)}`).join("");

const isExpected = ({ rule, object }: Finding, { expect }: Scenario): boolean =>
  expect.some((it) => it.rule === rule && it.object === nameOf(object));

/** What dry-run evictions bring to light, where the scenario says what the API server answers. */
async function rehearsed({ question, dryRuns }: Scenario): Promise<Finding[]> {
  const evict: Cluster["evict"] = ({ name, namespace }) => {
    const message = dryRuns[`${namespace}/${name}`];
    if (message === undefined) return Promise.resolve({ outcome: "evicted" });
    const status = message.startsWith("Internal error") ? 500 : 403;
    return Promise.resolve({ outcome: "refused", status, message });
  };
  const clock: Clock = { now: () => question.now, sleep: () => Promise.resolve() };
  const world = { cluster: { evict } as Cluster, clock, signal: new AbortController().signal };
  return Object.keys(dryRuns).length === 0 ? [] : rehearse(world, sceneOf(question).moving);
}

/** Every expected finding is there and says what it must; no block is there that is not expected. */
async function check(scenario: Scenario): Promise<void> {
  const { question } = scenario;
  const plan = planOf(question);
  const late = plan === undefined ? [] : tooLong(question.target, plan.estimate, question.config, 0);
  const found = [...findings(question), ...late, ...(await rehearsed(scenario))];
  for (const { rule, object, says } of scenario.expect) {
    const match = found.find((it) => it.rule === rule && nameOf(it.object) === object);
    assert.ok(match, `expected ${rule} on ${object}; found ${told(found)}`);
    const text = sentence(match);
    for (const part of says) assert.ok(text.includes(part), `"${part}" is missing in: ${text}`);
  }
  const surplus = blocksOf(found).filter((it) => !isExpected(it, scenario));
  assert.equal(surplus.length, 0, `blocked by what is not expected: ${told(surplus)}`);
  const forbidden = found.filter(({ rule }) => scenario.never.includes(rule));
  assert.equal(forbidden.length, 0, `these rules have nothing to say here: ${told(forbidden)}`);
}

describe("the library", () => {
  it("has an example in its README that is found as it says", async () => {
    const readme = fileURLToPath(new URL("../../scenarios/README.md", import.meta.url));
    const example = /```yaml\n([^]*?)```/.exec(readFileSync(readme, "utf8"))?.[1] ?? "";
    const place = mkdtempSync(join(tmpdir(), "patchguard-example-"));
    const file = join(place, "example.yaml");
    writeFileSync(file, example);
    try {
      await check(loadScenario(file));
    } finally {
      rmSync(place, { recursive: true });
    }
  });
  it("expects every rule of pre-flight somewhere", function () {
    if (own !== undefined) this.skip();
    const expected = new Set(
      ["healthy", "unhealthy"].flatMap((name) =>
        filesIn(name).flatMap((file) =>
          loadScenario(join(folder(name), file)).expect.map(({ rule }) => rule),
        ),
      ),
    );
    // these read the run state of an earlier handover, which a scenario has not: rollout/preflight/left-short.test.ts
    const byRecord = ["left-short", "left-short-goes-first"];
    const missing = Object.keys(RULES).filter((rule) => !expected.has(rule) && !byRecord.includes(rule));
    assert.deepEqual(missing, [], "each of these wants a scenario");
    const unknown = [...expected].filter((rule) => !(rule in RULES));
    assert.deepEqual(unknown, [], "no rule is called so");
  });
});

describe("the order in which lists arrive", () => {
  for (const name of ["healthy", "unhealthy"]) {
    it(`changes no word of a finding: ${name}`, () => {
      for (const file of filesIn(name)) {
        const { question } = loadScenario(join(folder(name), file));
        const lists = [...CORE_KINDS, ...CONTEXT_KINDS].map((kind) => [
          kind,
          question.picture.all(kind).toReversed(),
        ]);
        const { unread, serverVersion } = question.picture;
        const picture = new FixedPicture(Object.fromEntries(lists) as object, unread, serverVersion);
        assert.deepEqual(findings({ ...question, picture }), findings(question), file);
      }
    });
  }
});

/** The library keeps its size; another folder may have as many as it likes. */
function atLeast(number: number, files: string[]): void {
  if (own !== undefined) return;
  it(`these are ${files.length} files, at least ${number}`, () => assert.ok(files.length >= number));
}

const isBlock = ({ rule }: { rule: string }): boolean => (RULES as Record<string, string>)[rule] === "block";

describe("healthy cluster scenarios", () => {
  const files = filesIn("healthy");
  for (const file of files) {
    it(`${file}: nothing blocks`, async () => {
      const scenario = loadScenario(join(folder("healthy"), file));
      assert.ok(!scenario.expect.some(isBlock), "a healthy scenario expects no block");
      await check(scenario);
    });
  }
  atLeast(25, files);
});

describe("unhealthy cluster scenarios", () => {
  const files = filesIn("unhealthy");
  for (const file of files) {
    it(`${file}: found, and nothing else blocks`, async () => {
      const scenario = loadScenario(join(folder("unhealthy"), file));
      assert.ok(scenario.expect.length > 0, "an unhealthy scenario expects a finding");
      await check(scenario);
    });
  }
  atLeast(40, files);
});
