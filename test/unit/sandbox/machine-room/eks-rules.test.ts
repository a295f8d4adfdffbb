import assert from "node:assert/strict";
import {
  checkIdle,
  checkLabels,
  checkName,
  checkSizes,
  checkTaints,
  checkTemplate,
  chooseImage,
  creationOutcome,
  EksError,
  mergeTaints,
} from "../../../../sandbox/machine-room/eks-rules.ts";
import { imageByName } from "../../../../sandbox/images.ts";
import type { Group } from "../../../../sandbox/machine-room/store.ts";

const good = imageByName("good-a");

describe("EKS: what a group that is CREATING becomes", () => {
  const cases: [string, string, number, number, string][] = [
    ["young, all nodes there", "good-a", 2, 2, "CREATING"],
    ["old enough, all nodes there", "good-a", 4, 2, "ACTIVE"],
    ["old enough, a node missing", "good-a", 4, 1, "CREATING"],
    ["too old, a node missing", "good-a", 21, 1, "CREATE_FAILED"],
    ["an image that never joins counts as ACTIVE without nodes", "never-joins", 4, 0, "ACTIVE"],
    ["an image whose group fails", "create-fails", 4, 0, "CREATING"],
    ["an image whose group fails, in time", "create-fails", 21, 0, "CREATE_FAILED"],
  ];
  for (const [what, image, age, ready, status] of cases)
    it(`${what}: ${status}`, () => {
      const group = {
        createdAt: 0,
        imageId: imageByName(image).id,
        scaling: { minSize: 1, maxSize: 3, desiredSize: 2 },
      };
      const outcome = creationOutcome(group, {
        now: age * 1000,
        ready,
        instances: ["i-1"],
        createMs: 3000,
        createFailedMs: 20_000,
      });
      assert.equal(outcome.status, status);
      if (outcome.status === "CREATE_FAILED") {
        assert.equal(outcome.issue.code, "NodeCreationFailure");
        assert.deepEqual(outcome.issue.resourceIds, ["i-1"]);
      }
    });
});

describe("EKS: which image a group runs", () => {
  it("the template's image makes it CUSTOM, and the AMI its release version", () => {
    assert.deepEqual(chooseImage({ templateImage: "ami-1" }), {
      amiType: "CUSTOM",
      releaseVersion: "ami-1",
      version: "1.34",
      imageId: "ami-1",
    });
  });
  it("a release version stands for an image", () => {
    const { releaseVersion, amiType, id } = good;
    assert.equal(chooseImage({ releaseVersion, amiType }).imageId, id);
  });
  it("no release version means the newest that joins", () =>
    assert.equal(chooseImage({}).imageId, imageByName("good-c").id));
  const refused: [string, Parameters<typeof chooseImage>[0]][] = [
    ["an unknown release version", { releaseVersion: "1.34.1-19990101" }],
    [
      "a release version of another AMI type",
      { releaseVersion: good.releaseVersion, amiType: "BOTTLEROCKET_x86_64" },
    ],
    ["a release version with the template's image", { templateImage: "ami-1", releaseVersion: "x" }],
    ["an AMI type with the template's image", { templateImage: "ami-1", amiType: "AL2023_x86_64_STANDARD" }],
    ["CUSTOM without an image", { amiType: "CUSTOM" }],
    ["another Kubernetes version", { version: "1.30" }],
  ];
  for (const [what, request] of refused)
    it(`refuses ${what}`, () => assert.throws(() => chooseImage(request), EksError));
});

describe("EKS: what it refuses", () => {
  it("sizes that do not fit", () => {
    for (const [minSize, desiredSize, maxSize] of [
      [2, 1, 3],
      [1, 4, 3],
      [3, 3, 2],
      [0, 0, 0],
    ] as const)
      assert.throws(() => checkSizes({ minSize, desiredSize, maxSize }), EksError);
    checkSizes({ minSize: 0, desiredSize: 0, maxSize: 1 });
  });
  it("names, labels and taints", () => {
    assert.throws(() => checkName("a".repeat(64)), EksError);
    assert.throws(() => checkLabels({ "kubernetes.io/x": "y" }), EksError);
    assert.throws(() => checkTaints([{ key: "a", effect: "NoSchedule" as never }]), EksError);
    checkLabels({ "patchguard.dev/pool": "workers" });
  });
  it("templates with a profile, subnets, or a second instance type", () => {
    assert.throws(() => checkTemplate({ IamInstanceProfile: { Name: "x" } }, false), EksError);
    assert.throws(() => checkTemplate({ NetworkInterfaces: [{ SubnetId: "s" }] }, false), EksError);
    assert.throws(() => checkTemplate({ InstanceType: "m5.large" }, true), EksError);
  });
  it("a request for a group that is busy, as 409 ResourceInUseException", () => {
    const group = (status: Group["status"]): Group => ({ name: "g", status }) as Group;
    for (const status of ["CREATING", "UPDATING", "DELETING", "CREATE_FAILED"] as const)
      assert.throws(
        () => checkIdle(group(status), "sandbox", "updated"),
        (error) =>
          error instanceof EksError && error.type === "ResourceInUseException" && error.httpStatus === 409,
      );
    checkIdle(group("ACTIVE"), "sandbox", "updated");
    checkIdle(group("CREATE_FAILED"), "sandbox", "deleted");
    assert.throws(() => checkIdle(group("CREATING"), "sandbox", "deleted"), EksError);
  });
});

describe("EKS: taints of an update", () => {
  it("are named by key and effect", () => {
    const merged = mergeTaints(
      [
        { key: "a", value: "1", effect: "NO_SCHEDULE" },
        { key: "a", value: "1", effect: "NO_EXECUTE" },
      ],
      [{ key: "a", value: "2", effect: "NO_SCHEDULE" }],
      [{ key: "a", effect: "NO_EXECUTE" }],
    );
    assert.deepEqual(merged, [{ key: "a", value: "2", effect: "NO_SCHEDULE" }]);
  });
});
