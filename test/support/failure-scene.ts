/** A small pool with its shop, and the questions that the failure tests ask of cluster, cloud and state. */
import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from "@aws-sdk/client-auto-scaling";
import {
  DescribeInstancesCommand,
  DescribeLaunchTemplatesCommand,
  EC2Client,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { DescribeNodegroupCommand, EKSClient, ListNodegroupsCommand } from "@aws-sdk/client-eks";
import assert from "node:assert/strict";
import { IMAGES, imageByName, WORLD } from "../../sandbox/images.ts";
import { LABEL_GENERATION } from "../watcher/names.ts";
import type { Node } from "../watcher/objects.ts";
import { mustSucceed, Stack, type StackConfig } from "./pulumi.ts";
import { RunLogs } from "./run-log.ts";
import type { TestSandbox } from "./sandbox.ts";
import { pool, stackConfig } from "./stacks.ts";
import type { Manifest } from "./workloads.ts";
import { apply, budget, daemonSet, deployment, spreadOverZones, statefulSet } from "./workloads.ts";

export const WEB = 4;
export const KAFKA = 2;

/** Short health windows. The Lease has its usual times: nothing is killed here, and a loaded machine renews late. */
export const ROLLOUT = {
  health: { windowSeconds: 2 },
  preflight: { timeoutSeconds: 300 },
  green: { timeoutSeconds: 120 },
};

/** The shop on the nodes of one pool. */
export const shopOf = (poolName: string): Manifest[] => {
  const nodeSelector = { "patchguard.dev/pool": poolName };
  return [
    deployment({
      name: "web",
      replicas: WEB,
      start: "500ms",
      stop: "1s",
      terminationGracePeriodSeconds: 5,
      nodeSelector,
    }),
    budget({ name: "web", maxUnavailable: 1 }),
    statefulSet({
      name: "kafka",
      replicas: KAFKA,
      storage: "zonal",
      start: "500ms",
      stop: "1s",
      nodeSelector,
      spec: spreadOverZones("kafka"),
    }),
    budget({ name: "kafka", minAvailable: 1 }),
    daemonSet({ name: "agent", start: "200ms", stop: "200ms" }),
  ];
};

export class FailureScene {
  readonly stack: Stack;
  readonly logs: RunLogs;
  readonly box: TestSandbox;
  private readonly ec2: EC2Client;
  private readonly eks: EKSClient;
  private readonly autoScaling: AutoScalingClient;

  private constructor(box: TestSandbox, stack: Stack, logs: RunLogs) {
    this.box = box;
    this.stack = stack;
    this.logs = logs;
    const access = {
      endpoint: box.sandbox.machineRoomUrl,
      region: WORLD.region,
      credentials: { accessKeyId: "sandbox", secretAccessKey: "sandbox" },
    };
    this.ec2 = new EC2Client(access);
    this.eks = new EKSClient(access);
    this.autoScaling = new AutoScalingClient(access);
  }

  /** The shop on the pool `workers`: by default one node in each of two zones on image good-a. */
  static async create(
    box: TestSandbox,
    name: string,
    config: StackConfig = configOf("good-a"),
  ): Promise<FailureScene> {
    const scene = await FailureScene.empty(box, name, config);
    mustSucceed(await scene.stack.up());
    await apply(box.test.api, ...shopOf("workers"));
    await scene.whole();
    return scene;
  }

  /** A stack that was never up, on a cluster without workloads. `env` goes over the sandbox's environment. */
  static async empty(
    box: TestSandbox,
    name: string,
    config: StackConfig,
    env: NodeJS.ProcessEnv = {},
  ): Promise<FailureScene> {
    const logs = new RunLogs();
    const all = { PATCHGUARD_LOG_DIR: logs.folder, ...env };
    return new FailureScene(box, await Stack.create(box.sandbox, config, { name, env: all }), logs);
  }

  dispose(): void {
    this.stack.dispose();
    this.logs.remove();
  }

  /** Pins an image; from here on the run log is read afresh. */
  pin(image: string, rollout: Record<string, unknown> = {}): void {
    this.stack.configure(configOf(image, rollout));
    this.logs.restart();
  }

  /** Changes what a budget asks for. */
  async setBudget(name: string, spec: { minAvailable?: number; maxUnavailable?: number }): Promise<void> {
    const { minAvailable = null, maxUnavailable = null } = spec;
    await this.box.test.api.request(
      "PATCH",
      `/apis/policy/v1/namespaces/default/poddisruptionbudgets/${name}`,
      {
        spec: { minAvailable, maxUnavailable },
      },
    );
  }

  async budgetIsZero(key: string): Promise<void> {
    const { view } = this.box;
    await view.eventually(() => view.get("PodDisruptionBudget", key)?.status?.disruptionsAllowed === 0, {
      timeoutSeconds: 30,
      describe: `budget ${key} is at zero`,
    });
  }

  async setFinalizers(pod: string, finalizers: string[] | null): Promise<void> {
    await this.box.test.api.request("PATCH", `/api/v1/namespaces/default/pods/${pod}`, {
      metadata: { finalizers },
    });
  }

  async whole(): Promise<void> {
    const { view } = this.box;
    await view.ready("web", WEB, 180);
    await view.ready("kafka", KAFKA, 180);
    await view.budgetAllows("default/web", 1);
    await view.budgetAllows("default/kafka", 1);
  }

  /** Names of the nodes, by generation. */
  generations(): Map<string, string[]> {
    const byGeneration = Map.groupBy(
      this.box.view.nodes(),
      ({ metadata }) => metadata.labels?.[LABEL_GENERATION] ?? "",
    );
    return new Map([...byGeneration].map(([key, nodes]) => [key, nodes.map((n) => n.metadata.name).sort()]));
  }

  /** Name of the image that all nodes run. */
  imageNow(): string {
    const kernels = new Set(
      this.box.view.nodes().map((node) => (node as NodeWithInfo).status?.nodeInfo?.kernelVersion),
    );
    const image = IMAGES.find(({ kernel }) => kernels.size === 1 && kernels.has(kernel));
    if (image === undefined)
      throw new Error(`the nodes do not run one known image: ${[...kernels].join(", ")}`);
    return image.name;
  }

  /** Every node that runs, and every pod of the shop, by UID: what "untouched" means in the cluster. */
  standing(): { nodes: string[]; pods: string[] } {
    const { view } = this.box;
    const pods = [...view.podsOf("web"), ...view.podsOf("kafka")];
    return {
      nodes: view
        .nodes()
        .map(({ metadata }) => metadata.name)
        .sort(),
      pods: pods.map(({ metadata, spec }) => `${metadata.uid} on ${spec?.nodeName ?? "no node"}`).sort(),
    };
  }

  /** Everything that PatchGuard creates or changes in the cloud. */
  async cloud(): Promise<{ templates: string[]; groups: string[]; scaling: string[] }> {
    const { LaunchTemplates = [] } = await this.ec2.send(new DescribeLaunchTemplatesCommand({}));
    const { AutoScalingGroups = [] } = await this.autoScaling.send(new DescribeAutoScalingGroupsCommand({}));
    const groups = await this.groups();
    return {
      templates: LaunchTemplates.map((it) => `${it.LaunchTemplateName} v${it.LatestVersionNumber}`).sort(),
      groups: groups
        .map(
          ({ name, status, tags, scaling }) =>
            `${name} ${status} ${JSON.stringify(scaling)} ${JSON.stringify(sorted(tags))}`,
        )
        .sort(),
      scaling: AutoScalingGroups.map((group) => {
        const suspended = (group.SuspendedProcesses ?? []).map(({ ProcessName }) => ProcessName).sort();
        const { MinSize, MaxSize, DesiredCapacity } = group;
        return `${group.AutoScalingGroupName} ${MinSize}..${MaxSize} at ${DesiredCapacity}, suspended: ${suspended.join(" ") || "none"}`;
      }).sort(),
    };
  }

  async groups(): Promise<
    { name: string; status: string; tags: Record<string, string>; scaling: object | undefined }[]
  > {
    const { nodegroups = [] } = await this.eks.send(
      new ListNodegroupsCommand({ clusterName: WORLD.cluster }),
    );
    return Promise.all(
      nodegroups.map(async (nodegroupName) => {
        const { nodegroup } = await this.eks.send(
          new DescribeNodegroupCommand({ clusterName: WORLD.cluster, nodegroupName }),
        );
        const { status = "", tags = {}, scalingConfig: scaling } = nodegroup ?? {};
        return { name: nodegroupName, status, tags, scaling };
      }),
    );
  }

  /** Ids of all instances that were ever launched from an image, ended ones included. */
  async launched(image: string): Promise<string[]> {
    const { Reservations = [] } = await this.ec2.send(
      new DescribeInstancesCommand({ Filters: [{ Name: "image-id", Values: [imageByName(image).id] }] }),
    );
    return Reservations.flatMap(({ Instances = [] }) => Instances.map((it) => it.InstanceId ?? "")).sort();
  }

  /** Ends the instance behind a node, as a spot reclaim without a warning would. */
  async terminate(node: string): Promise<void> {
    const { spec } = this.box.view.get("Node", node) as Node & { spec?: { providerID?: string } };
    const id = spec?.providerID?.split("/").at(-1) ?? "";
    await this.ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
  }

  /** One image is all there is: on the nodes, in the groups of cloud and state, in the templates. */
  async isWholeOn(image: string): Promise<void> {
    await this.whole();
    const { view } = this.box;
    const kernels = view.nodes().map((node) => (node as NodeWithInfo).status?.nodeInfo?.kernelVersion);
    assert.deepEqual(kernels, [imageByName(image).kernel, imageByName(image).kernel]);
    const groups = await this.groups();
    assert.deepEqual(
      groups.map(({ status }) => status),
      ["ACTIVE", "ACTIVE"],
    );
    const { templates, scaling } = await this.cloud();
    const ours = templates.filter((name) => name.startsWith(`${WORLD.cluster}-workers-`));
    assert.equal(ours.length, 1, `one template, not ${ours.join(", ")}`);
    assert.ok(
      scaling.every((line) => line.endsWith("suspended: none")),
      scaling.join("\n"),
    );
    const { resources } = await this.stack.exportState();
    const ids = (type: string): (string | undefined)[] =>
      resources.filter((it) => it.type === type).map(({ id }) => id);
    assert.deepEqual(
      ids("aws:eks/nodeGroup:NodeGroup").sort(),
      groups.map(({ name }) => `${WORLD.cluster}:${name}`).sort(),
    );
    assert.equal(ids("aws:ec2/launchTemplate:LaunchTemplate").length, 1);
  }
}

type NodeWithInfo = Node & { status?: { nodeInfo?: { kernelVersion?: string } } };

const sorted = (tags: Record<string, string>): [string, string][] => Object.entries(tags).sort();

export const configOf = (image: string, rollout: Record<string, unknown> = {}) =>
  stackConfig([pool({ image, zones: ["a", "b"] })], { ...ROLLOUT, ...rollout });
