import assert from "node:assert/strict";
import { readOwnership, writeOwnership } from "../../../rollout/freeze.ts";
import { rollingChanges, sizeAfter } from "../../../rollout/guards.ts";
import { judgePod } from "../../../rollout/pods.ts";
import { matches, parseSelector } from "../../../rollout/selectors.ts";
import { pod } from "./builders.ts";

describe("label selectors", () => {
  const table: [string, Record<string, string>, boolean][] = [
    ["role!=critical", {}, true],
    ["role!=critical", { role: "critical" }, false],
    ["app=web", { app: "web" }, true],
    ["app==web,tier=a", { app: "web" }, false],
    ["tier in (a, b)", { tier: "b" }, true],
    ["tier notin (a,b),app", { app: "x" }, true],
    ["!legacy", { legacy: "" }, false],
    ["", { any: "thing" }, true],
  ];
  for (const [text, labels, expected] of table) {
    it(`"${text}" ${expected ? "matches" : "does not match"} ${JSON.stringify(labels)}`, () => {
      assert.equal(matches(parseSelector(text), labels), expected);
    });
  }
  it("names the part that is no selector", () =>
    assert.throws(() => parseSelector("app=web,=x"), /"=x" is not a label selector/));
  it("matches nothing without a selector (policy/v1: absent is not empty)", () =>
    assert.equal(matches(undefined, {}), false));
});

describe("what a drain does with a pod", () => {
  const rules = { deleteEmptyDirData: false };
  const emptyDir = { spec: { volumes: [{ name: "scratch", emptyDir: {} }] } };
  const table: [string, ReturnType<typeof pod>, Parameters<typeof judgePod>[1], string][] = [
    ["a ReplicaSet's pod", pod("a"), rules, "evict"],
    [
      "a pod without a controller, on its way out",
      pod("a", { owner: "", metadata: { name: "a", uid: "u", deletionTimestamp: "2026-11-20T12:00:20Z" } }),
      rules,
      "evict",
    ],
    ["a DaemonSet's pod", pod("a", { owner: "DaemonSet" }), rules, "ignore"],
    [
      "a mirror pod",
      pod("a", {
        owner: "",
        metadata: { name: "a", uid: "u", annotations: { "kubernetes.io/config.mirror": "x" } },
      }),
      rules,
      "ignore",
    ],
    [
      "a finished pod without a controller",
      pod("a", { owner: "", status: { phase: "Succeeded" } }),
      rules,
      "ignore",
    ],
    ["a pod without a controller", pod("a", { owner: "" }), rules, "refuse"],
    [
      "the same with consent",
      pod("a", { owner: "", labels: { app: "tool" } }),
      { ...rules, unmanagedPods: "app=tool" },
      "evict",
    ],
    ["a pod with an emptyDir", pod("a", emptyDir), rules, "refuse"],
    ["the same with consent", pod("a", emptyDir), { deleteEmptyDirData: true }, "evict"],
    ["a DaemonSet's pod with an emptyDir", pod("a", { owner: "DaemonSet", ...emptyDir }), rules, "ignore"],
    [
      "a pod that the selector leaves out",
      pod("a", { labels: { role: "critical" } }),
      { ...rules, podSelector: "role!=critical" },
      "excluded",
    ],
    [
      "one that goes last keeps the rules of any other",
      pod("a", { labels: { role: "critical" }, ...emptyDir }),
      { ...rules, podSelector: "role!=critical", excludedPods: "last" },
      "refuse",
    ],
    [
      "one that goes last",
      pod("a", { labels: { role: "critical" } }),
      { ...rules, podSelector: "role!=critical", excludedPods: "last" },
      "evict",
    ],
    [
      "a pod that it covers",
      pod("a", { labels: { role: "web" } }),
      { ...rules, podSelector: "role!=critical" },
      "evict",
    ],
  ];
  for (const [what, it_, given, expected] of table) {
    it(`${what}: ${expected}`, () => assert.equal(judgePod(it_, given).action, expected));
  }
});

describe("the ownership tag of a group", () => {
  it("comes back as it was written, in characters that a cloud tag allows", () => {
    const before = { role: "blue", min: 2, max: 6, suspended: ["AZRebalance", "Terminate"] } as const;
    const text = writeOwnership({ ...before, suspended: [...before.suspended] });
    assert.match(text, /^[A-Za-z0-9 +=._:/@-]{1,256}$/);
    assert.deepEqual(readOwnership(text), before);
    assert.deepEqual(readOwnership(writeOwnership({ ...before, suspended: [] }))?.suspended, []);
  });
  it("is nobody's when it reads otherwise", () => assert.equal(readOwnership("kept by hand"), undefined));
});

describe("changes that would roll a group's nodes", () => {
  const before = {
    nodeGroupName: "g",
    scalingConfig: { minSize: 1, maxSize: 3, desiredSize: 2 },
    launchTemplate: { id: "lt-1", version: "1" },
    tags: { a: "b" },
  };
  const table: [string, object, string[]][] = [
    ["nothing", {}, []],
    ["sizes and tags", { scalingConfig: { minSize: 1, maxSize: 9 }, tags: {} }, []],
    ["the template's version", { launchTemplate: { id: "lt-1", version: "2" } }, ["launchTemplate"]],
    ["key order only", { launchTemplate: { version: "1", id: "lt-1" } }, []],
    ["a release and labels", { releaseVersion: "x", labels: { a: "b" } }, ["labels", "releaseVersion"]],
  ];
  for (const [what, change, expected] of table) {
    it(`${what}: ${expected.join(", ") || "none"}`, () =>
      assert.deepEqual(rollingChanges(before, { ...before, ...change }), expected));
  }
});

describe("the size that an update could bring a group down to", () => {
  const eks = { scalingConfig: { minSize: 1, maxSize: 6, desiredSize: 3 }, tags: { a: "b" } };
  const asg = { minSize: 1, maxSize: 6, desiredCapacity: 3 };
  const table: [string, object, object, number | undefined][] = [
    ["tags only: none", eks, { ...eks, tags: {} }, undefined],
    ["a lower desired size", eks, { scalingConfig: { ...eks.scalingConfig, desiredSize: 2 } }, 2],
    [
      "another minimum sends the desired size along, however old it is",
      eks,
      { scalingConfig: { ...eks.scalingConfig, minSize: 2 } },
      3,
    ],
    ["a maximum below the desired size", asg, { ...asg, maxSize: 2 }, 2],
    [
      "a maximum where an autoscaler owns the size",
      { minSize: 1, maxSize: 6 },
      { minSize: 1, maxSize: 4 },
      4,
    ],
  ];
  for (const [what, before, after, expected] of table) {
    it(what, () =>
      assert.equal(sizeAfter(before as Record<string, unknown>, after as Record<string, unknown>), expected),
    );
  }
});
