/** The stand-in aws provider under the real engine: what the real provider would do to the same program, in order. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DescribeNodegroupCommand, EKSClient } from "@aws-sdk/client-eks";
import { useSandbox } from "../support/sandbox.ts";

const program = fileURLToPath(new URL("provider-aws", import.meta.url));
const GROUP = "urn:pulumi:test::provider-aws::aws:eks/nodeGroup:NodeGroup::workers";
const TAINTS = [{ key: "dedicated", value: "web", effect: "NO_SCHEDULE" }];

interface Resource {
  urn: string;
  id: string;
  delete?: boolean;
  outputs: Record<string, unknown>;
}

describe("the sandbox's aws provider", function () {
  this.timeout(240_000);
  const sandbox = useSandbox({ SANDBOX_CREATE_SECONDS: "1", SANDBOX_BOOT_SECONDS: "1" });

  /** Runs pulumi on the test's program; resolves with what it printed, whatever the exit code. */
  function pulumi(args: string[], variant: object = {}): Promise<{ code: number; text: string }> {
    const env = { ...sandbox().sandbox.env, CASE: JSON.stringify(variant) };
    const command = [...args, "--stack", "test", "--non-interactive", "--color", "never"];
    return new Promise((resolve) => {
      execFile("pulumi", command, { cwd: program, env, maxBuffer: 1 << 26 }, (error, out, err) =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, text: `${out}${err}` }),
      );
    });
  }
  async function up(variant: object): Promise<string> {
    const { code, text } = await pulumi(["up", "--yes", "--skip-preview"], variant);
    assert.equal(code, 0, text);
    return text;
  }
  async function unchanged(variant: object): Promise<void> {
    const { code, text } = await pulumi(["preview", "--diff", "--expect-no-changes"], variant);
    assert.equal(code, 0, text);
  }
  async function group(): Promise<Resource> {
    const { text } = await pulumi(["stack", "export"]);
    const { deployment } = JSON.parse(text) as { deployment: { resources: Resource[] } };
    const found = deployment.resources.find((r) => r.urn === GROUP && !r.delete);
    assert.ok(found, "the node group is in the state");
    return found;
  }
  async function inCloud(nodegroupName: string) {
    const { env } = sandbox().sandbox;
    const eks = new EKSClient({
      region: "us-east-1",
      endpoint: env.AWS_ENDPOINT_URL,
      credentials: { accessKeyId: "sandbox", secretAccessKey: "sandbox" },
    });
    const answer = await eks.send(new DescribeNodegroupCommand({ clusterName: "sandbox", nodegroupName }));
    return answer.nodegroup;
  }

  const stackFile = fileURLToPath(new URL("provider-aws/Pulumi.test.yaml", import.meta.url));
  before("a stack", async () => {
    const { code, text } = await pulumi(["stack", "init"]);
    assert.equal(code, 0, text);
  });

  after("its settings file", () => rmSync(stackFile, { force: true }));

  const first = {};
  const second = {
    image: "ami-0000000000000000b",
    label: "two",
    taints: TAINTS,
    tag: "two",
    suspended: ["AZRebalance"],
  };

  it("previews a program whose inputs are not known yet, and creates it", async () => {
    const preview = await pulumi(["preview"], first);
    assert.equal(preview.code, 0, preview.text);
    assert.match(preview.text, /9 to create/);
    assert.match(await up(first), /node group sandbox:workers-1 ACTIVE eks-workers-1-/);
    await unchanged(first);
  });

  it("finds nothing to change after a refresh", async () => {
    const { code, text } = await pulumi(["refresh", "--yes", "--skip-preview", "--expect-no-changes"], first);
    assert.equal(code, 0, text);
    await unchanged(first);
  });

  it("updates in place what AWS can change in place, and sends it", async () => {
    const text = await up(second);
    assert.match(text, /4 updated/);
    assert.doesNotMatch(text, /replaced/);
    const live = await inCloud("workers-1");
    assert.deepEqual([live?.labels, live?.taints, live?.tags], [{ label: "two" }, TAINTS, { team: "two" }]);
    await unchanged(second);
  });

  it("replaces a group of a fixed name by deleting it first", async () => {
    const text = await up({ ...second, capacityType: "SPOT" });
    assert.match(text, /1 replaced/);
    const [deleted, created] = [
      text.search(/workers deleted original/),
      text.search(/workers created replacement/),
    ];
    assert.ok(deleted >= 0 && deleted < created, text);
    assert.equal((await inCloud("workers-1"))?.capacityType, "SPOT");
  });

  it("creates a group of a new name before it deletes the old one", async () => {
    const text = await up({ ...second, nodeGroupName: "workers-2" });
    const [created, deleted] = [
      text.search(/workers created replacement/),
      text.search(/workers deleted original/),
    ];
    assert.ok(created >= 0 && created < deleted, text);
    await assert.rejects(inCloud("workers-1"), /No node group found/);
  });

  it("keeps a group whose creation failed, with id and reason, and replaces it next time", async () => {
    const failing = { ...second, nodeGroupName: "workers-3", releaseVersion: "1.34.1-20251119" };
    const failed = await pulumi(["up", "--yes", "--skip-preview"], failing);
    assert.notEqual(failed.code, 0);
    assert.match(failed.text, /EKS ended its creation as CREATE_FAILED: NodeCreationFailure/);
    const kept = await group();
    assert.deepEqual([kept.id, kept.outputs.status], ["sandbox:workers-3", "CREATE_FAILED"]);
    assert.match(await up({ ...failing, releaseVersion: "1.34.1-20251117" }), /1 replaced/);
    assert.equal((await inCloud("workers-3"))?.status, "ACTIVE");
  });

  const third = { ...second, nodeGroupName: "workers-3", releaseVersion: "1.34.1-20251117" };

  it("refuses by name to create what exists, and imports it without a change", async () => {
    const dropped = await pulumi(["state", "delete", GROUP, "--yes"]);
    assert.equal(dropped.code, 0, dropped.text);
    const doubled = await pulumi(["up", "--yes", "--skip-preview"], third);
    assert.match(
      doubled.text,
      /ResourceInUseException: NodeGroup already exists with name workers-3.*import it/,
    );
    const text = await up({ ...third, importGroup: "sandbox:workers-3" });
    assert.match(text, /1 imported/);
    assert.doesNotMatch(text, /updated|replaced/);
    await unchanged(third);
  });

  it("refuses an input it does not know, and one of a wrong kind", async () => {
    const bad = { ...third, group: { loadBalancers: ["old"], minSize: "some" } };
    const { code, text } = await pulumi(["preview"], bad);
    assert.notEqual(code, 0);
    assert.match(text, /does not know input `loadBalancers` of aws:autoscaling\/group:Group/);
    assert.match(text, /`minSize` of aws:autoscaling\/group:Group must be a number, not "some"/);
  });

  it("deletes everything", async () => {
    const { code, text } = await pulumi(["destroy", "--yes", "--skip-preview"]);
    assert.equal(code, 0, text);
    await assert.rejects(inCloud("workers-3"), /No node group found/);
  });
});
