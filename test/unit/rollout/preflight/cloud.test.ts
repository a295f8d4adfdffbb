import assert from "node:assert/strict";
import type { CloudFacts, InstanceType } from "../../../../rollout/cloud/facts.ts";
import { cloud } from "../../../../rollout/preflight/cloud.ts";
import type { GreenSpec } from "../../../../rollout/targets.ts";
import { GREEN, named, nodeOf, podOf, says, type Lists } from "./scene.ts";

const ZONES = ["us-east-1a", "us-east-1b"];
const target = {
  pool: "workers",
  generation: "bbbbbbbb",
  image: { ami: "ami-1" },
  groups: ZONES.map((zone) => ({ kind: "eks-managed" as const, name: `green-${zone}`, zone })),
};
const green: GreenSpec = {
  ...GREEN,
  zones: ZONES.map((zone) => ({ zone, subnet: `subnet-${zone.at(-1)}`, min: 1, max: 5 })),
};
/** Two blue nodes in each zone. */
const blue = ZONES.flatMap((zone) => [1, 2].map((n) => nodeOf(`blue-${zone.at(-1)}${n}`, { zone })));
const greenNode = (name: string, zone: string) => nodeOf(name, { zone, generation: "bbbbbbbb" });
const type = (vcpus: number, zones: string[] | undefined = ZONES): InstanceType => ({
  vcpus,
  memoryMiB: 16384,
  architectures: ["amd64"],
  zones,
});
const types = (all: Record<string, InstanceType>) => new Map(Object.entries(all));
const NAME = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances";

const of = (facts: Partial<CloudFacts> | undefined, change: Partial<GreenSpec> = {}, lists: Lists = {}) =>
  says(
    cloud,
    { Node: blue, ...lists },
    { target, green: { ...green, ...change }, ...(facts && { cloud: { notAsked: [], ...facts } }) },
  );
const rules = (found: string[]): string[] => found.map((text) => text.split(":")[0] ?? "");

