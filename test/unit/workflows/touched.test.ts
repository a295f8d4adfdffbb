import assert from "node:assert/strict";
import { readStacks } from "../../../rollout/ci/stacks.ts";
import { touched } from "../../../rollout/ci/touched.ts";

describe("which stacks a change touches", () => {
  const known = ["prod", "staging", "eu.west-1"];
  for (const [what, files, stacks] of [
    ["nothing", [], []],
    ["a stack's file: that stack", ["Pulumi.staging.yaml"], ["staging"]],
    ["a stack's name may have dots", ["Pulumi.eu.west-1.yaml"], ["eu.west-1"]],
    [
      "two files: two stacks, in the order of the list",
      ["Pulumi.staging.yaml", "Pulumi.prod.yaml"],
      ["prod", "staging"],
    ],
    ["components: all", ["components/pools.ts"], known],
    ["rollout: all", ["docs/x.md", "rollout/a/b.ts"], known],
    ["the program: all", ["index.ts"], known],
    ["packages: all", ["package-lock.json"], known],
    ["the project's file: all", ["Pulumi.yaml"], known],
    ["the list of stacks: all", [".github/stacks.json"], known],
    [
      "docs, tests, sandbox, workflows: none",
      ["docs/ci.md", "README.md", "test/a.ts", "sandbox/b.ts", ".github/workflows/up.yml"],
      [],
    ],
    ["examples: none", ["Pulumi.example-aks.yaml", "Pulumi.sandbox.yaml"], []],
    [
      "a file of that name elsewhere: none",
      ["docs/index.ts", "docs/Pulumi.prod.yaml", "test/rollout/x.ts"],
      [],
    ],
    ["what cannot be told: all", undefined, known],
  ] as const)
    it(what, () => assert.deepEqual(touched(files, known).stacks, stacks));

  it("says of a stack that is not in the list that nothing is run for it; of an example nothing", () => {
    assert.deepEqual(touched(["Pulumi.lab.yaml", "Pulumi.example-aks.yaml"], known).notes, [
      "Pulumi.lab.yaml has changed, but .github/stacks.json has no stack lab: nothing is run for it",
    ]);
  });
});

describe("the list of stacks", () => {
  const entry = {
    region: "us-east-1",
    previewRole: "arn:aws:iam::123456789012:role/p",
    upRole: "arn:aws:iam::123456789012:role/ci/u",
  };
  const read = (stacks: unknown): unknown => readStacks(JSON.stringify(stacks));

  it("gives six hours where nothing is said, and credentials for as long", () =>
    assert.deepEqual(read({ prod: entry }), [
      { stack: "prod", ...entry, timeoutMinutes: 360, sessionSeconds: 21_600 },
    ]));
  it("asks AWS for no more than twelve hours", () => {
    const [job] = readStacks(JSON.stringify({ prod: { ...entry, timeoutMinutes: 2000 } }));
    assert.equal(job?.sessionSeconds, 43_200);
  });
  it("may be empty", () => assert.deepEqual(read({}), []));

  for (const [what, text, said] of [
    ["no JSON", "{", /\.github\/stacks\.json is not JSON: /],
    ["a list", "[]", /should be a map from stack names/],
    ["an entry that is none", '{"prod":1}', /prod: should be a map/],
    [
      "a role that is none",
      JSON.stringify({ prod: { ...entry, upRole: "admin" } }),
      /prod\.upRole: should be the ARN/,
    ],
    [
      "a region that is none",
      JSON.stringify({ prod: { ...entry, region: "$(id)" } }),
      /prod\.region: should be a region/,
    ],
    ["a name that is none", JSON.stringify({ "a b": entry }), /a b: is no name of a stack/],
    ["a setting nobody knows", JSON.stringify({ prod: { ...entry, role: "x" } }), /prod\.role: is not known/],
    [
      "a time that is none",
      JSON.stringify({ prod: { ...entry, timeoutMinutes: "6h" } }),
      /timeoutMinutes: should be/,
    ],
  ] as const)
    it(`refuses ${what}`, () => assert.throws(() => readStacks(text), said));

  it("names every mistake at once", () =>
    assert.throws(
      () => read({ prod: {}, lab: {} }),
      /prod\.region.*prod\.previewRole.*prod\.upRole.*lab\.region/,
    ));
});
