import assert from "node:assert/strict";
import fc from "fast-check";
import { fit, generationOf, groupNames, roleName, templateNames } from "../../../rollout/generation.ts";
import type { PoolConfig } from "../../../rollout/config/index.ts";
import { eksManagedPool, selfManagedPool } from "../../../rollout/config/pool-aws.ts";
import { config, managed, released, selfManaged } from "../config/samples.ts";

type Map = Record<string, unknown>;

const poolOf = (raw: Map): PoolConfig => {
  const [pool] = config([raw]).pools;
  assert.ok(pool);
  return pool;
};
const generation = (raw: Map): string => generationOf(poolOf(raw), "prod");

/** One other value for every setting that makes a generation, by kind of pool. */
const everyAwsField: Map = {
  name: "other",
  revision: "2",
  labels: { tier: "web" },
  taints: [{ key: "a", effect: "NoSchedule" }],
  image: { ami: "ami-0fedcba9876543210" },
  architecture: "x86_64",
  instanceTypes: ["m6i.large"],
  capacityType: "SPOT",
  securityGroupIds: ["sg-00000001"],
  nodeRole: "arn:aws:iam::123456789012:role/n",
  disk: { sizeGiB: 51 },
  extraDisks: [{ deviceName: "/dev/sdf" }],
  metadataOptions: { hopLimit: 3 },
  keyName: "k",
  placement: { groupName: "g" },
  capacityReservation: { preference: "open" },
  monitoring: true,
  ebsOptimized: false,
  cpuCredits: "standard",
  publicIp: false,
  maxPods: 50,
  userData: { family: "bottlerocket" },
};
const everyManagedField: Map = { ...everyAwsField, nodeRepair: true };
const everyReleasedField: Map = { amiType: "AL2023_x86_64_NVIDIA", kubernetesVersion: "1.34" };
const everySelfManagedField: Map = {
  ...everyAwsField,
  instanceProfile: "p",
  targetGroupArns: ["arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/t/0"],
  mixedInstances: { onDemandBaseCapacity: 1 },
  capacityRebalance: true,
  healthCheck: { gracePeriodSeconds: 1 },
  warmupSeconds: 1,
  cooldownSeconds: 1,
  metrics: ["GroupTotalInstances"],
  terminationPolicies: ["OldestInstance"],
  maxInstanceLifetimeSeconds: 86_400,
  suspendedProcesses: ["AZRebalance"],
  lifecycleHooks: [{ name: "h", transition: "launching" }],
  serviceLinkedRoleArn: "arn:aws:iam::123456789012:role/s",
};
const nothingMoves: Map = {
  size: { min: 0, max: 9 },
  tags: { team: "a" },
  zones: { "us-east-1c": "subnet-0000000c" },
  adopt: { matchLabels: { a: "b" } },
};

