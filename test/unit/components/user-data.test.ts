import assert from "node:assert/strict";
import { loadYaml } from "@kubernetes/client-node";
import { userDataOf } from "../../../components/user-data.ts";
import { toToml } from "../../../components/toml.ts";
import type { AwsPoolConfig } from "../../../rollout/config/index.ts";
import { config, managed, released, selfManaged } from "../config/samples.ts";

type Map = Record<string, unknown>;

const bootstrap = {
  clusterName: "prod",
  apiServer: "https://prod.example",
  certificateAuthority: "Q0E=",
  serviceCidr: "172.20.0.0/16",
};
const poolOf = (raw: Map): AwsPoolConfig => config([raw]).pools[0] as AwsPoolConfig;
const userData = (raw: Map, known: typeof bootstrap | undefined = bootstrap): string | undefined =>
  userDataOf(poolOf(raw), "0a1b2c3d", known);

/** The parts of a MIME document: type to body. */
function parts(document: string | undefined): [type: string, body: string][] {
  const boundary = /boundary="(.+)"/.exec(document ?? "")?.[1] ?? "no boundary";
  const [, ...sections] = (document ?? "").split(`--${boundary}`);
  assert.equal(sections.pop()?.trim(), "--");
  return sections.map((section) => {
    const [head = "", ...body] = section.trimStart().split("\n\n");
    return [head.replace("Content-Type: ", ""), body.join("\n\n")];
  });
}

const nodeConfig = (document: string | undefined): Map => {
  const [type, body] = parts(document)[0] ?? [];
  assert.equal(type, "application/node.eks.aws");
  return { ...loadYaml<Map>(body ?? "") }; // the client gives it a class of its own
};

describe("user data of AL2023", () => {
  it("tells nodeadm the cluster, the labels and the taints", () => {
    const taints = [
      { key: "dedicated", value: "db", effect: "NoSchedule" },
      { key: "build", effect: "NoExecute" },
    ];
    const document = userData(managed({ maxPods: 50, labels: { tier: "web" }, taints }));
    assert.deepEqual(nodeConfig(document), {
      apiVersion: "node.eks.aws/v1alpha1",
      kind: "NodeConfig",
      spec: {
        cluster: {
          name: "prod",
          apiServerEndpoint: "https://prod.example",
          certificateAuthority: "Q0E=",
          cidr: "172.20.0.0/16",
        },
        kubelet: {
          config: { maxPods: 50 },
          flags: [
            "--node-labels=patchguard.dev/generation=0a1b2c3d,patchguard.dev/pool=workers,tier=web",
            "--register-with-taints=dedicated=db:NoSchedule,build=:NoExecute",
          ],
        },
      },
    });
  });

  it("passes on what the user adds, the script as a part of its own", () => {
    const document = userData(
      selfManaged({
        userData: {
          family: "al2023",
          kubelet: { systemReserved: { cpu: "100m" } },
          kubeletFlags: ["--v=2"],
          containerd: "version = 2\n",
          localStorage: "RAID0",
          script: "#!/bin/bash\necho hello\n",
        },
      }),
    );
    const { spec } = nodeConfig(document) as { spec: Record<string, Map> };
    assert.deepEqual(spec.kubelet?.config, { systemReserved: { cpu: "100m" } });
    assert.equal((spec.kubelet?.flags as string[])[0], "--v=2");
    assert.deepEqual(spec.containerd, { config: "version = 2\n" });
    assert.deepEqual(spec.instance, { localStorage: { strategy: "RAID0" } });
    const [, script] = parts(document);
    assert.match(script?.[0] ?? "", /^text\/x-shellscript/);
    assert.equal(script?.[1].trimEnd(), "#!/bin/bash\necho hello");
  });

  it("with a release version EKS does the joining: only what the user adds is there", () => {
    assert.equal(userData(released(), undefined), undefined);
    const document = userData(released({ maxPods: 110, labels: { a: "b" } }), undefined);
    assert.deepEqual(nodeConfig(document).spec, { kubelet: { config: { maxPods: 110 } } });
  });
});

