/** Load balancers that send traffic to a node in hand, against a real API server and the sandbox's AWS. */
import assert from "node:assert/strict";
import { CreateNodegroupCommand, EKSClient } from "@aws-sdk/client-eks";
import {
  CreateTargetGroupCommand,
  DeregisterTargetsCommand,
  ElasticLoadBalancingV2Client,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { Balancers } from "../../rollout/balancers.ts";
import { createAwsCloud } from "../../rollout/cloud/aws.ts";
import { createCluster } from "../../rollout/cluster/client.ts";
import { connect } from "../../rollout/cluster/kubeconfig.ts";
import { systemClock } from "../../rollout/clock.ts";
import { Inventory } from "../../rollout/inventory.ts";
import { RunLog } from "../../rollout/log.ts";
import { LABEL_EXCLUDE_LB, LABEL_GENERATION, LABEL_POOL, TAG_CLUSTER } from "../../rollout/names.ts";
import type { Run } from "../../rollout/run.ts";
import { instanceId } from "../../rollout/target.ts";
import { imageByName, WORLD } from "../../sandbox/images.ts";
import { useEnvironment } from "../support/environment.ts";
import { useSandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";

const region = "us-east-1";
/** Long enough to be seen while it runs. */
const DELAY_SECONDS = 8;

describe("load balancers of a node in hand, on the sandbox's AWS", function () {
  this.timeout(4 * 60_000);
  const sandbox = useSandbox({ SANDBOX_BOOT_SECONDS: "1", SANDBOX_CREATE_SECONDS: "1" });
  let restore = (): void => undefined;
  let elb: ElasticLoadBalancingV2Client;
  let run: Run;
  /** By name: one that a controller would fill, one that is somebody else's. */
  const arns: Record<string, string> = {};

  async function targetGroup(name: string, type: "instance" | "ip", delay: number): Promise<string> {
    const { TargetGroups } = await elb.send(
      new CreateTargetGroupCommand({
        Name: name,
        Protocol: "HTTP",
        Port: 30080,
        TargetType: type,
        VpcId: WORLD.vpc,
      }),
    );
    const arn = TargetGroups?.[0]?.TargetGroupArn ?? "";
    const Attributes = [{ Key: "deregistration_delay.timeout_seconds", Value: String(delay) }];
    await elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn: arn, Attributes }));
    return (arns[name] = arn);
  }

  before("a pool of two nodes, and target groups", async () => {
    const { kubeconfig, env } = sandbox().sandbox;
    restore = useEnvironment(env);
    elb = new ElasticLoadBalancingV2Client({ region });
    await new EKSClient({ region }).send(
      new CreateNodegroupCommand({
        clusterName: "sandbox",
        nodegroupName: "workers-a",
        nodeRole: WORLD.roleArn,
        subnets: [WORLD.subnets[0]?.id ?? ""],
        scalingConfig: { minSize: 1, maxSize: 4, desiredSize: 2 },
        releaseVersion: imageByName("good-a").releaseVersion,
        labels: { [LABEL_POOL]: "workers", [LABEL_GENERATION]: "0000000a" },
        tags: { [LABEL_POOL]: "workers", [LABEL_GENERATION]: "0000000a", [TAG_CLUSTER]: "sandbox" },
      }),
    );
    await targetGroup("web", "instance", DELAY_SECONDS);
    await targetGroup("pods", "ip", 300);
    await targetGroup("of-others", "instance", 300);
    const config = await connect({ kind: "kubernetes", kubeconfig, context: "sandbox" });
    const cluster = createCluster(config, {
      requestTimeoutSeconds: 30,
      userAgent: "patchguard/test",
      clock: systemClock,
    });
    const cloud = createAwsCloud({
      region,
      clusterName: "sandbox",
      clock: systemClock,
      cloudTimeoutSeconds: 60,
    });
    run = {
      cluster,
      cloud,
      clock: systemClock,
      target: { pool: "workers", generation: "0000000b", image: { ami: "ami-1" }, groups: [] },
      inventory: await Inventory.open(cluster),
      log: new RunLog(systemClock, []),
      state: { record: { nodes: {} } },
    } as unknown as Run;
    await until("both nodes are there", () => run.inventory.all("Node").length === 2, 60);
  });
  after(() => {
    run.inventory.close();
    restore();
  });

  it("the cloud tells target groups of instances only, and their delays", async () => {
    const groups = await run.cloud.targetGroups();
    assert.deepEqual(groups.map(({ name }) => name).toSorted(), ["of-others", "web"]);
    assert.equal(groups.find(({ name }) => name === "web")?.arn, arns["web"]);
    const delays = await run.cloud.deregistrationDelays([arns["web"] ?? "", arns["of-others"] ?? ""]);
    assert.deepEqual([...delays.values()], [DELAY_SECONDS, 300]);
  });

  it("a node is waited for until it was deregistered, and its delay is over", async () => {
    const { test } = sandbox();
    const nodes = run.inventory.all("Node");
    const Targets = nodes.map((node) => ({ Id: instanceId(node) ?? "", Port: 30080 }));
    await elb.send(new RegisterTargetsCommand({ TargetGroupArn: arns["web"], Targets }));
    const [node] = nodes;
    const name = node?.metadata.name ?? "";
    const balancers = new Balancers(run);
    await balancers.look();
    assert.equal(balancers.waitingFor(name), undefined, "not in hand yet");

    run.state.record.nodes[name] = { phase: "in-hand", moved: [], owners: [] };
    await test.api.request("PATCH", `/api/v1/nodes/${name}`, {
      metadata: { labels: { [LABEL_EXCLUDE_LB]: "true" } },
    });
    const labelled = (): boolean =>
      run.inventory.get("Node", name)?.metadata.labels?.[LABEL_EXCLUDE_LB] !== undefined;
    await until("the label is seen", labelled, 30);
    await balancers.look();
    assert.match(balancers.waitingFor(name) ?? "", /^its instance i-\w+ is healthy in target group web, /);

    // the controller's part
    const deregistered = Date.now();
    await elb.send(
      new DeregisterTargetsCommand({ TargetGroupArn: arns["web"], Targets: Targets.slice(0, 1) }),
    );
    const told: string[] = [];
    await until(
      "nothing is left to wait for",
      async () => {
        await balancers.look();
        const left = balancers.waitingFor(name);
        if (left !== undefined) told.push(/ is (\w+) in/.exec(left)?.[1] ?? left);
        return left === undefined;
      },
      60,
    );
    assert.ok(Date.now() - deregistered >= DELAY_SECONDS * 1000, "the delay was waited out");
    assert.deepEqual([...new Set(told)].at(-1), "draining");
    const left = (await run.cloud.targetHealth([arns["web"] ?? ""])).get(arns["web"] ?? "");
    assert.deepEqual([...(left ?? [])], [[Targets[1]?.Id, "healthy"]], "the other node serves on");
  });
});
