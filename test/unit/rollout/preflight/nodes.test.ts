import assert from "node:assert/strict";
import { cgroupOf, nodes } from "../../../../rollout/preflight/nodes.ts";
import { GREEN, nodeOf, podOf, says } from "./scene.ts";

const green = (name: string, change: Parameters<typeof nodeOf>[1] = {}) =>
  nodeOf(name, { generation: "bbbbbbbb", ...change });

describe("nodes that are not well", () => {
  it("are named, blue ones and others", () => {
    const Node = [nodeOf("n1", { ready: "Unknown" }), nodeOf("other", { pool: null, ready: "False" })];
    assert.deepEqual(says(nodes, { Node }), [
      "warning node-not-ready: Node n1: it is not Ready; its pods may be stuck until it comes back or is gone. To go on: `kubectl describe node n1`, or terminate its instance",
      "warning node-not-ready: Node other: it is not Ready; nothing can move there, and its pods may be missing elsewhere. To go on: `kubectl describe node other`, or terminate its instance",
    ]);
  });
  it("are not those that are only just joining", () => {
    const joining = { ...nodeOf("other", { pool: null }), status: {} };
    assert.deepEqual(says(nodes, { Node: [nodeOf("n1"), joining] }), []);
  });
});

describe("kubelet and API server", () => {
  it("a kubelet more than three minors behind, told once for all nodes with it", () => {
    const Node = ["n1", "n2"].map((name) => nodeOf(name, { kubelet: "v1.30.4" }));
    assert.deepEqual(says(nodes, { Node }, { serverVersion: "v1.34.1" }), [
      "warning node-skew: Node n1: its kubelet (and 1 more node) is v1.30.4, more than 3 minor versions older than the API server (v1.34.1). " +
        "To go on: go on, and make sure that the pinned image has a newer kubelet: this one is no longer supported",
    ]);
    assert.deepEqual(says(nodes, { Node }, { serverVersion: "v1.33.0" }), []);
  });
  it("one that is newer", () => {
    const Node = [nodeOf("n1"), green("g1", { kubelet: "v1.35.0" })];
    assert.deepEqual(says(nodes, { Node }, { serverVersion: "v1.34.1" }), [
      "warning node-skew: Node g1: its kubelet is v1.35.0, newer than the API server (v1.34.1). To go on: update the control plane first, or pin an older image",
    ]);
  });
  it("without the server's version it is at least that of the newest kubelet", () => {
    const Node = [nodeOf("n1", { kubelet: "v1.30.4" }), nodeOf("other", { pool: null, kubelet: "v1.34.1" })];
    assert.match(
      says(nodes, { Node })[0] ?? "",
      /than the API server \(at least 1.34, as other kubelets are\)/,
    );
    assert.deepEqual(says(nodes, { Node: [nodeOf("n1", { kubelet: "v1.30.4" })] }), []);
  });
  it("the pinned release is told before green exists", () => {
    const target = {
      pool: "workers",
      generation: "bbbbbbbb",
      image: { releaseVersion: "1.35.0-20261101" },
      groups: [],
    };
    assert.deepEqual(says(nodes, {}, { target, serverVersion: "v1.34.1" }), [
      "warning node-skew: Pool workers: release 1.35.0-20261101 has a kubelet newer than the API server (v1.34.1). To go on: update the control plane first, or pin an older release",
    ]);
  });
});

describe("what is different on green", () => {
  it("the architecture, for each workload that moves, with its images", () => {
    const pod = podOf("web-1", {
      spec: { nodeName: "n1", containers: [{ name: "a", image: "shop/web:1" }] },
    });
    const asked = { green: { ...GREEN, architecture: "arm64" as const } };
    assert.deepEqual(says(nodes, { Pod: [pod] }, asked), [
      "warning architecture-differs: ReplicaSet shop/web-5d8: it runs on amd64, and green is arm64 (shop/web:1). " +
        "To go on: make sure that its images are made for arm64: `docker buildx imagetools inspect <image>` lists what they have",
    ]);
    const Node = [nodeOf("n1"), green("g1")];
    assert.deepEqual(
      says(nodes, { Node, Pod: [pod] }, asked),
      [],
      "what is there counts more than the config",
    );
  });
  it("the hop limit of the metadata service", () => {
    const blue = nodeOf("n1", { spec: { ...{ providerID: "aws:///us-east-1a/i-0123456789abcdef0" } } });
    const cloud = { hopLimits: new Map([["i-0123456789abcdef0", 2]]), notAsked: [] };
    assert.deepEqual(says(nodes, { Node: [blue] }, { cloud, green: { ...GREEN, hopLimit: 1 } }), [
      "warning metadata-hop-limit: Pool workers: the metadata service of green's nodes answers over 1 hop, blue's over 2 hops: pods without host network that ask it for credentials or their region may get no answer. " +
        "To go on: give such pods a role of their own (IRSA, EKS Pod Identity), or set patchguard:pools[].metadataOptions.hopLimit to 2",
    ]);
    assert.deepEqual(says(nodes, { Node: [blue] }, { cloud, green: { ...GREEN, hopLimit: 2 } }), []);
    assert.deepEqual(
      says(nodes, { Node: [blue] }, { green: { ...GREEN, hopLimit: 1 } }),
      [],
      "nobody knows blue's",
    );
  });
  it("the cgroup version, by green's image or its type", () => {
    const old = nodeOf("n1", { os: "Amazon Linux 2" });
    const found =
      "warning cgroup-version: Pool workers: blue's nodes have cgroup v1 (Amazon Linux 2), green's v2 (AL2023_x86_64_STANDARD): runtimes that are too old for it misread their memory limits. " +
      "To go on: look at workloads on Java before 8u372, 11.0.16 or 15, Node.js before 20, and agents that read /sys/fs/cgroup themselves";
    const typed = { green: { ...GREEN, amiType: "AL2023_x86_64_STANDARD" } };
    assert.deepEqual(says(nodes, { Node: [old] }, typed), [found]);
    const made = says(nodes, { Node: [old, green("g1")] });
    assert.deepEqual(made, [found.replace("AL2023_x86_64_STANDARD", "Amazon Linux 2023.9")]);
    assert.deepEqual(says(nodes, { Node: [old] }), [], "nobody knows green's");
  });
  const images: [string, 1 | 2 | undefined][] = [
    ["Amazon Linux 2", 1],
    ["Amazon Linux 2023.9.20251027", 2],
    ["Bottlerocket OS 1.20.3 (aws-k8s-1.30)", 2],
    ["Bottlerocket OS 1.12.0 (aws-k8s-1.24)", 1],
    ["Ubuntu 22.04.5 LTS", 2],
    ["Ubuntu 20.04.6 LTS", 1],
    ["Debian GNU/Linux 12 (bookworm)", 2],
    ["Red Hat Enterprise Linux 8.10 (Ootpa)", 1],
    ["Flatcar Container Linux by Kinvolk 4230.2.4 (Oklo)", undefined],
  ];
  for (const [image, version] of images)
    it(`${image}: cgroup ${version ?? "not known"}`, () => assert.equal(cgroupOf(image), version));
});