describe("user data of Bottlerocket", () => {
  const bottlerocket = (settings: Map = {}): Map => ({ family: "bottlerocket", settings });

  it("tells the cluster, the labels and the taints, and passes settings on", () => {
    const text = userData(
      managed({
        maxPods: 50,
        userData: bottlerocket({
          kernel: { lockdown: "integrity" },
          kubernetes: { "image-gc-high-threshold-percent": "75" },
        }),
        taints: [
          { key: "a.b/c", value: "x", effect: "NoSchedule" },
          { key: "a.b/c", value: "y", effect: "NoExecute" },
        ],
      }),
    );
    assert.equal(
      text,
      `[settings.kernel]
lockdown = "integrity"

[settings.kubernetes]
api-server = "https://prod.example"
cluster-certificate = "Q0E="
cluster-name = "prod"
image-gc-high-threshold-percent = "75"
max-pods = 50

[settings.kubernetes.node-labels]
"patchguard.dev/generation" = "0a1b2c3d"
"patchguard.dev/pool" = "workers"

[settings.kubernetes.node-taints]
"a.b/c" = ["x:NoSchedule", "y:NoExecute"]
`,
    );
  });

  it("with a release version EKS does the joining", () => {
    const change = { amiType: "BOTTLEROCKET_x86_64", image: { releaseVersion: "1.49.0-713f44ce" } };
    assert.equal(userData(released(change), undefined), undefined);
    const more = { ...change, maxPods: 30, userData: bottlerocket({ motd: "hi" }) };
    assert.equal(
      userData(released(more), undefined),
      '[settings]\nmotd = "hi"\n\n[settings.kubernetes]\nmax-pods = 30\n',
    );
  });
});

describe("custom user data", () => {
  const custom = (text: string): Map => ({ family: "custom", text });

  it("is passed on as it is, placeholders filled in", () => {
    const text =
      "{{pool}} {{generation}} {{clusterName}} {{apiServer}} {{certificateAuthority}} {{serviceCidr}} {{labels}} {{taints}} {{maxPods}} {{.State}} $1 $&";
    const pool = selfManaged({
      userData: custom(text),
      maxPods: 9,
      taints: [{ key: "a", effect: "NoSchedule" }],
    });
    assert.equal(
      userData(pool),
      "workers 0a1b2c3d prod https://prod.example Q0E= 172.20.0.0/16 patchguard.dev/generation=0a1b2c3d,patchguard.dev/pool=workers a=:NoSchedule 9 {{.State}} $1 $&",
    );
  });

  it("a placeholder without a value is an error that names the pool", () => {
    assert.throws(
      () => userData(selfManaged({ userData: custom("{{labels}} {{maxPods}}") })),
      /pool workers.*\{\{maxPods\}\}/,
    );
  });

  it("more than EC2 takes is refused", () => {
    assert.throws(
      () => userData(managed({ userData: custom("x".repeat(16_385)) })),
      /pool workers.*16385 bytes.*16384/,
    );
  });
});

describe("TOML", () => {
  for (const [what, table, text] of [
    ["nothing", {}, ""],
    ["values before tables", { b: { c: 1 }, a: true }, "a = true\n\n[b]\nc = 1\n"],
    ["keys that need quotes", { "a.b": { "c d": 'say "x"' } }, '["a.b"]\n"c d" = "say \\"x\\""\n'],
    ["lists, also of tables", { a: ["x", { b: 1 }] }, 'a = ["x", { b = 1 }]\n'],
    ["an empty table", { a: { b: {} } }, "[a.b]\n"],
    ["a table of tables without a header", { a: { b: { c: 0.5 } } }, "[a.b]\nc = 0.5\n"],
  ] as const)
    it(what, () => assert.equal(toToml(structuredClone(table) as Parameters<typeof toToml>[0]), text));
});
