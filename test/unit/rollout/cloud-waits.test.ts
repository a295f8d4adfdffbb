import type { EKSClient } from "@aws-sdk/client-eks";
import assert from "node:assert/strict";
import type { Aws } from "../../../rollout/cloud/aws-clients.ts";
import { resizeNodegroup } from "../../../rollout/cloud/eks.ts";
import { systemClock } from "../../../rollout/clock.ts";

/** An EKS of one node group, as far as its sizes go: which requests came, and what it answers to a change. */
function eksOf(group: { status: string; refuses?: string }): { aws: Aws; asked: string[] } {
  const asked: string[] = [];
  const answers: Record<string, () => object> = {
    DescribeNodegroupCommand: () => ({
      nodegroup: { status: group.status, scalingConfig: { minSize: 0, maxSize: 4, desiredSize: 2 } },
    }),
    UpdateNodegroupConfigCommand: () => {
      if (group.refuses !== undefined) throw Object.assign(new Error("no"), { name: group.refuses });
      return { update: { id: "1" } };
    },
    DescribeUpdateCommand: () => ({ update: { status: "InProgress" } }),
  };
  const send = (command: object): Promise<object> => {
    asked.push(command.constructor.name);
    return Promise.resolve().then(() => answers[command.constructor.name]?.() ?? {});
  };
  const eks = { send } as unknown as EKSClient;
  const aws = {
    region: "us-east-1",
    clusterName: "prod",
    clock: systemClock,
    timeoutSeconds: 900,
    eks,
  } as Aws;
  return { aws, asked };
}

/** Aborted a moment from now. */
function soon(): AbortSignal {
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("stopped")), 20);
  return stop.signal;
}

const SIZES = { min: 2, max: 2 };

describe("the wait for a change of an EKS group", () => {
  it("ends as soon as the run is told to stop, although EKS is still at work", async () => {
    const { aws, asked } = eksOf({ status: "UPDATING" });
    await assert.rejects(resizeNodegroup({ ...aws, signal: soon() }, "workers", SIZES), /stopped/);
    assert.ok(asked.includes("DescribeUpdateCommand"));
  }).timeout(900);

  it("ends as soon as the run is told to stop, also while EKS takes no change", async () => {
    const { aws, asked } = eksOf({ status: "UPDATING", refuses: "ResourceInUseException" });
    await assert.rejects(resizeNodegroup({ ...aws, signal: soon() }, "workers", SIZES), /stopped/);
    assert.equal(asked.filter((it) => it === "UpdateNodegroupConfigCommand").length, 1);
  }).timeout(900);

  it("is left out on request: EKS finishes by itself what it has accepted", async () => {
    const { aws, asked } = eksOf({ status: "ACTIVE" });
    assert.equal(await resizeNodegroup(aws, "workers", SIZES, false), "accepted");
    assert.ok(!asked.includes("DescribeUpdateCommand"));
  }).timeout(900);

  it("asks for nothing once the run was told to stop", async () => {
    const { aws, asked } = eksOf({ status: "ACTIVE" });
    const signal = AbortSignal.abort(new Error("stopped"));
    await assert.rejects(resizeNodegroup({ ...aws, signal }, "workers", SIZES), /stopped/);
    assert.ok(!asked.includes("UpdateNodegroupConfigCommand"));
  });

  it("says which groups EKS leaves as they are, and does not count what is so already", async () => {
    const degraded = eksOf({ status: "DEGRADED", refuses: "InvalidRequestException" });
    assert.equal(await resizeNodegroup(degraded.aws, "workers", SIZES), "left");
    const failed = eksOf({ status: "CREATE_FAILED" });
    assert.equal(await resizeNodegroup(failed.aws, "workers", SIZES), "left");
    assert.equal(await resizeNodegroup(failed.aws, "workers", { min: 0, max: 4 }), "done");
    assert.ok(!failed.asked.includes("UpdateNodegroupConfigCommand"));
  });
});
