/** Which changes the stand-in aws provider makes in place and which replace: tables after the real provider's schema. */
import assert from "node:assert/strict";
import { Provider } from "../../../sandbox/provider-aws/provider.ts";
import type { Values } from "../../../sandbox/provider-aws/schema.ts";
import { UNKNOWN } from "../../../sandbox/provider-aws/schema.ts";

const provider = new Provider();
const urn = (token: string) => `urn:pulumi:s::p::pkg:a:Parent$${token}::one`;

const BASE: Record<string, Values> = {
  "aws:eks/nodeGroup:NodeGroup": {
    clusterName: "c",
    nodeGroupName: "g",
    nodeRoleArn: "arn:r",
    subnetIds: ["a", "b"],
    scalingConfig: { minSize: 1, maxSize: 3, desiredSize: 2 },
    launchTemplate: { id: "lt-1", name: "lt", version: "1" },
    instanceTypes: ["m5.large", "m6i.large"],
    amiType: "CUSTOM",
    capacityType: "ON_DEMAND",
    diskSize: 20,
    labels: { a: "1" },
    taints: [{ key: "k", value: "v", effect: "NO_SCHEDULE" }],
    version: "1.34",
    releaseVersion: "1.34.1",
    updateConfig: { maxUnavailable: 1 },
    tags: { t: "1" },
  },
  "aws:autoscaling/group:Group": {
    name: "g",
    minSize: 1,
    maxSize: 3,
    desiredCapacity: 2,
    launchTemplate: { id: "lt-1", name: "lt", version: "1" },
    vpcZoneIdentifiers: ["a", "b"],
    targetGroupArns: ["arn:t"],
    healthCheckGracePeriod: 300,
    suspendedProcesses: ["Launch", "AZRebalance"],
    tags: [{ key: "k", value: "v", propagateAtLaunch: true }],
  },
  "aws:ec2/launchTemplate:LaunchTemplate": {
    name: "t",
    imageId: "ami-1",
    userData: "aGk=",
    metadataOptions: { httpTokens: "required", httpEndpoint: "enabled" },
    tags: { t: "1" },
  },
  "aws:iam/role:Role": {
    name: "r",
    assumeRolePolicy: '{"a":1,"b":[2]}',
    path: "/",
    maxSessionDuration: 3600,
  },
};

type Row = [token: string, change: Values, changed: string[], replaces: string[]];
const NG = "aws:eks/nodeGroup:NodeGroup";
const ASG = "aws:autoscaling/group:Group";
const LT = "aws:ec2/launchTemplate:LaunchTemplate";
const replaced = (token: string, change: Values): Row => [
  token,
  change,
  Object.keys(change),
  Object.keys(change),
];
const inPlace = (token: string, change: Values): Row => [token, change, Object.keys(change), []];
const none = (token: string, change: Values): Row => [token, change, [], []];