describe("generation", function () {
  this.timeout(30_000); // properties try many cases, also on a busy machine
  for (const [kind, sample, fields] of [
    ["eks-managed", managed, everyManagedField],
    ["eks-managed with a release", released, everyReleasedField],
    ["self-managed", selfManaged, everySelfManagedField],
  ] as const) {
    for (const [field, value] of Object.entries(fields))
      it(`${kind}: another ${field} is another generation`, () => {
        assert.notEqual(generation(sample({ [field]: value })), generation(sample()));
      });
    for (const [field, value] of Object.entries(nothingMoves))
      it(`${kind}: another ${field} moves nothing`, () => {
        assert.equal(generation(sample({ [field]: value })), generation(sample()));
      });
  }

  it("the tables name every setting of a pool", () => {
    for (const [schema, fields] of [
      [eksManagedPool, { ...everyManagedField, ...everyReleasedField }],
      [selfManagedPool, { ...everySelfManagedField, kubernetesVersion: "refused for this kind" }],
    ] as const) {
      const named = new Set([...Object.keys(fields), ...Object.keys(nothingMoves), "kind"]);
      assert.deepEqual(
        Object.keys(schema.shape).filter((key) => !named.has(key)),
        [],
      );
    }
  });

  it("stays what it is from release to release: these pools exist", () => {
    assert.equal(generation(managed()), "8f34d8fd");
    assert.equal(generation(selfManaged({ taints: [{ key: "a", effect: "NoSchedule" }] })), "838d841c");
  });

  it("is 8 hex digits, whatever the pool", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (revision) => {
        assert.match(generation(managed({ revision })), /^[0-9a-f]{8}$/);
      }),
      { numRuns: 50 },
    );
  });

  it("the order of keys does not matter", () => {
    const pool = poolOf(
      managed({
        ...everyManagedField,
        userData: { family: "al2023", kubelet: { a: { b: 1, c: [2] }, d: "x" } },
      }),
    );
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat()), (numbers) => {
        assert.equal(generationOf(shuffled(pool, numbers), "prod"), generationOf(pool, "prod"));
      }),
      { numRuns: 100 },
    );
  });

  it("an empty setting is the same as none; what lies deeper counts as it is", () => {
    assert.equal(generation(managed({ labels: {}, taints: [], extraDisks: [] })), generation(managed()));
    const kubelet = (value: Map): Map => managed({ userData: { family: "al2023", kubelet: value } });
    assert.equal(generation(kubelet({})), generation(managed()));
    assert.notEqual(generation(kubelet({ a: 1, evictionHard: {} })), generation(kubelet({ a: 1 })));
  });

  it("another cluster is another generation", () => {
    const pool = poolOf(managed());
    assert.notEqual(generationOf(pool, "prod"), generationOf(pool, "staging"));
  });
});

/** The same value with its keys in another order, at every depth. */
function shuffled<T>(value: T, numbers: fc.Stream<number>): T {
  if (Array.isArray(value)) return value.map((part: unknown) => shuffled(part, numbers)) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, part]) => ({
    rank: Number(numbers.next().value),
    key,
    part: shuffled(part as unknown, numbers),
  }));
  return Object.fromEntries(
    entries.toSorted((a, b) => a.rank - b.rank).map(({ key, part }) => [key, part]),
  ) as T;
}

describe("names", function () {
  this.timeout(30_000);
  const long = "c".repeat(100);
  const pool = poolOf(managed({ name: "p".repeat(32) }));

  it("a group and a template are named by pool, generation and zone", () => {
    assert.deepEqual(groupNames(poolOf(managed()), "prod", "0a1b2c3d", "us-east-1a"), {
      logical: "workers-0a1b2c3d-us-east-1a",
      physical: "workers-0a1b2c3d-us-east-1a",
    });
    assert.deepEqual(groupNames(poolOf(selfManaged()), "prod", "0a1b2c3d", "us-east-1a"), {
      logical: "workers-0a1b2c3d-us-east-1a",
      physical: "prod-workers-0a1b2c3d-us-east-1a",
    });
    assert.deepEqual(templateNames("prod", "workers", "0a1b2c3d"), {
      logical: "workers-0a1b2c3d",
      physical: "prod-workers-0a1b2c3d",
    });
  });

  it("the longest names stay within the cloud's limits", () => {
    assert.ok(groupNames(pool, long, "0a1b2c3d", "us-west-2-lax-1a").physical.length <= 63);
    assert.ok(
      groupNames({ ...poolOf(selfManaged()), name: pool.name }, long, "0a1b2c3d", "us-west-2-lax-1a").physical
        .length <= 255,
    );
    assert.ok(templateNames(long, pool.name, "0a1b2c3d").physical.length <= 128);
    assert.ok(roleName(long).length <= 64);
  });

  it("what is cut stays apart, and within its limit", () => {
    assert.notEqual(fit(`${long}a`, 64), fit(`${long}b`, 64));
    fc.assert(
      fc.property(
        fc.string({ maxLength: 80 }),
        fc.string({ maxLength: 80 }),
        fc.integer({ min: 20, max: 64 }),
        (a, b, limit) => {
          assert.ok(fit(a, limit).length <= limit);
          if (a !== b) assert.notEqual(fit(a, limit), fit(b, limit));
        },
      ),
    );
  });
});
