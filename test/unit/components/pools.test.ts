import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { clusterResources } from "../../../components/cluster.ts";
import { declarePools } from "../../../components/pools.ts";
import { targetOf } from "../../../rollout/targets.ts";
import { type Config, loadConfig } from "../../../rollout/config/index.ts";
import { loadStackFile } from "../../../rollout/config/stack-file.ts";
import type { Existing } from "../../../components/imports.ts";
import { checkInputs } from "../../../sandbox/provider-aws/schema.ts";
import { resourceType } from "../../../sandbox/provider-aws/types/index.ts";
import { config, kubernetesCluster, managed, released, selfManaged } from "../config/samples.ts";
import { declare, type Declared, ofType, only, TYPE } from "./mocks.ts";

const pools = (
  settings: Config,
  sizes?: Record<string, number>,
  existing = new Map<string, Existing>(),
): Promise<Declared[]> =>
  declare(() => {
    const hook = new pulumi.ResourceHook("guard", () => undefined);
    const guards = { group: { beforeDelete: [hook], beforeUpdate: [hook] }, template: undefined };
    declarePools({ config: settings, cluster: clusterResources(settings.cluster), guards, existing });
  }, sizes);

const text = (template: Declared): string =>
  Buffer.from(String(template.inputs.userData), "base64").toString();
const zoneOf = (group: Declared): string => group.name.slice(-"us-east-1a".length);

// the first use of the @pulumi/aws SDK loads all of it: seconds on a busy machine
const TIMEOUT_MS = 60_000;

