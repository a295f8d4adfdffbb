import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { loadConfig } from "../../../rollout/config/index.ts";
import { loadStackFile } from "../../../rollout/config/stack-file.ts";
import { readStacks } from "../../../rollout/ci/stacks.ts";
import { ACTIONS, type Job, ROOT, type Step, WORKFLOWS } from "./files.ts";

const jobs = WORKFLOWS.flatMap(({ path, yaml }) =>
  Object.entries(yaml.jobs).map(([name, job]) => ({ where: `${path}: ${name}`, path, job })),
);
const steps: { where: string; step: Step }[] = [
  ...jobs.flatMap(({ where, job }) => job.steps.map((step) => ({ where, step }))),
  ...ACTIONS.flatMap(({ path, yaml }) => yaml.runs.steps.map((step) => ({ where: path, step }))),
];
const events = (on: (typeof WORKFLOWS)[number]["yaml"]["on"]): string[] =>
  typeof on === "string" ? [on] : Array.isArray(on) ? on : Object.keys(on);
const takesRole = (job: Job): boolean =>
  job.steps.some(({ uses }) => uses === "./.github/actions/open-stack");

describe("the workflows", () => {
  for (const { path, text } of [...WORKFLOWS, ...ACTIONS])
    it(`${path}: every action is pinned by commit, with its version beside it`, () => {
      for (const [, uses = ""] of text.matchAll(/uses: (.+)$/gm)) {
        if (!uses.startsWith("./")) assert.match(uses, /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
      }
    });

  it("an action has the same version everywhere", () => {
    const versions = new Map<string, Set<string>>();
    for (const { text } of [...WORKFLOWS, ...ACTIONS])
      for (const [, name = "", version = ""] of text.matchAll(/uses: ([\w/-]+)@(.+)$/gm))
        versions.set(name, (versions.get(name) ?? new Set()).add(version));
    assert.ok(versions.size >= 4);
    for (const [name, found] of versions) assert.equal(found.size, 1, `${name}: ${[...found].join(", ")}`);
  });

  for (const { path, yaml } of WORKFLOWS) {
    it(`${path}: no permission but what a job asks for`, () => assert.deepEqual(yaml.permissions, {}));
    it(`${path}: never runs the code of a fork with rights`, () => {
      for (const event of events(yaml.on))
        assert.ok(!["pull_request_target", "workflow_run", "issue_comment"].includes(event), event);
    });
  }

  it("what comes from outside reaches a shell as a variable, never as text", () => {
    for (const { where, step } of steps)
      assert.ok(!(step.run ?? "").includes("${{"), `${where}: ${step.run}`);
  });

  it("no key is kept: nothing but the passphrase of a state is a secret", () => {
    for (const { path, text } of [...WORKFLOWS, ...ACTIONS]) {
      for (const [, name = ""] of text.matchAll(/secrets\.(\w+)/g))
        assert.equal(name, "PULUMI_CONFIG_PASSPHRASE", path);
      assert.doesNotMatch(text, /aws-access-key|aws-secret|secrets: inherit/i);
    }
  });

  it("every job ends some time", () => {
    for (const { where, job } of jobs) assert.ok(job["timeout-minutes"] !== undefined, where);
  });

  it("a job writes only where it must: the comment's job has no role, and a job with a role writes nothing on GitHub", () => {
    for (const { where, job } of jobs) {
      const { "id-token": token, ...rest } = job.permissions ?? {};
      const writes = Object.entries(rest).filter(([, right]) => right !== "read");
      assert.equal(token === "write", takesRole(job), where);
      assert.deepEqual(
        writes,
        where.endsWith("preview.yml: comment") ? [["pull-requests", "write"]] : [],
        where,
      );
    }
  });

  it("a checkout leaves no token behind", () => {
    for (const { where, step } of steps)
      if (step.uses?.startsWith("actions/checkout@"))
        assert.equal(step.with?.["persist-credentials"], false, where);
  });

  it("of a fork only one job runs, and it does nothing", () => {
    const preview = WORKFLOWS.find(({ path }) => path.endsWith("preview.yml"))!.yaml.jobs;
    assert.match(preview.fork!.if ?? "", /head\.repo\.full_name != github\.repository$/);
    assert.match(preview.stacks!.if ?? "", /head\.repo\.full_name == github\.repository &&/);
    assert.match(preview.comment!.if ?? "", /needs\.stacks\.result == 'success'/);
    assert.deepEqual(preview.fork!.permissions ?? {}, {});
    assert.deepEqual(
      preview.fork!.steps.map((it) => [it.uses, it.run?.startsWith("echo ")]),
      [[undefined, true]],
    );
  });

  it("who may change a cluster is approved by an environment, alone with the stack, and never cancelled", () => {
    const changing = jobs.filter(({ job }) =>
      job.steps.some(({ run = "" }) => /pulumi (up|destroy)/.test(run)),
    );
    assert.deepEqual(
      changing.map(({ where }) => where),
      [".github/workflows/destroy.yml: destroy", ".github/workflows/up.yml: up"],
    );
    for (const { where, job } of changing) {
      assert.equal(job.environment, "${{ matrix.stack }}", where);
      assert.equal(job.concurrency?.["cancel-in-progress"], false, where);
      assert.deepEqual(job.concurrency, changing[0]!.job.concurrency, where);
      assert.equal((job as { env?: Record<string, string> }).env?.["PULUMI_RUN_PROGRAM"], "true", where);
    }
    for (const { where, job } of jobs.filter((it) => !changing.includes(it)))
      assert.ok(!JSON.stringify(job).includes("upRole"), where);
  });

  it("every npm script and file that they call is there", () => {
    const { scripts } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as { scripts: object };
    const shell = readFileSync(`${ROOT}.github/scripts/look.sh`, "utf8");
    for (const run of [shell, ...steps.map(({ step }) => step.run ?? "")]) {
      for (const [, name = ""] of run.matchAll(/npm run (?:--silent )?([\w:]+)/g))
        assert.ok(name in scripts, name);
      for (const [file = ""] of run.matchAll(/(?:\.github|rollout|\.ci)\/[\w/.-]+/g))
        readFileSync(`${ROOT}${file}`);
    }
  });
});

describe(".github/stacks.json", () => {
  const stacks = readStacks(readFileSync(`${ROOT}.github/stacks.json`, "utf8"));
  for (const { stack, timeoutMinutes, region } of stacks)
    it(`${stack}: has a stack file, in its region, and its job ends no sooner than the plan reckons with`, async () => {
      const file = `${ROOT}Pulumi.${stack}.yaml`;
      const config = loadConfig(await loadStackFile(file), file);
      assert.ok(timeoutMinutes * 60 >= config.rollout.jobTimeoutSeconds);
      assert.equal(config.cluster.region, region);
    });
});
