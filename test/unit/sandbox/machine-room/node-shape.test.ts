import assert from "node:assert/strict";
import { imageByName, IMAGES, WORLD } from "../../../../sandbox/images.ts";
import {
  instanceOf,
  joining,
  type Cluster,
  type Instance,
} from "../../../../sandbox/machine-room/node-shape.ts";
import { mergedUserData } from "../../../../sandbox/machine-room/own-template.ts";
import type { Group } from "../../../../sandbox/machine-room/store.ts";

const cluster: Cluster = {
  name: "sandbox",
  endpoint: "https://127.0.0.1:6443",
  certificateAuthority: "Q0E=",
};

const group = (image: string): Group =>
  ({
    name: "workers-a",
    uuid: "u",
    labels: { "patchguard.dev/pool": "workers" },
    taints: [{ key: "dedicated", value: "x", effect: "NO_SCHEDULE" }],
    imageId: imageByName(image).id,
    capacityType: "ON_DEMAND",
    amiType: imageByName(image).amiType,
  }) as unknown as Group;

const instance = (image: string, more: Partial<Instance> = {}): Instance => ({
  id: "i-0123456789abcdef0",
  zone: "us-east-1b",
  type: "m5.xlarge",
  image: imageByName(image).id,
  privateIp: "10.0.64.4",
  privateDnsName: "ip-10-0-64-4.ec2.internal",
  launchTime: 0,
  spot: false,
  group: "eks-workers-a-u",
  tags: { "eks:nodegroup-name": "workers-a" },
  userData: mergedUserData(group(image), cluster, undefined),
  ...more,
});

const reason = (i: Instance): string => {
  const verdict = joining(i, cluster);
  return verdict.joins ? "joins" : verdict.reason;
};

describe("the Node of an instance", () => {
  for (const image of ["good-b", "bottlerocket-b"])
    it(`carries what a real one carries (${image})`, () => {
      const verdict = joining(instance(image), cluster);
      assert.ok(verdict.joins);
      const { node } = verdict;
      const { kernel, osImage } = imageByName(image);
      assert.equal(node.metadata?.name, "ip-10-0-64-4.ec2.internal");
      assert.equal(node.spec?.providerID, "aws:///us-east-1b/i-0123456789abcdef0");
      assert.equal(instanceOf(node), "i-0123456789abcdef0");
      assert.deepEqual(node.spec?.taints, [{ key: "dedicated", value: "x", effect: "NoSchedule" }]);
      const { labels, annotations } = node.metadata ?? {};
      assert.equal(labels?.["topology.kubernetes.io/zone"], "us-east-1b");
      assert.equal(labels?.["topology.kubernetes.io/region"], WORLD.region);
      assert.equal(labels?.["patchguard.dev/pool"], "workers");
      assert.equal(labels?.["eks.amazonaws.com/nodegroup"], "workers-a");
      assert.equal(labels?.["node.kubernetes.io/instance-type"], "m5.xlarge");
      assert.equal(annotations?.["volumes.kubernetes.io/controller-managed-attach-detach"], "true");
      assert.equal(node.status?.nodeInfo?.kernelVersion, kernel);
      assert.equal(node.status?.nodeInfo?.osImage, osImage);
      assert.equal(node.status?.capacity?.["pods"], "58");
      assert.equal(node.status?.capacity?.["cpu"], "4000m");
    });

  it("never appears for a broken or unknown image", () => {
    assert.match(reason(instance("never-joins")), /broken on purpose/);
    assert.match(reason(instance("create-fails")), /broken on purpose/);
    assert.match(reason(instance("good-a", { image: "ami-00000000000000bad" })), /unknown/);
  });
  it("never appears without user data, or for another cluster, endpoint or authority", () => {
    assert.match(reason(instance("good-a", { userData: null })), /no user data/);
    const other = (change: Partial<Cluster>): string =>
      reason(
        instance("good-a", {
          userData: mergedUserData(group("good-a"), { ...cluster, ...change }, undefined),
        }),
      );
    assert.match(other({ name: "other" }), /names the cluster other/);
    assert.match(other({ endpoint: "https://elsewhere" }), /names the endpoint/);
    assert.match(other({ certificateAuthority: "WA==" }), /another certificate authority/);
  });
  it("keeps the user's own parts in EKS's bootstrap", () => {
    const user =
      'Content-Type: multipart/mixed; boundary="X"\n\n--X\nContent-Type: application/node.eks.aws\n\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet:\n    config:\n      maxPods: 7\n    flags: ["--node-labels=mine=1"]\n--X--\n';
    const userData = mergedUserData(group("good-a"), cluster, Buffer.from(user).toString("base64"));
    const verdict = joining(instance("good-a", { userData }), cluster);
    assert.ok(verdict.joins);
    assert.equal(verdict.node.metadata?.labels?.["mine"], "1");
    assert.equal(verdict.node.status?.capacity?.["pods"], "7");
  });
});

describe("the image catalogue", () => {
  it("has ids as EC2 has them, each once", () => {
    for (const image of IMAGES) assert.match(image.id, /^ami-[0-9a-f]{17}$/);
    assert.equal(new Set(IMAGES.map((i) => i.id)).size, IMAGES.length);
    assert.equal(new Set(IMAGES.map((i) => `${i.amiType} ${i.releaseVersion}`)).size, IMAGES.length);
  });
});
