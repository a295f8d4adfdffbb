/** Refusals by name, defaults, names and previews of the stand-in aws provider. */
import assert from "node:assert/strict";
import { connect } from "../../../sandbox/provider-aws/aws.ts";
import { fromApi, mapChanges, toApi } from "../../../sandbox/provider-aws/codec.ts";
import { explain, isNotFound } from "../../../sandbox/provider-aws/errors.ts";
import { checkConfiguration, Provider } from "../../../sandbox/provider-aws/provider.ts";
import type { Values } from "../../../sandbox/provider-aws/schema.ts";
import { booleanText, list, object, tags, text, UNKNOWN } from "../../../sandbox/provider-aws/schema.ts";
import { durationSeconds } from "../../../sandbox/provider-aws/types/auto-scaling-group.ts";
import { functionType } from "../../../sandbox/provider-aws/types/index.ts";

const provider = new Provider();
const SEED = new Uint8Array([1, 2, 3]);
const urn = (token: string, name = "one") => `urn:pulumi:s::p::${token}::${name}`;
const check = (token: string, news: Values, olds: Values = {}) =>
  provider.check(urn(token), olds, news, SEED);
const reasons = (token: string, news: Values) =>
  check(token, news).failures.map((f) => f.reason.split(";")[0]);

describe("sandbox: checks of the aws provider", () => {
  it("refuses types and functions it does not know, by name", () => {
    assert.throws(
      () => check("aws:s3/bucket:Bucket", {}),
      /does not know resource type aws:s3\/bucket:Bucket/,
    );
    assert.throws(
      () => functionType("aws:ec2/getAmi:getAmi"),
      /does not know function aws:ec2\/getAmi:getAmi/,
    );
  });

  it("refuses inputs it does not know, at every depth, and names all problems at once", () => {
    const launchTemplate = {
      namePrefix: "x",
      metadataOptions: { tokens: "required" },
      blockDeviceMappings: [{ ebs: { encrypted: "maybe", size: 1 } }],
    };
    assert.deepEqual(reasons("aws:ec2/launchTemplate:LaunchTemplate", launchTemplate), [
      "the sandbox's aws provider does not know input `namePrefix` of aws:ec2/launchTemplate:LaunchTemplate",
      "the sandbox's aws provider does not know input `metadataOptions.tokens` of aws:ec2/launchTemplate:LaunchTemplate",
      '`blockDeviceMappings[0].ebs.encrypted` of aws:ec2/launchTemplate:LaunchTemplate must be "true" or "false", not "maybe"',
      "the sandbox's aws provider does not know input `blockDeviceMappings[0].ebs.size` of aws:ec2/launchTemplate:LaunchTemplate",
    ]);
  });

  it("asks for what is required, and lets unknown values pass", () => {
    assert.deepEqual(reasons("aws:iam/rolePolicyAttachment:RolePolicyAttachment", { role: UNKNOWN }), [
      "aws:iam/rolePolicyAttachment:RolePolicyAttachment needs a value for `policyArn`",
    ]);
  });

  it("refuses provider settings it would not honour", () => {
    const { failures } = checkConfiguration({
      region: "us-east-1",
      skipRegionValidation: "true",
      profile: "prod",
    });
    assert.deepEqual(
      failures.map((f) => f.property),
      ["profile"],
    );
  });

  it("never talks to anything but this machine", () => {
    assert.throws(() => connect("us-east-1", undefined), /needs AWS_ENDPOINT_URL/);
    assert.throws(() => connect("us-east-1", "https://eks.example.com"), /talks to this machine only/);
    assert.throws(() => connect("us-east-1", "http://127.0.0.1.example.com"), /talks to this machine only/);
    assert.ok(connect("us-east-1", "http://127.0.0.1:1"));
  });

  it("makes up a name once, and keeps it", () => {
    const made = check("aws:iam/instanceProfile:InstanceProfile", {}).inputs;
    assert.match(String(made.name), /^one-[0-9a-f]{7}$/);
    assert.deepEqual(made.__defaults, ["name"]);
    assert.equal(check("aws:iam/instanceProfile:InstanceProfile", {}, { name: "kept" }).inputs.name, "kept");
    assert.deepEqual(
      check("aws:iam/instanceProfile:InstanceProfile", { name: "given" }).inputs.__defaults,
      [],
    );
  });

  it("previews a create with unknown outputs, and an update with those unknown that it changes", () => {
    const token = "aws:ec2/launchTemplate:LaunchTemplate";
    const inputs = { name: "t", imageId: "ami-1", updateDefaultVersion: true };
    const created = provider.previewCreate(urn(token), inputs);
    assert.deepEqual([created.name, created.latestVersion, created.arn], ["t", UNKNOWN, UNKNOWN]);
    const state = { ...inputs, latestVersion: 1, defaultVersion: 1, arn: "arn:1" };
    const news = { ...inputs, imageId: "ami-2" };
    const updated = provider.previewUpdate(urn(token), inputs, state, news);
    assert.deepEqual(
      [updated.arn, updated.latestVersion, updated.defaultVersion],
      ["arn:1", UNKNOWN, UNKNOWN],
    );
    const tagged = provider.previewUpdate(urn(token), inputs, state, { ...inputs, tags: { a: "b" } });
    assert.equal(tagged.latestVersion, 1);
  });

  it("turns values into the API's form and back", () => {
    const fields = {
      encrypted: booleanText(),
      zones: list(object({ subnetId: text(), dns: text({ api: "DNSName" }) })),
      tags: tags(),
    };
    const values = { encrypted: "true", zones: [{ subnetId: "a", dns: "b" }], tags: { k: "v" } };
    const api = {
      Encrypted: true,
      Zones: [{ SubnetId: "a", DNSName: "b" }],
      Tags: [{ Key: "k", Value: "v" }],
    };
    assert.deepEqual(toApi(fields, values, "pascal"), api);
    assert.deepEqual(fromApi(fields, api, "pascal"), values);
    assert.deepEqual(mapChanges({ a: "1", b: "1" }, { b: "2", c: "3" }), {
      put: { b: "2", c: "3" },
      remove: ["a"],
    });
  });

  it("says what failed on which resource, by which error, and what to do", () => {
    const error = Object.assign(new Error("NodeGroup already exists"), { name: "ResourceInUseException" });
    assert.equal(
      explain("creating", "aws:eks/nodeGroup:NodeGroup", "workers", error),
      "creating aws:eks/nodeGroup:NodeGroup (workers): ResourceInUseException: NodeGroup already exists. What to do: " +
        "it exists already or is being changed: import it (resource option `import`), wait, or delete it, then run again",
    );
    assert.equal(isNotFound(error), false);
    assert.equal(isNotFound(Object.assign(new Error("x"), { name: "NoSuchEntity" })), true);
    assert.equal(
      isNotFound(Object.assign(new Error("group name not found"), { name: "ValidationError" })),
      true,
    );
  });

  it("reads durations as Go does", () => {
    assert.deepEqual(["0", "90s", "10m", "1h30m"].map(durationSeconds), [0, 90, 600, 5400]);
    for (const bad of ["", "10", "m", "10 m"]) assert.throws(() => durationSeconds(bad), /must read like/);
  });
});