const ROWS: Row[] = [
  replaced(NG, { nodeGroupName: "h" }),
  replaced(NG, { clusterName: "d" }),
  replaced(NG, { nodeRoleArn: "arn:s" }),
  replaced(NG, { nodeRoleArn: UNKNOWN }),
  replaced(NG, { subnetIds: ["a", "c"] }),
  replaced(NG, { instanceTypes: ["m6i.large", "m5.large"] }),
  replaced(NG, { amiType: "AL2023_x86_64_STANDARD" }),
  replaced(NG, { capacityType: "SPOT" }),
  replaced(NG, { diskSize: 30 }),
  [NG, { launchTemplate: { id: "lt-2", version: "1" } }, ["launchTemplate.id"], ["launchTemplate.id"]],
  [NG, { launchTemplate: { id: "lt-1", version: "2" } }, ["launchTemplate.version"], []],
  [NG, { launchTemplate: { id: "lt-1", version: UNKNOWN } }, ["launchTemplate.version"], []],
  [NG, { scalingConfig: { minSize: 1, maxSize: 4, desiredSize: 2 } }, ["scalingConfig.maxSize"], []],
  inPlace(NG, { labels: { a: "2" } }),
  inPlace(NG, { labels: undefined }),
  inPlace(NG, { taints: [] }),
  inPlace(NG, { version: "1.35" }),
  inPlace(NG, { releaseVersion: "1.34.2" }),
  inPlace(NG, { tags: { t: "2" } }),
  [NG, { updateConfig: { maxUnavailable: 2 } }, ["updateConfig.maxUnavailable"], []],
  none(NG, { subnetIds: ["b", "a"] }),
  none(NG, { amiType: undefined, capacityType: undefined, diskSize: undefined, updateConfig: undefined }),
  none(NG, { version: undefined, releaseVersion: undefined, instanceTypes: undefined }),
  none(NG, { launchTemplate: { id: "lt-1", version: "1" } }),
  replaced(ASG, { name: "h" }),
  inPlace(ASG, { minSize: 0 }),
  inPlace(ASG, { maxSize: 5 }),
  inPlace(ASG, { desiredCapacity: 3 }),
  inPlace(ASG, { targetGroupArns: [] }),
  inPlace(ASG, { suspendedProcesses: undefined }),
  inPlace(ASG, { tags: [{ key: "k", value: "v", propagateAtLaunch: false }] }),
  inPlace(ASG, { vpcZoneIdentifiers: ["a"] }),
  [ASG, { launchTemplate: { id: "lt-1", version: "2" } }, ["launchTemplate.version"], []],
  [ASG, { launchTemplate: { id: "lt-2", version: "1" } }, ["launchTemplate.id"], []],
  none(ASG, { desiredCapacity: undefined, targetGroupArns: undefined }),
  none(ASG, { suspendedProcesses: ["AZRebalance", "Launch"] }),
  replaced(LT, { name: "u" }),
  inPlace(LT, { imageId: "ami-2" }),
  inPlace(LT, { userData: undefined }),
  inPlace(LT, { tags: { t: "2" } }),
  [LT, { metadataOptions: { httpTokens: "optional" } }, ["metadataOptions.httpTokens"], []],
  none(LT, { metadataOptions: undefined }),
  none("aws:iam/role:Role", { assumeRolePolicy: '{ "b": [2], "a": 1 }' }),
  inPlace("aws:iam/role:Role", { assumeRolePolicy: '{"a":2,"b":[2]}' }),
  replaced("aws:iam/role:Role", { path: "/nodes/" }),
];

describe("sandbox: diffs of the aws provider", () => {
  for (const [token, change, changed, replaces] of ROWS) {
    const words = replaces.length > 0 ? "replaces" : changed.length > 0 ? "in place" : "no change";
    it(`${token}: ${JSON.stringify(change, (_, v: unknown) => v ?? "(absent)")}: ${words}`, () => {
      const base = BASE[token] ?? {};
      const news = Object.fromEntries(
        Object.entries({ ...base, ...change }).filter(([, v]) => v !== undefined),
      );
      const diff = provider.diff(urn(token), base, base, news);
      assert.deepEqual(
        diff.changes.map((c) => c.path),
        changed,
      );
      assert.deepEqual(diff.replaces, replaces);
    });
  }

  it("deletes first when a fixed name stays, and creates first otherwise", () => {
    const base = BASE[NG] ?? {};
    const first = (change: Values) =>
      provider.diff(urn(NG), base, base, { ...base, ...change }).deleteBeforeReplace;
    assert.equal(first({ diskSize: 30 }), true);
    assert.equal(first({ diskSize: 30, nodeGroupName: "h" }), false);
    assert.equal(first({ diskSize: 30, __defaults: ["nodeGroupName"] }), false);
    assert.equal(first({ labels: {} }), false);
  });

  it("replaces a node group whose creation failed, and one only then", () => {
    const base = BASE[NG] ?? {};
    assert.deepEqual(provider.diff(urn(NG), base, { ...base, status: "CREATE_FAILED" }, base).replaces, [
      "status",
    ]);
    assert.deepEqual(provider.diff(urn(NG), base, { ...base, status: "ACTIVE" }, base).replaces, []);
  });

  it("compares what the API does not tell with the earlier inputs, and takes a first value for no change", () => {
    const base = BASE[ASG] ?? {};
    const paths = (old: Values, now: Values) =>
      provider.diff(urn(ASG), { ...base, ...old }, base, { ...base, ...now }).changes.map((c) => c.path);
    assert.deepEqual(paths({ forceDelete: true }, { forceDelete: false }), ["forceDelete"]);
    assert.deepEqual(paths({}, { forceDelete: true }), []);
  });
});