describe("pools: Pulumi.prod.yaml arrives in the resources", function () {
  this.timeout(TIMEOUT_MS);
  let prod: Config;
  let all: Declared[];
  before(async () => {
    prod = loadConfig(await loadStackFile("Pulumi.prod.yaml"));
    all = await pools(prod, { "us-east-1a": 5, "us-east-1b": 30 });
  });
  const generation = (pool: string): string => {
    const found = prod.pools.find(({ name }) => name === pool);
    assert.ok(found && found.kind !== "aks");
    return targetOf(found, "prod").generation;
  };
  const template = (pool: string): Declared => {
    const found = ofType(all, TYPE.template).find(({ name }) => name === `${pool}-${generation(pool)}`);
    assert.ok(found);
    return found;
  };
  const group = (pool: string, zone: string): Declared => {
    const found = all.find(({ name }) => name === `${pool}-${generation(pool)}-${zone}`);
    assert.ok(found);
    return found;
  };
  const marks = (pool: string) => ({
    team: "platform",
    "cost-center": "4711",
    "patchguard.dev/pool": pool,
    "patchguard.dev/generation": generation(pool),
    "patchguard.dev/cluster": "prod",
  });

  it("system: a Bottlerocket release on EKS managed groups", () => {
    assert.deepEqual(group("system", "us-east-1a").inputs, {
      clusterName: "prod",
      nodeGroupName: `system-${generation("system")}-us-east-1a`,
      nodeRoleArn: "arn:aws:iam::123456789012:role/nodes-role",
      subnetIds: ["subnet-0a1b2c3d4e5f60001"],
      instanceTypes: ["m7i.large", "m6i.large"],
      capacityType: "ON_DEMAND",
      amiType: "BOTTLEROCKET_x86_64",
      releaseVersion: "1.49.0-713f44ce",
      version: "1.34",
      launchTemplate: { id: `system-${generation("system")}-id`, version: "1" },
      scalingConfig: { minSize: 1, maxSize: 2, desiredSize: 1 },
      labels: {
        "node-class": "system",
        "patchguard.dev/pool": "system",
        "patchguard.dev/generation": generation("system"),
      },
      taints: [{ key: "CriticalAddonsOnly", value: "true", effect: "NO_SCHEDULE" }],
      tags: marks("system"),
    });
    const tags = { Name: "prod-system", ...marks("system") };
    assert.deepEqual(
      { ...template("system").inputs, userData: text(template("system")) },
      {
        name: `prod-system-${generation("system")}`,
        description: `PatchGuard: pool system, generation ${generation("system")}`,
        userData:
          '[settings.host-containers.admin]\nenabled = false\n\n[settings.kernel]\nlockdown = "integrity"\n',
        blockDeviceMappings: [
          {
            deviceName: "/dev/xvda",
            ebs: { volumeType: "gp3", encrypted: "true", deleteOnTermination: "true" },
          },
          {
            deviceName: "/dev/xvdb",
            ebs: { volumeSize: 40, volumeType: "gp3", encrypted: "true", deleteOnTermination: "true" },
          },
        ],
        metadataOptions: {
          httpEndpoint: "enabled",
          httpTokens: "required",
          httpPutResponseHopLimit: 2,
          instanceMetadataTags: "disabled",
        },
        monitoring: { enabled: false },
        tagSpecifications: ["instance", "volume", "network-interface"].map((resourceType) => ({
          resourceType,
          tags,
        })),
        tags: marks("system"),
      },
    );
  });

  it("workers: a custom AMI, as large as blue within its limits", () => {
    const desired = ["a", "b", "c"].map((zone) => {
      const { scalingConfig, releaseVersion, amiType } = group("workers", `us-east-1${zone}`).inputs;
      assert.equal(releaseVersion, undefined);
      assert.equal(amiType, undefined);
      return (scalingConfig as { desiredSize: number }).desiredSize;
    });
    assert.deepEqual(desired, [5, 20, 2]);
    const { inputs } = template("workers");
    assert.equal(inputs.imageId, "ami-0f3c9e1d2b7a54c61");
    assert.equal(inputs.instanceType, undefined);
    assert.equal(inputs.iamInstanceProfile, undefined);
    assert.equal(inputs.vpcSecurityGroupIds, undefined);
    const said = text(template("workers"));
    for (const piece of [
      "apiServerEndpoint: https://prod.example",
      "maxPods: 110",
      "imageGCHighThresholdPercent: 75",
      "node-class=workers",
    ])
      assert.ok(said.includes(piece), piece);
    assert.deepEqual(inputs.blockDeviceMappings, [
      {
        deviceName: "/dev/xvda",
        ebs: {
          volumeSize: 100,
          volumeType: "gp3",
          iops: 4000,
          throughput: 250,
          encrypted: "true",
          deleteOnTermination: "true",
        },
      },
    ]);
  });

  it("stateful: Auto Scaling groups with everything that the stack file says", () => {
    const { tags, ...rest } = group("stateful", "us-east-1b").inputs;
    assert.deepEqual(rest, {
      name: `prod-stateful-${generation("stateful")}-us-east-1b`,
      vpcZoneIdentifiers: ["subnet-0a1b2c3d4e5f60002"],
      minSize: 2,
      maxSize: 3,
      desiredCapacity: 2,
      launchTemplate: { id: `stateful-${generation("stateful")}-id`, version: "1" },
      targetGroupArns: [
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/kafka-bootstrap/6d0ecf831eec9f09",
      ],
      healthCheckType: "EC2",
      healthCheckGracePeriod: 180,
      defaultInstanceWarmup: 120,
      defaultCooldown: 300,
      capacityRebalance: false,
      terminationPolicies: ["OldestLaunchTemplate", "OldestInstance"],
      enabledMetrics: ["GroupInServiceInstances", "GroupDesiredCapacity"],
      waitForCapacityTimeout: "0",
    });
    const list = tags as { key: string; value: string; propagateAtLaunch: boolean }[];
    const byKey = Object.fromEntries(list.map(({ key, ...tag }) => [key, tag]));
    assert.deepEqual(byKey["patchguard.dev/generation"], {
      value: generation("stateful"),
      propagateAtLaunch: true,
    });
    assert.deepEqual(byKey["kubernetes.io/cluster/prod"], { value: "owned", propagateAtLaunch: true });
    assert.deepEqual(byKey.team, { value: "platform", propagateAtLaunch: true });
    const autoscaler = (key: string): unknown => byKey[`k8s.io/cluster-autoscaler/${key}`]?.value;
    assert.equal(autoscaler("enabled"), "true");
    assert.equal(autoscaler("prod"), "owned");
    assert.equal(autoscaler("node-template/label/node-class"), "stateful");
    assert.equal(autoscaler("node-template/label/topology.kubernetes.io/zone"), "us-east-1b");
    assert.equal(autoscaler("node-template/taint/dedicated"), "stateful:NoSchedule");
    const { inputs } = template("stateful");
    assert.equal(inputs.imageId, "ami-0f3c9e1d2b7a54c61");
    assert.equal(inputs.instanceType, "r7i.2xlarge");
    assert.deepEqual(inputs.vpcSecurityGroupIds, ["sg-0a1b2c3d4e5f61001", "sg-0a1b2c3d4e5f61002"]);
    assert.deepEqual(inputs.iamInstanceProfile, { name: "prod-patchguard-nodes" });
    assert.deepEqual(inputs.monitoring, { enabled: true });
    const [disk] = inputs.blockDeviceMappings as { ebs: Record<string, unknown> }[];
    assert.equal(
      disk?.ebs.kmsKeyId,
      "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    );
    assert.ok(text(template("stateful")).includes("vm.max_map_count=262144"));
  });

  it("one role for all three, with its policies, its profile and its access entry", () => {
    assert.equal(only(all, TYPE.role).inputs.name, "prod-patchguard-nodes");
    assert.deepEqual(
      ofType(all, TYPE.policy)
        .map(({ inputs }) => inputs.policyArn)
        .toSorted(),
      [
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonEKSWorkerNodePolicy",
        "AmazonEKS_CNI_Policy",
        "AmazonSSMManagedInstanceCore",
      ].map((name) => `arn:aws:iam::aws:policy/${name}`),
    );
    assert.equal(only(all, TYPE.profile).inputs.role, "prod-patchguard-nodes");
    assert.deepEqual(only(all, TYPE.access).inputs, {
      clusterName: "prod",
      principalArn: "arn:aws:iam::123456789012:role/nodes-role",
      type: "EC2_LINUX",
      tags: { "patchguard.dev/cluster": "prod" },
    });
  });

  it("the sandbox's stand-in provider takes all of it, so that a preview of this stack can run there", () => {
    const failures = all
      .filter(({ type }) => type.startsWith("aws:"))
      .flatMap(({ type, inputs }) => checkInputs(type, resourceType(type).inputs, inputs).failures);
    assert.deepEqual(failures, []);
  });

  it("a Gate and a Handover for each pool, with what still comes after it", () => {
    const jobs = ofType(all, "pulumi-nodejs:dynamic:Resource");
    assert.deepEqual(jobs.map(({ name }) => name).toSorted(), [
      "stateful-gate",
      "stateful-handover",
      "system-gate",
      "system-handover",
      "workers-gate",
      "workers-handover",
    ]);
    const later = (name: string): string[] =>
      (jobs.find((job) => job.name === name)?.inputs.later as { pool: string }[]).map(({ pool }) => pool);
    assert.deepEqual(later("system-handover"), ["workers", "stateful"]);
    assert.deepEqual(later("stateful-gate"), []);
    const target = jobs.find(({ name }) => name === "stateful-handover")?.inputs.target as {
      groups: unknown[];
    };
    assert.deepEqual(target.groups[0], {
      kind: "self-managed",
      name: `prod-stateful-${generation("stateful")}-us-east-1a`,
      zone: "us-east-1a",
    });
  });
});

describe("pools: details", function () {
  this.timeout(TIMEOUT_MS);
  it("without blue, and with an autoscaler, a group starts at its minimum", async () => {
    const all = await pools(config([managed({ size: { min: 1, max: 4 } })]));
    assert.deepEqual(
      ofType(all, TYPE.managed).map(
        ({ inputs }) => (inputs.scalingConfig as { desiredSize: number }).desiredSize,
      ),
      [1, 1],
    );
  });

  it("a size in the config is taken, whatever the Gate measures", async () => {
    const all = await pools(config([selfManaged({ size: { min: 1, max: 4, desired: 3 } })]), {
      "us-east-1a": 1,
    });
    assert.deepEqual(
      ofType(all, TYPE.scaling).map(({ inputs }) => inputs.desiredCapacity),
      [3, 3],
    );
  });

  it("spot, several types and weights become a policy on version 1", async () => {
    const pool = selfManaged({
      zones: { "us-east-1a": "subnet-0000000a" },
      capacityType: "SPOT",
      instanceTypes: ["c7i.large", "c7i.xlarge"],
      mixedInstances: {
        onDemandBaseCapacity: 1,
        spotMaxPrice: "0.20",
        weights: { "c7i.large": 1, "c7i.xlarge": 2 },
      },
    });
    const { inputs } = only(await pools(config([pool])), TYPE.scaling);
    assert.equal(inputs.launchTemplate, undefined);
    const policy = inputs.mixedInstancesPolicy as {
      launchTemplate: { launchTemplateSpecification: { version: string } };
    };
    assert.equal(policy.launchTemplate.launchTemplateSpecification.version, "1");
    assert.deepEqual(policy, {
      instancesDistribution: {
        onDemandBaseCapacity: 1,
        onDemandPercentageAboveBaseCapacity: 0,
        onDemandAllocationStrategy: "prioritized",
        spotAllocationStrategy: "price-capacity-optimized",
        spotMaxPrice: "0.20",
      },
      launchTemplate: {
        launchTemplateSpecification: policy.launchTemplate.launchTemplateSpecification,
        overrides: [
          { instanceType: "c7i.large", weightedCapacity: "1" },
          { instanceType: "c7i.xlarge", weightedCapacity: "2" },
        ],
      },
    });
  });

  it("the rest of a real team's settings arrives as well", async () => {
    const zones = { "us-east-1a": "subnet-0000000a" };
    const common = {
      zones,
      keyName: "ops",
      placement: { groupName: "spread", tenancy: "dedicated" },
      capacityReservation: { preference: "open", id: "cr-01234567" },
      ebsOptimized: true,
      cpuCredits: "unlimited",
      publicIp: false,
      extraDisks: [{ deviceName: "/dev/sdf", sizeGiB: 20, snapshotId: "snap-01234567" }],
      metadataOptions: { hopLimit: 3, instanceTags: true },
    };
    const all = await pools(
      config([
        managed({ ...common, name: "a", nodeRepair: true, nodeRole: "arn:aws:iam::123456789012:role/own" }),
        selfManaged({
          ...common,
          name: "b",
          nodeRole: "arn:aws:iam::123456789012:role/own",
          capacityRebalance: true,
          maxInstanceLifetimeSeconds: 604_800,
          suspendedProcesses: ["AZRebalance"],
          serviceLinkedRoleArn: "arn:aws:iam::123456789012:role/scaling",
          lifecycleHooks: [{ name: "drain", transition: "terminating", heartbeatTimeoutSeconds: 60 }],
        }),
      ]),
    );
    assert.equal(only(all, TYPE.managed).inputs.nodeRoleArn, "arn:aws:iam::123456789012:role/own");
    assert.deepEqual(only(all, TYPE.managed).inputs.nodeRepairConfig, { enabled: true });
    const group = only(all, TYPE.scaling).inputs;
    assert.equal(group.capacityRebalance, true);
    assert.equal(group.maxInstanceLifetime, 604_800);
    assert.deepEqual(group.suspendedProcesses, ["AZRebalance"]);
    assert.equal(group.serviceLinkedRoleArn, "arn:aws:iam::123456789012:role/scaling");
    assert.deepEqual(group.initialLifecycleHooks, [
      {
        name: "drain",
        lifecycleTransition: "autoscaling:EC2_INSTANCE_TERMINATING",
        heartbeatTimeout: 60,
        defaultResult: "ABANDON",
      },
    ]);
    for (const { inputs } of ofType(all, TYPE.template)) {
      assert.equal(inputs.keyName, "ops");
      assert.deepEqual(inputs.placement, { groupName: "spread", tenancy: "dedicated" });
      assert.deepEqual(inputs.capacityReservationSpecification, {
        capacityReservationPreference: "open",
        capacityReservationTarget: { capacityReservationId: "cr-01234567" },
      });
      assert.equal(inputs.ebsOptimized, "true");
      assert.deepEqual(inputs.creditSpecification, { cpuCredits: "unlimited" });
      assert.equal(inputs.vpcSecurityGroupIds, undefined);
      assert.deepEqual(inputs.networkInterfaces, [
        {
          deviceIndex: 0,
          associatePublicIpAddress: "false",
          deleteOnTermination: "true",
          securityGroups: ["sg-0c1a57e0"],
        },
      ]);
      const disks = inputs.blockDeviceMappings as { deviceName: string; ebs: Record<string, unknown> }[];
      assert.equal(disks[1]?.deviceName, "/dev/sdf");
      assert.equal(disks[1].ebs.snapshotId, "snap-01234567");
      const { httpPutResponseHopLimit, instanceMetadataTags } = inputs.metadataOptions as Record<
        string,
        unknown
      >;
      assert.equal(httpPutResponseHopLimit, 3);
      assert.equal(instanceMetadataTags, "enabled");
    }
    // a role of the user's own: no role is made, but self-managed nodes need a profile for it
    assert.deepEqual(ofType(all, TYPE.role), []);
    assert.equal(only(all, TYPE.profile).inputs.role, "own");
  });

  it("a self-managed pool on EKS falls back on the cluster's security group", async () => {
    const all = await pools(config([selfManaged()]));
    assert.deepEqual(only(all, TYPE.template).inputs.vpcSecurityGroupIds, ["sg-0c1a57e0"]);
  });

  it("a cluster that is not EKS: the user's profile, text and groups, and nothing of EKS", async () => {
    const pool = selfManaged({
      instanceProfile: "arn:aws:iam::123456789012:instance-profile/own",
      securityGroupIds: ["sg-00000001"],
      userData: { family: "custom", text: "join {{labels}}" },
    });
    const all = await pools(config([pool], { cluster: kubernetesCluster }));
    const { inputs } = only(all, TYPE.template);
    assert.deepEqual(inputs.iamInstanceProfile, { arn: "arn:aws:iam::123456789012:instance-profile/own" });
    assert.match(
      text(only(all, TYPE.template)),
      /^join patchguard\.dev\/generation=[0-9a-f]{8},patchguard\.dev\/pool=workers$/,
    );
    assert.deepEqual(
      [...ofType(all, TYPE.role), ...ofType(all, TYPE.access), ...ofType(all, TYPE.profile)],
      [],
    );
  });

  it("what exists in the cloud under our name is imported, not made again", async () => {
    const pool = released({ zones: { "us-east-1a": "subnet-0000000a", "us-east-1b": "subnet-0000000b" } });
    const existing = new Map([
      ["workers", { groups: { "us-east-1a": "prod:workers-x-us-east-1a" }, template: "lt-1" }],
    ]);
    const all = await pools(config([pool]), {}, existing);
    assert.deepEqual(
      Object.fromEntries(ofType(all, TYPE.managed).map((group) => [zoneOf(group), group.imported])),
      { "us-east-1a": "prod:workers-x-us-east-1a", "us-east-1b": "" },
    );
    assert.equal(only(all, TYPE.template).imported, "lt-1");
  });
});
