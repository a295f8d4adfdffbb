import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { mimeParts, parseTaint, readUserData } from "../../../../sandbox/machine-room/user-data.ts";
import { parseToml, writeToml } from "../../../../sandbox/machine-room/toml.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

const nodeConfig = (spec: string): string =>
  `apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n${spec.replace(/^/gm, "  ")}\n`;
const cluster =
  "cluster:\n  name: sandbox\n  apiServerEndpoint: https://api\n  certificateAuthority: Q0E=\n  cidr: 10.96.0.0/16\n";
const mime = (...parts: string[]): string =>
  [
    'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="B"\n',
    ...parts.map((p) => `--B\n${p}`),
    "--B--\n",
  ].join("\n");
const nodeadmPart = (body: string): string => `Content-Type: application/node.eks.aws\n\n${body}`;

describe("user data of AL2023 (nodeadm)", () => {
  it("reads labels, taints and the pods limit from all parts, the last word counting", () => {
    const text = mime(
      "Content-Type: text/x-shellscript\n\n#!/bin/sh\necho hello",
      nodeadmPart(
        nodeConfig(
          "kubelet:\n  config:\n    maxPods: 42\n    registerWithTaints: [{key: a, value: b, effect: NoSchedule}]",
        ),
      ),
      nodeadmPart(
        nodeConfig(
          `${cluster}kubelet:\n  flags:\n    - --node-labels=x=y,patchguard.dev/pool=workers\n    - --register-with-taints=ded=z:NoExecute,only:PreferNoSchedule`,
        ),
      ),
    );
    assert.deepEqual(readUserData(base64(text), "al2023"), {
      cluster: "sandbox",
      endpoint: "https://api",
      certificateAuthority: "Q0E=",
      labels: { x: "y", "patchguard.dev/pool": "workers" },
      taints: [
        { key: "a", value: "b", effect: "NoSchedule" },
        { key: "ded", value: "z", effect: "NoExecute" },
        { key: "only", effect: "PreferNoSchedule" },
      ],
      maxPods: 42,
    });
  });

  it("reads a bare NodeConfig, Windows line ends, base64 parts and gzip", () => {
    const bare = nodeConfig(cluster);
    assert.equal(readUserData(base64(bare), "al2023").cluster, "sandbox");
    const json = JSON.stringify({
      apiVersion: "node.eks.aws/v1alpha1",
      kind: "NodeConfig",
      spec: { cluster: { name: "json", apiServerEndpoint: "x", certificateAuthority: "y", cidr: "z" } },
    });
    assert.equal(readUserData(base64(json), "al2023").cluster, "json");
    const crlf = mime(nodeadmPart(bare)).replaceAll("\n", "\r\n");
    assert.equal(readUserData(base64(crlf), "al2023").cluster, "sandbox");
    const encoded = mime(
      `Content-Type: application/node.eks.aws\nContent-Transfer-Encoding: base64\n\n${base64(bare)}`,
    );
    assert.equal(readUserData(base64(encoded), "al2023").cluster, "sandbox");
    assert.equal(readUserData(gzipSync(bare).toString("base64"), "al2023").cluster, "sandbox");
  });

  const failures: [string, string | null, RegExp][] = [
    ["nothing", null, /no user data/],
    ["a shell script", base64("#!/bin/sh\n/etc/eks/bootstrap.sh sandbox"), /no NodeConfig/],
    ["no cluster name", base64(nodeConfig(cluster.replace("sandbox", '""'))), /Name is missing/],
    [
      "no endpoint",
      base64(nodeConfig(cluster.replace("https://api", '""'))),
      /Apiserver endpoint is missing/,
    ],
    ["no authority", base64(nodeConfig(cluster.replace("Q0E=", '""'))), /Certificate authority is missing/],
    ["no cidr", base64(nodeConfig(cluster.replace("10.96.0.0/16", '""'))), /CIDR is missing/],
    ["another kind", base64(mime(nodeadmPart("apiVersion: v1\nkind: NodeConfig\n"))), /nodeadm knows/],
    [
      "a label of Kubernetes' own domain",
      base64(nodeConfig(`${cluster}kubelet:\n  flags: ["--node-labels=node-role.kubernetes.io/worker="]`)),
      /unknown 'kubernetes.io'/,
    ],
    [
      "a label with a wrong value",
      base64(nodeConfig(`${cluster}kubelet:\n  flags: ["--node-labels=a=b/c"]`)),
      /invalid value of the label a/,
    ],
    [
      "a taint without effect",
      base64(nodeConfig(`${cluster}kubelet:\n  flags: ["--register-with-taints=a=b"]`)),
      /not a taint/,
    ],
  ];
  for (const [what, text, reason] of failures)
    it(`does not join with ${what}`, () => assert.throws(() => readUserData(text, "al2023"), reason));

  it("allows the labels that the kubelet allows", () => {
    const text = nodeConfig(
      `${cluster}kubelet:\n  flags: ["--node-labels=node.kubernetes.io/x=y,topology.kubernetes.io/zone=a"]`,
    );
    assert.deepEqual(Object.keys(readUserData(base64(text), "al2023").labels), [
      "node.kubernetes.io/x",
      "topology.kubernetes.io/zone",
    ]);
  });
});

describe("user data of Bottlerocket", () => {
  const settings = `
[settings.kubernetes]
cluster-name = "sandbox" # the cluster
api-server = "https://api"
cluster-certificate = 'Q0E='
max-pods = 58
[settings.kubernetes.node-labels]
"patchguard.dev/pool" = "workers"
role = "x"
[settings.kubernetes.node-taints]
dedicated = ["a:NoSchedule", "b:NoExecute"]
"example.com/only" = ":PreferNoSchedule"
`;
  it("reads labels, taints and the pods limit", () => {
    assert.deepEqual(readUserData(base64(settings), "bottlerocket"), {
      cluster: "sandbox",
      endpoint: "https://api",
      certificateAuthority: "Q0E=",
      labels: { "patchguard.dev/pool": "workers", role: "x" },
      taints: [
        { key: "dedicated", value: "a", effect: "NoSchedule" },
        { key: "dedicated", value: "b", effect: "NoExecute" },
        { key: "example.com/only", effect: "PreferNoSchedule" },
      ],
      maxPods: 58,
    });
  });
  it("does not join without its settings, nor with a NodeConfig", () => {
    assert.throws(() => readUserData(base64("[settings]\n"), "bottlerocket"), /cluster-name is missing/);
    assert.throws(() => readUserData(base64(nodeConfig(cluster)), "bottlerocket"), /TOML/);
    assert.throws(
      () => readUserData(base64(settings.replace('"a:NoSchedule"', '"NoSchedule"')), "bottlerocket"),
      /not value:Effect/,
    );
  });
  it("writes what it reads", () => {
    assert.deepEqual(parseToml(writeToml(parseToml(settings))), parseToml(settings));
  });
  it("refuses what is set twice or is no value", () => {
    assert.throws(() => parseToml("a = 1\na = 2"), /line 2 of the TOML: the key a is set twice/);
    assert.throws(() => parseToml("a = b"), /b is not a value/);
    assert.throws(() => parseToml("[[a]]"), /arrays of tables/);
  });
});

describe("pieces of user data", () => {
  it("finds no parts in plain text", () => assert.deepEqual(mimeParts("#!/bin/sh\n"), []));
  it("reads a taint with an equals sign in no value", () =>
    assert.deepEqual(parseTaint("k=:NoSchedule"), { key: "k", effect: "NoSchedule" }));
});