describe("vCPU quota", () => {
  const instanceTypes = types({ "m7i.xlarge": type(4) });
  it("blocks when green does not fit into it beside blue", () => {
    const vcpus = { quota: 40, used: 30, name: NAME, code: "L-1216C47A" };
    assert.deepEqual(of({ instanceTypes, vcpus }), [
      `block vcpu-quota: Pool workers: green needs 16 vCPUs beside blue (4 nodes with 4), and the quota "${NAME}" has 10 left (30 of 40 are in use). ` +
        "To go on: ask AWS for more: `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A --desired-value 46`, or stop instances that nobody needs",
    ]);
  });
  const judge = (
    used: number,
    change: Partial<GreenSpec> = {},
    lists: Lists = {},
    more: Partial<CloudFacts> = {},
  ) => rules(of({ instanceTypes, vcpus: { quota: 40, used, name: NAME }, ...more }, change, lists));
  const BLOCKS = ["block vcpu-quota"];
  for (const [name, found, expected] of [
    ["takes what just fits", () => judge(24), []],
    ["blocks one vCPU later", () => judge(25), BLOCKS],
    [
      "goes by the smallest type",
      () =>
        judge(
          32,
          { instanceTypes: ["m7i.xlarge", "m7i.large"] },
          {},
          { instanceTypes: types({ "m7i.xlarge": type(4), "m7i.large": type(2) }) },
        ),
      [],
    ],
    [
      "says nothing of a type that it does not know",
      () => judge(40, { instanceTypes: ["m7i.xlarge", "x9.huge"] }, {}),
      [],
    ],
    [
      "says nothing where the types were not asked",
      () => judge(40, {}, {}, { instanceTypes: undefined }),
      [],
    ],
    [
      "goes by the sizes of the config",
      () => judge(24, { zones: green.zones.map((it) => ({ ...it, desired: 3 })) }),
      BLOCKS,
    ],
    [
      "takes what has joined off",
      () =>
        judge(
          36,
          {},
          {
            Node: [
              ...blue,
              greenNode("g1", "us-east-1a"),
              greenNode("g2", "us-east-1a"),
              greenNode("g3", "us-east-1b"),
            ],
          },
        ),
      [],
    ],
    [
      "takes what starts off",
      () =>
        judge(
          36,
          {},
          {},
          {
            launched: new Map([
              ["us-east-1a", 2],
              ["us-east-1b", 1],
            ]),
          },
        ),
      [],
    ],
    [
      "counts generations that are left over once",
      () =>
        judge(
          24,
          {},
          {
            Node: [
              ...blue,
              ...blue.map((it) =>
                nodeOf(`old-${it.metadata.name}`, {
                  zone: it.metadata.labels?.["topology.kubernetes.io/zone"] ?? "",
                  generation: "cccccccc",
                }),
              ),
            ],
          },
        ),
      [],
    ],
  ] as [string, () => string[], string[]][])
    it(name, () => assert.deepEqual(found(), expected));
  it("counts nodes that are taken over and a generation of the same zone for each other, not together", () => {
    const taken = ZONES.map((zone) => nodeOf(`theirs-${zone}`, { zone, pool: null, labels: { team: "a" } }));
    const asked = {
      target: { ...target, adopt: { team: "a" } },
      green,
      cloud: { notAsked: [], instanceTypes, vcpus: { quota: 40, used: 24, name: NAME } },
    };
    assert.deepEqual(says(cloud, { Node: [...blue, ...taken] }, asked), []);
  });
  it("names no command where the quota's code is not known, and says at least of several types", () =>
    assert.match(
      of(
        {
          instanceTypes: types({ "m7i.xlarge": type(4), "m7i.large": type(2) }),
          vcpus: { quota: 40, used: 50, name: NAME },
        },
        { instanceTypes: ["m7i.xlarge", "m7i.large"] },
      )[0] ?? "",
      /needs at least 8 vCPUs .* has 0 left \(50 of 40.*ask AWS for 58 vCPUs/,
    ));
});

describe("addresses of the subnets", () => {
  const free = (a: number, b = 250) => ({
    freeAddresses: new Map([
      ["subnet-a", a],
      ["subnet-b", b],
    ]),
  });
  const awsNode: Lists = { DaemonSet: [{ metadata: named("DaemonSet", "aws-node", "kube-system") }] };
  const pods = Array.from({ length: 12 }, (_, n) => podOf(`web-${n}`, { node: "blue-a1" }));
  it("block when there are fewer than nodes", () =>
    assert.deepEqual(of(free(1)), [
      "block subnet-addresses: Subnet subnet-a: it has 1 free address, and green makes 2 nodes in it (us-east-1a). " +
        "To go on: free addresses (`aws ec2 describe-subnets --subnet-ids subnet-a`), or give pool workers another subnet of us-east-1a in patchguard:pools[].zones",
    ]));
  it("are a warning when there are few", () =>
    assert.deepEqual(of(free(13), {}, { ...awsNode, Pod: pods }), [
      "warning subnet-nearly-full: Subnet subnet-a: it has 13 free addresses, and green makes 2 nodes in it (us-east-1a), with 12 pods that may move there while blue still holds their addresses. " +
        "To go on: free addresses (`aws ec2 describe-subnets --subnet-ids subnet-a`), or go on if pods get theirs elsewhere (an overlay, prefixes, a subnet of their own)",
    ]));
  for (const [name, found, expected] of [
    ["as many as nodes do not block", () => of(free(2)), ["warning subnet-nearly-full"]],
    ["a reserve is enough without the VPC CNI", () => of(free(10), {}, { Pod: pods }), []],
    ["enough for every pod that moves", () => of(free(14), {}, { ...awsNode, Pod: pods }), []],
    [
      "pods of the host's network take none",
      () =>
        of(
          free(10),
          {},
          { ...awsNode, Pod: pods.map((it) => ({ ...it, spec: { ...it.spec, hostNetwork: true } })) },
        ),
      [],
    ],
    [
      "a zone whose nodes are there takes none",
      () =>
        of(free(0), {}, { Node: [...blue, greenNode("g1", "us-east-1a"), greenNode("g2", "us-east-1a")] }),
      [],
    ],
    ["an unknown subnet is not judged", () => of({ freeAddresses: new Map() }), []],
    [
      "two zones with one subnet add up",
      () => of(free(3), { zones: green.zones.map((it) => ({ ...it, subnet: "subnet-a" })) }),
      ["block subnet-addresses"],
    ],
  ] as [string, () => string[], string[]][])
    it(name, () => assert.deepEqual(rules(found()), expected));
});

describe("quota of node groups", () => {
  it("blocks when green's groups would be too many", () =>
    assert.deepEqual(of({ groups: { quota: 30, used: 29 } }), [
      "block group-quota: Pool workers: green is 2 node groups more, and the cluster has 29 of the 30 that it may have. " +
        "To go on: delete node groups that nobody needs, or ask AWS for 31: `aws service-quotas request-service-quota-increase --service-code eks --quota-code L-6D54EA21 --desired-value 31`",
    ]));
  for (const [name, found] of [
    ["takes what just fits", () => of({ groups: { quota: 30, used: 28 } })],
    [
      "does not count what is made",
      () => of({ groups: { quota: 30, used: 29, made: ["green-us-east-1b"] } }),
    ],
    [
      "does not count what has a node",
      () => of({ groups: { quota: 30, used: 29 } }, {}, { Node: [...blue, greenNode("g1", "us-east-1a")] }),
    ],
    [
      "says nothing when all are made, though there are too many",
      () => of({ groups: { quota: 30, used: 32, made: target.groups.map((it) => it.name) } }),
    ],
    [
      "has nothing to do with self-managed pools",
      () => of({ groups: { quota: 30, used: 30 } }, { kind: "self-managed" }),
    ],
  ] as [string, () => string[]][])
    it(name, () => assert.deepEqual(found(), []));
});

describe("instance types by zone", () => {
  it("block where a zone offers none", () =>
    assert.deepEqual(of({ instanceTypes: types({ "m7i.xlarge": type(4, ["us-east-1a"]) }) }), [
      "block instance-type-zone: Pool workers: us-east-1b does not offer m7i.xlarge. " +
        "To go on: add an instance type that is offered there to patchguard:pools[].instanceTypes, or leave the zone out: `aws ec2 describe-instance-type-offerings --location-type availability-zone --filters Name=instance-type,Values=m7i.xlarge` lists zones",
    ]));
  const two = { instanceTypes: ["m7i.xlarge", "m6i.xlarge"] };
  for (const [name, found, expected] of [
    [
      "one of several is enough",
      () =>
        of({ instanceTypes: types({ "m7i.xlarge": type(4, ["us-east-1a"]), "m6i.xlarge": type(4) }) }, two),
      [],
    ],
    [
      "none of several is not",
      () => of({ instanceTypes: types({ "m7i.xlarge": type(4, ["us-east-1a"]) }) }, two),
      ["block instance-type-zone"],
    ],
    [
      "a type that the region does not have",
      () => of({ instanceTypes: types({}) }),
      ["block instance-type-zone"],
    ],
    [
      "offers that were not asked are not judged",
      () => of({ instanceTypes: types({ "m7i.xlarge": { ...type(4), zones: undefined } }) }),
      [],
    ],
    [
      "local zones are not judged",
      () =>
        of(
          { instanceTypes: types({ "m7i.xlarge": type(4, []) }) },
          { zones: [{ zone: "us-east-1-bos-1a", subnet: "s", min: 1, max: 2 }] },
        ),
      [],
    ],
    [
      "a zone whose nodes are there is not judged",
      () =>
        of(
          { instanceTypes: types({ "m7i.xlarge": type(4, ["us-east-1a"]) }) },
          {},
          { Node: [...blue, greenNode("g1", "us-east-1b"), greenNode("g2", "us-east-1b")] },
        ),
      [],
    ],
  ] as [string, () => string[], string[]][])
    it(name, () => assert.deepEqual(rules(found()), expected));
});

describe("Spot capacity, and what was not asked", () => {
  it("Spot is a warning, whether the cloud was asked or not", () =>
    assert.deepEqual(of(undefined, { capacityType: "SPOT" }), [
      "warning capacity-spot: Pool workers: green needs 4 Spot nodes beside blue's, all of m7i.xlarge: AWS may not have them, or take them back in the middle of the handover. " +
        "To go on: name several instance types in patchguard:pools[].instanceTypes; if green does not come, the run stops before anything has moved",
    ]));
  it("with several types there is nothing to change", () =>
    assert.match(
      of({}, { capacityType: "SPOT", instanceTypes: ["a1.large", "m7i.large"] })[0] ?? "",
      /handover\. To go on: go on;/,
    ));
  it("what was not asked is one warning", () =>
    assert.deepEqual(
      of({
        notAsked: [
          "whether A is not judged: ec2:A is not allowed",
          "whether B is not judged: no answer within 5 s.",
        ],
      }),
      [
        "warning cloud-not-judged: Pool workers: whether A is not judged: ec2:A is not allowed; whether B is not judged: no answer within 5 s. " +
          "To go on: allow the calls (docs/permissions.md), or compare the account's limits with what green needs yourself",
      ],
    ));
  it("nothing is said when green is there", () => {
    const joined = ZONES.flatMap((zone) => [1, 2].map((n) => greenNode(`g-${zone}-${n}`, zone)));
    assert.deepEqual(of({ notAsked: ["x"] }, { capacityType: "SPOT" }, { Node: [...blue, ...joined] }), []);
  });
  it("nothing is said where nobody knows what green is", () =>
    assert.deepEqual(
      says(cloud, {}, { green: undefined, cloud: { notAsked: ["x"], groups: { quota: 0, used: 9 } } }),
      [],
    ));
});
