/** The sandbox's cloud (moto and the machine room) on the real control plane: what a rollout relies on. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  DeleteAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  ResumeProcessesCommand,
  SuspendProcessesCommand,
  type AutoScalingGroup,
} from "@aws-sdk/client-auto-scaling";
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  EC2Client,
  TerminateInstancesCommand,
  type RequestLaunchTemplateData,
} from "@aws-sdk/client-ec2";
import {
  CreateNodegroupCommand,
  DeleteNodegroupCommand,
  DescribeClusterCommand,
  DescribeNodegroupCommand,
  DescribeUpdateCommand,
  EKSClient,
  UpdateNodegroupConfigCommand,
  UpdateNodegroupVersionCommand,
  type Nodegroup,
} from "@aws-sdk/client-eks";
import { AppsV1Api, CoreV1Api, KubeConfig, PolicyV1Api, StorageV1Api } from "@kubernetes/client-node";
import type { V1Node, V1Pod } from "@kubernetes/client-node";
import { imageByName, WORLD } from "../../sandbox/images.ts";
import { startSandbox, stopSandbox, type Sandbox } from "../../sandbox/sandbox.ts";
import { until } from "../support/until.ts";

const clusterName = WORLD.cluster;
const subnets = WORLD.subnets.map((s) => s.id);
const [subnetA = ""] = subnets;
const knobs = {
  SANDBOX_BOOT_SECONDS: "1",
  SANDBOX_CREATE_SECONDS: "1",
  SANDBOX_CREATE_FAILED_SECONDS: "20",
  SANDBOX_EKS_DRAIN_SECONDS: "6",
};

describe("sandbox cloud", function () {
  this.timeout(240_000);
  const dir = join(mkdtempSync(join(tmpdir(), "patchguard-cloud-")), "sandbox");
  let sandbox: Sandbox;
  let core: CoreV1Api;
  let apps: AppsV1Api;
  let storage: StorageV1Api;
  let policy: PolicyV1Api;
  let eks: EKSClient;
  let ec2: EC2Client;
  let autoScaling: AutoScalingClient;

  const start = async (): Promise<void> => {
    sandbox = await startSandbox({ dir, env: { ...process.env, ...knobs } });
  };
  before(async function () {
    this.timeout(25 * 60_000);
    await start();
    const config = new KubeConfig();
    config.loadFromFile(sandbox.kubeconfig);
    [core, apps, storage, policy] = [
      config.makeApiClient(CoreV1Api),
      config.makeApiClient(AppsV1Api),
      config.makeApiClient(StorageV1Api),
      config.makeApiClient(PolicyV1Api),
    ];
    const client = {
      endpoint: sandbox.machineRoomUrl,
      region: WORLD.region,
      credentials: { accessKeyId: "sandbox", secretAccessKey: "sandbox" },
    };
    [eks, ec2, autoScaling] = [new EKSClient(client), new EC2Client(client), new AutoScalingClient(client)];
  });
  after(async function () {
    this.timeout(60_000);
    await stopSandbox({ dir });
    rmSync(dir, { recursive: true, force: true });
  });

  const nodesOf = async (selector: string): Promise<V1Node[]> =>
    (await core.listNode({ labelSelector: selector })).items;
  const readyNodesOf = async (selector: string): Promise<V1Node[]> =>
    (await nodesOf(selector)).filter((n) =>
      n.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"),
    );
  const group = async (nodegroupName: string): Promise<Nodegroup | undefined> => {
    try {
      return (await eks.send(new DescribeNodegroupCommand({ clusterName, nodegroupName }))).nodegroup;
    } catch (error) {
      if ((error as Error).name === "ResourceNotFoundException") return undefined;
      throw error;
    }
  };
  const create = (nodegroupName: string, image: string, size: number, more: object = {}): Promise<unknown> =>
    eks.send(
      new CreateNodegroupCommand({
        clusterName,
        nodegroupName,
        nodeRole: WORLD.roleArn,
        subnets,
        amiType: "AL2023_x86_64_STANDARD",
        releaseVersion: imageByName(image).releaseVersion,
        instanceTypes: ["m5.large"],
        scalingConfig: { minSize: 1, maxSize: size + 2, desiredSize: size },
        ...more,
      }),
    );
  const becomes = (name: string, status: string, seconds = 40): Promise<void> =>
    until(`${name} ${status}`, async () => (await group(name))?.status === status, seconds);
  const gone = (name: string): Promise<void> =>
    until(`${name} gone`, async () => (await group(name)) === undefined, 60);
  const remove = async (name: string): Promise<void> => {
    await eks.send(new DeleteNodegroupCommand({ clusterName, nodegroupName: name }));
    await gone(name);
  };
  const asg = async (name: string): Promise<Partial<AutoScalingGroup>> => {
    const answer = await autoScaling.send(
      new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }),
    );
    return answer.AutoScalingGroups?.[0] ?? {};
  };

  /** User data as a self-managed AL2023 node needs it. */
  async function userData(labels: string, name: string = clusterName): Promise<string> {
    const { cluster } = await eks.send(new DescribeClusterCommand({ name: clusterName }));
    const config = {
      apiVersion: "node.eks.aws/v1alpha1",
      kind: "NodeConfig",
      spec: {
        cluster: {
          name,
          apiServerEndpoint: cluster?.endpoint,
          certificateAuthority: cluster?.certificateAuthority?.data,
          cidr: cluster?.kubernetesNetworkConfig?.serviceIpv4Cidr,
        },
        kubelet: { flags: [`--node-labels=${labels}`, "--register-with-taints=own=x:NoSchedule"] },
      },
    };
    return Buffer.from(JSON.stringify(config)).toString("base64");
  }

  it("a self-managed group spreads over its zones, and a lost instance comes back only when nothing is suspended", async () => {
    const template: RequestLaunchTemplateData = {
      ImageId: imageByName("good-a").id,
      InstanceType: "m5.large",
      UserData: await userData("group=self"),
      SecurityGroupIds: [WORLD.securityGroup],
    };
    await ec2.send(
      new CreateLaunchTemplateCommand({ LaunchTemplateName: "self", LaunchTemplateData: template }),
    );
    await autoScaling.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: "self",
        MinSize: 3,
        MaxSize: 3,
        VPCZoneIdentifier: subnets.join(","),
        LaunchTemplate: { LaunchTemplateName: "self", Version: "1" },
      }),
    );
    await until("three nodes", async () => (await readyNodesOf("group=self")).length === 3);
    const nodes = await nodesOf("group=self");
    const zones = nodes.map((n) => n.metadata?.labels?.["topology.kubernetes.io/zone"]).sort();
    assert.deepEqual(
      zones,
      WORLD.subnets.map((s) => s.zone),
    );
    assert.ok(nodes.every((n) => n.spec?.taints?.some((t) => t.key === "own" && t.value === "x")));
    assert.ok(nodes.every((n) => n.status?.nodeInfo?.kernelVersion === imageByName("good-a").kernel));

    const processes = { AutoScalingGroupName: "self", ScalingProcesses: ["Launch", "ReplaceUnhealthy"] };
    await autoScaling.send(new SuspendProcessesCommand(processes));
    const lost = nodes[0]?.spec?.providerID?.split("/").at(-1) ?? "";
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [lost] }));
    await until(
      "the lost instance's Node is deleted",
      async () => (await nodesOf("group=self")).length === 2,
    );
    await until("the group has seen it", async () =>
      ((await asg("self")).Instances ?? []).some((i) => i.HealthStatus === "Unhealthy"),
    );
    assert.equal((await asg("self")).Instances?.length, 3, "nothing was launched for the lost one");

    await autoScaling.send(new ResumeProcessesCommand(processes));
    await until("three nodes again", async () => (await readyNodesOf("group=self")).length === 3);
    await autoScaling.send(
      new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: "self", ForceDelete: true }),
    );
    await until("no node", async () => (await nodesOf("group=self")).length === 0);
  });

  it("an instance whose user data names another cluster never joins, and the status says why", async () => {
    await ec2.send(
      new CreateLaunchTemplateCommand({
        LaunchTemplateName: "stray",
        LaunchTemplateData: {
          ImageId: imageByName("good-a").id,
          InstanceType: "m5.large",
          UserData: await userData("group=stray", "other"),
        },
      }),
    );
    await autoScaling.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: "stray",
        MinSize: 1,
        MaxSize: 1,
        VPCZoneIdentifier: subnetA,
        LaunchTemplate: { LaunchTemplateName: "stray", Version: "$Latest" },
      }),
    );
    await until("the reason in the status", async () =>
      (await (await fetch(`${sandbox.machineRoomUrl}/-/status`)).text()).includes("names the cluster other"),
    );
    await autoScaling.send(
      new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: "stray", ForceDelete: true }),
    );
  });

  it("an EKS group is CREATING until its nodes joined, busy meanwhile, and shows its own template and group", async () => {
    await create("workers", "good-a", 2, {
      labels: { group: "workers" },
      taints: [{ key: "t", value: "v", effect: "NO_SCHEDULE" }],
    });
    assert.equal((await group("workers"))?.status, "CREATING");
    await assert.rejects(create("workers", "good-a", 2), { name: "ResourceInUseException" });
    await assert.rejects(
      eks.send(new UpdateNodegroupConfigCommand({ clusterName, nodegroupName: "workers", labels: {} })),
      { name: "ResourceInUseException" },
    );
    await becomes("workers", "ACTIVE");
    const nodes = await readyNodesOf("group=workers");
    assert.equal(nodes.length, 2);
    assert.ok(nodes.every((n) => n.metadata?.labels?.["eks.amazonaws.com/nodegroup"] === "workers"));
    assert.ok(nodes.every((n) => n.spec?.taints?.some((t) => t.key === "t" && t.effect === "NoSchedule")));
    const { resources, scalingConfig } = (await group("workers")) ?? {};
    const own = await asg(resources?.autoScalingGroups?.[0]?.name ?? "");
    const specification = own.MixedInstancesPolicy?.LaunchTemplate?.LaunchTemplateSpecification;
    assert.match(specification?.LaunchTemplateName ?? "", /^eks-/);
    assert.equal(specification?.Version, "1");
    assert.equal(scalingConfig?.desiredSize, own.DesiredCapacity);

    const { update } = await eks.send(
      new UpdateNodegroupConfigCommand({
        clusterName,
        nodegroupName: "workers",
        scalingConfig: { minSize: 2, maxSize: 2, desiredSize: 2 },
        labels: { addOrUpdateLabels: { more: "yes" } },
      }),
    );
    assert.equal(update?.status, "InProgress");
    await becomes("workers", "ACTIVE");
    assert.equal((await nodesOf("more=yes")).length, 2, "labels reach the nodes that are there");
    await remove("workers");
  });

  it("an image that does not join fails both ways", async () => {
    await create("fails", "create-fails", 1);
    await create("silent", "never-joins", 1);
    await becomes("silent", "ACTIVE");
    await becomes("fails", "CREATE_FAILED");
    assert.equal((await group("fails"))?.health?.issues?.[0]?.code, "NodeCreationFailure");
    const nodes = await nodesOf("eks.amazonaws.com/nodegroup in (fails, silent)");
    assert.equal(nodes.length, 0);
    await Promise.all([remove("fails"), remove("silent")]);
  });

  describe("with a StatefulSet that has zonal volumes", () => {
    const labels = { app: "db" };
    const pod = async (): Promise<V1Pod | undefined> =>
      (await core.listNamespacedPod({ namespace: "default", labelSelector: "app=db" })).items[0];
    const isReady = (p: V1Pod | undefined): boolean =>
      p?.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;

    before(async () => {
      await create("blue", "good-a", 1, { subnets: [subnetA], labels: { group: "blue" } });
      await becomes("blue", "ACTIVE");
      await apps.createNamespacedStatefulSet({
        namespace: "default",
        body: {
          metadata: { name: "db" },
          spec: {
            serviceName: "db",
            replicas: 1,
            selector: { matchLabels: labels },
            template: {
              metadata: { labels, annotations: { "sandbox.patchguard.dev/stop": "500ms" } },
              spec: {
                containers: [
                  { name: "db", image: "db", volumeMounts: [{ name: "data", mountPath: "/data" }] },
                ],
              },
            },
            volumeClaimTemplates: [
              {
                metadata: { name: "data" },
                spec: {
                  accessModes: ["ReadWriteOnce"],
                  storageClassName: "zonal",
                  resources: { requests: { storage: "1Gi" } },
                },
              },
            ],
          },
        },
      });
      await until("the pod Ready", async () => isReady(await pod()), 60);
    });

    it("attaches before Ready, reports the volume in use, and hands it over when the pod is evicted", async () => {
      const { items } = await storage.listVolumeAttachment();
      const old = items[0];
      assert.ok(old?.status?.attached);
      const node = await core.readNode({ name: old.spec.nodeName });
      assert.equal(node.status?.volumesInUse?.length, 1);
      await create("green", "good-b", 1, { subnets: [subnetA], labels: { group: "green" } });
      await becomes("green", "ACTIVE");
      await core.patchNode(
        { name: old.spec.nodeName, body: [{ op: "add", path: "/spec/unschedulable", value: true }] },
        undefined,
      );
      const { name = "", uid } = (await pod())?.metadata ?? {};
      await core.createNamespacedPodEviction({ name, namespace: "default", body: { metadata: { name } } });
      await until(
        "another pod Ready",
        async () => {
          const now = await pod();
          return now?.metadata?.uid !== uid && isReady(now);
        },
        60,
      );
      const now = (await storage.listVolumeAttachment()).items;
      assert.equal(now.length, 1);
      assert.notEqual(now[0]?.metadata?.uid, old.metadata?.uid);
      assert.equal(now[0]?.spec.nodeName, (await pod())?.spec?.nodeName);
      await remove("blue");
    });

    it("a new release rolls the group in place", async () => {
      const [before] = await readyNodesOf("group=green");
      const { update } = await eks.send(
        new UpdateNodegroupVersionCommand({
          clusterName,
          nodegroupName: "green",
          releaseVersion: imageByName("good-c").releaseVersion,
        }),
      );
      await becomes("green", "UPDATING");
      await becomes("green", "ACTIVE", 60);
      const answer = await eks.send(
        new DescribeUpdateCommand({ name: clusterName, nodegroupName: "green", updateId: update?.id }),
      );
      assert.equal(answer.update?.status, "Successful");
      const after = await readyNodesOf("group=green");
      assert.notEqual(after[0]?.metadata?.name, before?.metadata?.name);
      assert.equal(after[0]?.status?.nodeInfo?.kernelVersion, imageByName("good-c").kernel);
      await until("the pod Ready", async () => isReady(await pod()), 60);
    });

    it("a deletion that a budget stands against kills in the end, also when the machine room was killed meanwhile", async () => {
      await policy.createNamespacedPodDisruptionBudget({
        namespace: "default",
        body: { metadata: { name: "db" }, spec: { minAvailable: 1, selector: { matchLabels: labels } } },
      });
      await until("the budget at zero", async () => {
        const budget = await policy.readNamespacedPodDisruptionBudget({ name: "db", namespace: "default" });
        return budget.status?.expectedPods === 1 && budget.status.disruptionsAllowed === 0;
      });
      await eks.send(new DeleteNodegroupCommand({ clusterName, nodegroupName: "green" }));
      const record = readFileSync(join(dir, "run", "machine-room.json"), "utf8");
      const { pid } = JSON.parse(record) as { pid: number };
      process.kill(pid, "SIGKILL");
      await until("the machine room dead", () => {
        try {
          return !process.kill(pid, 0);
        } catch (error) {
          return (error as NodeJS.ErrnoException).code === "ESRCH";
        }
      });
      const { uid } = (await pod())?.metadata ?? {};
      await start();
      assert.equal((await group("green"))?.status, "DELETING", "the killed machine room remembers");
      assert.equal((await pod())?.metadata?.uid, uid);
      await gone("green");
      assert.equal((await nodesOf("group=green")).length, 0);
    });
  });

  it("later versions of a template keep their user data", async () => {
    const data: RequestLaunchTemplateData = {
      ImageId: imageByName("good-b").id,
      InstanceType: "m5.large",
      UserData: await userData("group=two"),
    };
    await ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: "two", LaunchTemplateData: data }));
    await ec2.send(
      new CreateLaunchTemplateVersionCommand({ LaunchTemplateName: "two", LaunchTemplateData: data }),
    );
    await create("custom", "good-b", 1, {
      amiType: undefined,
      releaseVersion: undefined,
      instanceTypes: undefined,
      launchTemplate: { name: "two", version: "2" },
    });
    await becomes("custom", "ACTIVE");
    const custom = await group("custom");
    assert.equal(custom?.amiType, "CUSTOM");
    assert.equal(custom?.releaseVersion, imageByName("good-b").id);
    assert.equal((await readyNodesOf("group=two")).length, 1);
    await remove("custom");
  });
});
