/** The AWS side of the rollout, against the sandbox's AWS: EKS groups, Auto Scaling groups, templates, images. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeTagsCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from "@aws-sdk/client-auto-scaling";
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import { CreateNodegroupCommand, EKSClient, ListUpdatesCommand } from "@aws-sdk/client-eks";
import {
  CreateTargetGroupCommand,
  ElasticLoadBalancingV2Client,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { createAwsCloud } from "../../rollout/cloud/aws.ts";
import { CloudError, type Cloud, type NodeGroup } from "../../rollout/cloud/cloud.ts";
import { systemClock } from "../../rollout/clock.ts";
import { freeze, isFrozen, readOwnership, thaw } from "../../rollout/freeze.ts";
import { LABEL_GENERATION, LABEL_POOL, TAG_CLOSED_BY, TAG_CLUSTER } from "../../rollout/names.ts";
import { imageByName, WORLD } from "../../sandbox/images.ts";
import { startSandbox, stopSandbox } from "../../sandbox/sandbox.ts";
import { useEnvironment } from "../support/environment.ts";
import { until } from "../support/until.ts";

const region = "us-east-1";
const clusterName = "sandbox";
const amiOf = (name: string): string => imageByName(name).id;
const [subnetA = "", subnetB = ""] = WORLD.subnets.map(({ id }) => id);
const tagsOf = (pool: string, generation: string) => ({
  [LABEL_POOL]: pool,
  [LABEL_GENERATION]: generation,
  [TAG_CLUSTER]: clusterName,
});

describe("AWS", function () {
  this.timeout(300_000);
  const dir = mkdtempSync(join(tmpdir(), "patchguard-aws-"));
  let restore = (): void => undefined;
  let cloud: Cloud;
  let ec2: EC2Client;
  let eks: EKSClient;
  let autoScaling: AutoScalingClient;
  let targetGroup = "";

  before(async () => {
    const sandbox = await startSandbox({ dir });
    restore = useEnvironment(sandbox.env);
    cloud = cloudOf();
    [ec2, eks, autoScaling] = [
      new EC2Client({ region }),
      new EKSClient({ region }),
      new AutoScalingClient({ region }),
    ];
    const elb = new ElasticLoadBalancingV2Client({ region });
    const made = await elb.send(
      new CreateTargetGroupCommand({
        Name: "web",
        Protocol: "HTTP",
        Port: 80,
        TargetType: "instance",
        VpcId: WORLD.vpc,
      }),
    );
    targetGroup = made.TargetGroups?.[0]?.TargetGroupArn ?? "";
    await template("good", amiOf("good-a"));
    await Promise.all([
      nodegroup("workers-a", "good-a", "workers", "0000000a"),
      nodegroup("workers-b", "create-fails", "workers", "0000000b"),
      nodegroup("other", "good-a", "other", "0000000c"),
      scalingGroup("own-pinned", "1"),
      scalingGroup("own-latest", "$Latest"),
    ]);
    await until(
      "the groups are there",
      async () => {
        const pools = await Promise.all(["workers", "other", "own"].map((pool) => cloud.groups(pool)));
        const groups = pools.flat();
        const ready = ({ name, status, instances, size }: NodeGroup): boolean =>
          name === "workers-b"
            ? status === "CREATE_FAILED"
            : status === "ACTIVE" && instances.length === size.desired;
        return groups.length === 5 && groups.every(ready);
      },
      120,
    );
  });

  after(async () => {
    restore();
    await stopSandbox({ dir });
    rmSync(dir, { recursive: true, force: true });
  });

  const cloudOf = (cloudTimeoutSeconds = 60): Cloud =>
    createAwsCloud({ region, clusterName, clock: systemClock, cloudTimeoutSeconds });

  async function template(name: string, ImageId: string): Promise<void> {
    await ec2.send(
      new CreateLaunchTemplateCommand({
        LaunchTemplateName: name,
        LaunchTemplateData: { ImageId, InstanceType: "m6i.large" },
      }),
    );
  }

  async function nodegroup(name: string, image: string, pool: string, generation: string): Promise<void> {
    await eks.send(
      new CreateNodegroupCommand({
        clusterName,
        nodegroupName: name,
        nodeRole: WORLD.roleArn,
        subnets: [subnetA],
        scalingConfig: { minSize: 1, maxSize: 4, desiredSize: 2 },
        releaseVersion: imageByName(image).releaseVersion,
        tags: tagsOf(pool, generation),
      }),
    );
  }

  async function scalingGroup(name: string, Version: string): Promise<void> {
    await autoScaling.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: name,
        MinSize: 0,
        MaxSize: 4,
        DesiredCapacity: 2,
        VPCZoneIdentifier: [subnetA, subnetB].join(","),
        LaunchTemplate: { LaunchTemplateName: "good", Version },
        TargetGroupARNs: [targetGroup],
        Tags: Object.entries(tagsOf("own", "0000000d")).map(([Key, Value]) => ({
          Key,
          Value,
          PropagateAtLaunch: true,
        })),
      }),
    );
  }

  const one = async (kind: NodeGroup["kind"], name: string): Promise<NodeGroup> => {
    const group = await cloud.group(kind, name);
    assert.ok(group, `${kind} ${name}`);
    return group;
  };
  const updates = async (name: string): Promise<number> =>
    (await eks.send(new ListUpdatesCommand({ name: clusterName, nodegroupName: name }))).updateIds?.length ??
    0;

  it("reads a pool's EKS groups: the Auto Scaling group's own template, images, zones", async () => {
    const groups = await cloud.groups("workers");
    assert.deepEqual(
      groups.map(({ name }) => name),
      ["workers-a", "workers-b"],
    );
    const [a, b] = groups;
    assert.ok(a?.template && b);
    assert.equal(a.kind, "eks-managed");
    assert.equal(a.status, "ACTIVE");
    assert.equal(a.pool, "workers");
    assert.equal(a.generation, "0000000a");
    assert.deepEqual(a.size, { min: 1, max: 4, desired: 2 });
    assert.deepEqual(a.zones, ["us-east-1a"]);
    assert.equal(a.template.imageId, amiOf("good-a"));
    assert.match(a.template.version, /^\d+$/);
    assert.match(a.template.name, /^eks-/, "EKS launches from a template of its own");
    assert.equal(a.releaseVersion, imageByName("good-a").releaseVersion);
    assert.deepEqual(
      a.instances.map(({ zone, imageId }) => `${zone} ${imageId}`),
      Array(2).fill(`us-east-1a ${amiOf("good-a")}`),
    );
    assert.equal(a.ownership, undefined);
    assert.equal(b.status, "CREATE_FAILED");
    assert.ok(b.issues.length > 0);
  });

  it("reads self-managed groups, and reports a floating version as it stands", async () => {
    const groups = await cloud.groups("own");
    assert.deepEqual(
      groups.map(({ name, kind, status, template }) => [
        name,
        kind,
        status,
        template?.version,
        template?.imageId,
      ]),
      [
        ["own-latest", "self-managed", "ACTIVE", "$Latest", amiOf("good-a")],
        ["own-pinned", "self-managed", "ACTIVE", "1", amiOf("good-a")],
      ],
    );
    assert.deepEqual(groups[1]?.zones, ["us-east-1a", "us-east-1b"]);
    assert.deepEqual(groups[1]?.targetGroupArns, [targetGroup]);
    await ec2.send(
      new CreateLaunchTemplateVersionCommand({
        LaunchTemplateName: "good",
        LaunchTemplateData: { ImageId: amiOf("good-b"), InstanceType: "m6i.large" },
      }),
    );
    assert.equal((await one("self-managed", "own-latest")).template?.imageId, amiOf("good-b"));
    assert.equal((await one("self-managed", "own-pinned")).template?.imageId, amiOf("good-a"));
  });

  it("does not take an EKS group's Auto Scaling group for a self-managed one, nor another pool's", async () => {
    const { scalingGroup: behind = "" } = await one("eks-managed", "workers-a");
    assert.equal(await cloud.group("self-managed", behind), undefined);
    assert.equal(await cloud.group("eks-managed", "nope"), undefined);
    assert.deepEqual(await cloud.groups("nope"), []);
  });

  it("finds the groups of instances and their images; what is gone is left out", async () => {
    const managed = await one("eks-managed", "workers-a");
    const own = await one("self-managed", "own-pinned");
    const ids = [...managed.instances, ...own.instances].map(({ id }) => id);
    const asked = [...ids, "i-0123456789abcdef0"];
    assert.deepEqual(
      (await cloud.groupsOf(asked)).map(({ kind, name }) => `${kind} ${name}`),
      ["self-managed own-pinned", "eks-managed workers-a"],
    );
    assert.deepEqual(await cloud.imagesOf(asked), new Map(ids.map((id) => [id, amiOf("good-a")])));
    assert.deepEqual(await cloud.imagesOf([]), new Map());
  });

  it("finds the groups of closed pools by their tag, and groups of others by their nodes' labels", async () => {
    const [managed, own] = [await one("eks-managed", "other"), await one("self-managed", "own-pinned")];
    const tag = "role=blue min=0 max=4 suspended=none";
    for (const group of [managed, own]) await cloud.setOwnership(group, tag);
    assert.deepEqual(
      (await cloud.closedGroups()).map(({ name, ownership }) => [name, ownership]),
      [managed, own].map(({ name }) => [name, tag]),
    );
    for (const group of [managed, own]) await cloud.setOwnership(group, undefined);
    assert.deepEqual(await cloud.closedGroups(), []);

    const scalingConfig = { minSize: 0, maxSize: 1, desiredSize: 0 };
    const { roleArn: nodeRole } = WORLD;
    const labels = { team: "shop" };
    await eks.send(
      new CreateNodegroupCommand({
        clusterName,
        nodegroupName: "theirs",
        nodeRole,
        subnets: [subnetA],
        scalingConfig,
        labels,
      }),
    );
    for (const cluster of [clusterName, "another"]) {
      const tags = {
        "k8s.io/cluster-autoscaler/node-template/label/team": "shop",
        [`kubernetes.io/cluster/${cluster}`]: "owned",
      };
      await autoScaling.send(
        new CreateAutoScalingGroupCommand({
          AutoScalingGroupName: `theirs-of-${cluster}`,
          MinSize: 0,
          MaxSize: 1,
          VPCZoneIdentifier: subnetA,
          LaunchTemplate: { LaunchTemplateName: "good", Version: "1" },
          Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value, PropagateAtLaunch: true })),
        }),
      );
    }
    assert.deepEqual(
      (await cloud.groupsWithLabels(labels)).map(({ kind, name }) => `${kind} ${name}`),
      ["eks-managed theirs", `self-managed theirs-of-${clusterName}`],
    );
    assert.deepEqual(await cloud.groupsWithLabels({ team: "others" }), []);
  });

  it("tells the limits for a green that is to be made, and what of it runs already", async () => {
    const asked = { zone: "us-east-1a", subnet: subnetA, min: 1, max: 4 };
    const groups = ["workers-a", "new"].map((name) => ({
      kind: "eks-managed" as const,
      name,
      zone: asked.zone,
    }));
    const facts = await cloud.facts({
      target: { pool: "workers", generation: "0000000e", image: { ami: amiOf("good-a") }, groups },
      green: {
        kind: "eks-managed",
        instanceTypes: ["m6i.large", "m6i.nothing"],
        capacityType: "ON_DEMAND",
        labels: {},
        taints: [],
        zones: [asked],
      },
      timeoutSeconds: 60,
    });
    assert.deepEqual(facts.notAsked, []);
    assert.deepEqual([...(facts.instanceTypes?.keys() ?? [])], ["m6i.large"]);
    const type = facts.instanceTypes?.get("m6i.large");
    assert.deepEqual(
      [type?.vcpus, type?.memoryMiB, type?.architectures, type?.maxPods],
      [2, 8192, ["amd64"], 29],
    );
    assert.ok(type?.zones?.includes("us-east-1a"));
    const free = facts.freeAddresses?.get(subnetA) ?? 0;
    assert.ok(free > 16_000 && free < 16_384 - 5, `${free} addresses of a /18 with instances in it`);
    assert.equal(facts.vcpus?.quota, 1152);
    assert.ok(facts.vcpus.used >= 6 * 2, `${facts.vcpus.used} vCPUs in use`);
    assert.equal(facts.groups?.quota, 30);
    assert.ok(facts.groups.used >= 3);
    assert.deepEqual(facts.groups.made, ["workers-a"]);
    assert.deepEqual(facts.launched, new Map([["us-east-1a", 2]]));
  });

  it("names what it could not ask of the limits, in time", async () => {
    const back = useEnvironment({ ...process.env, AWS_ENDPOINT_URL: "http://127.0.0.1:1" });
    try {
      const began = Date.now();
      const { notAsked, ...rest } = await cloudOf().facts({
        target: { pool: "workers", generation: "0000000e", image: { ami: "ami-1" }, groups: [] },
        green: {
          kind: "self-managed",
          instanceTypes: ["m6i.large"],
          capacityType: "SPOT",
          labels: {},
          taints: [],
          zones: [{ zone: "us-east-1a", subnet: subnetA, min: 1, max: 1 }],
        },
        timeoutSeconds: 1,
      });
      assert.ok(Date.now() - began < 3000);
      assert.ok(Object.values(rest).every((part) => part === undefined));
      assert.equal(notAsked.length, 4, notAsked.join("\n"));
      for (const text of notAsked)
        assert.match(text, /^w.* is not judged: (no answer within 1 s|.*ECONNREFUSED)/);
    } finally {
      back();
    }
  });

  it("tells the health of targets", async () => {
    const own = await one("self-managed", "own-pinned");
    const health = (await cloud.targetHealth([targetGroup])).get(targetGroup);
    for (const { id } of own.instances)
      assert.match(health?.get(id) ?? "missing", /^(initial|healthy|unused|unhealthy)$/);
  });

  for (const [kind, name] of [
    ["eks-managed", "workers-a"],
    ["self-managed", "own-pinned"],
  ] as const) {
    describe(`freezes and thaws ${kind}`, () => {
      it("puts back what was, and only that", async () => {
        const before = await one(kind, name);
        await autoScaling.send(
          new SuspendProcessesCommand({
            AutoScalingGroupName: before.scalingGroup,
            ScalingProcesses: ["AZRebalance"],
          }),
        );
        await freeze(cloud, await one(kind, name), "blue");
        const frozen = await one(kind, name);
        assert.ok(isFrozen(frozen));
        assert.deepEqual(frozen.suspended, ["AZRebalance", "Launch", "ReplaceUnhealthy"]);
        assert.deepEqual(frozen.size, { min: 2, max: 2, desired: 2 });
        assert.deepEqual(readOwnership(frozen.ownership)?.suspended, ["AZRebalance"]);
        assert.equal(frozen.status, "ACTIVE", "the change is over when the call returns");

        assert.equal(await thaw(cloud, frozen), true);
        const thawed = await one(kind, name);
        assert.deepEqual(thawed.suspended, ["AZRebalance"]);
        assert.deepEqual(thawed.size, before.size);
        assert.equal(thawed.ownership, undefined);
      });

      it("writes nothing that is so already", async () => {
        const group = await one(kind, name);
        const count = kind === "eks-managed" ? await updates(name) : 0;
        await cloud.resize(group, group.size);
        await cloud.suspend(group, ["AZRebalance"]);
        await cloud.resume(group, ["Terminate"]);
        await cloud.setOwnership(group, undefined);
        if (kind === "eks-managed") assert.equal(await updates(name), count);
        assert.deepEqual((await one(kind, name)).suspended, ["AZRebalance"]);
      });

      it("does not terminate a node that an autoscaler added since the picture was taken", async () => {
        const picture = await one(kind, name);
        await autoScaling.send(
          new UpdateAutoScalingGroupCommand({
            AutoScalingGroupName: picture.scalingGroup,
            DesiredCapacity: 3,
          }),
        );
        await cloud.resize(picture, { min: 2, max: 2 });
        assert.deepEqual((await one(kind, name)).size, { min: 2, max: 3, desired: 3 });
        await cloud.resize(picture, picture.size);
        assert.deepEqual((await one(kind, name)).size, picture.size);
      });
    });
  }

  it("does not hand the ownership tag on to instances", async () => {
    const group = await one("self-managed", "own-pinned");
    await cloud.setOwnership(group, "role=blue min=0 max=4 suspended=none");
    const { Tags } = await autoScaling.send(
      new DescribeTagsCommand({ Filters: [{ Name: "key", Values: [TAG_CLOSED_BY] }] }),
    );
    assert.deepEqual(
      Tags?.map(({ ResourceId, PropagateAtLaunch }) => [ResourceId, PropagateAtLaunch]),
      [["own-pinned", false]],
    );
    await cloud.setOwnership(group, undefined);
  });

  it("waits while EKS is busy with another change of the group", async () => {
    const group = await one("eks-managed", "other");
    const first = cloud.resize(group, { max: 5 });
    await until("EKS is busy", async () => (await one("eks-managed", "other")).status === "UPDATING");
    await Promise.all([first, cloudOf().resize(group, { max: 6, min: 2 })]);
    const now = await one("eks-managed", "other");
    assert.equal(now.size.max, 6);
    assert.equal(now.size.min, 2);
  });

  it("gives up waiting at the deadline, and says for what", async () => {
    const group = await one("eks-managed", "other");
    const first = cloud.resize(group, { max: 7 });
    await until("EKS is busy", async () => (await one("eks-managed", "other")).status === "UPDATING");
    await assert.rejects(
      cloudOf(0).resize(group, { max: 8 }),
      (error) =>
        error instanceof CloudError &&
        /UpdateNodegroupConfig.*node group other of cluster sandbox.*UPDATING/.test(error.message),
    );
    await first;
  });

  it("suspends a group whose creation failed, and leaves its sizes", async () => {
    const failed = await one("eks-managed", "workers-b");
    await freeze(cloud, failed, "blue");
    const now = await one("eks-managed", "workers-b");
    assert.deepEqual(now.size, failed.size);
    if (now.scalingGroup !== undefined) assert.ok(now.suspended.includes("Launch"));
    const { AutoScalingGroups } = await autoScaling.send(new DescribeAutoScalingGroupsCommand({}));
    assert.ok(
      AutoScalingGroups?.some(({ AutoScalingGroupName }) => AutoScalingGroupName === now.scalingGroup),
    );
  });

  it("says which endpoint cannot be reached", async () => {
    const back = useEnvironment({ ...process.env, AWS_ENDPOINT_URL: "http://127.0.0.1:1" });
    try {
      await assert.rejects(
        cloudOf().imagesOf(["i-0123456789abcdef0"]),
        (error) =>
          error instanceof CloudError &&
          /ec2:DescribeInstances of instance i-0.*127\.0\.0\.1:1.*ECONNREFUSED/.test(error.message),
      );
    } finally {
      back();
    }
  });
});
