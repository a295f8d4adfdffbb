import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { loadYaml } from "@kubernetes/client-node";
import { imageByName, WORLD } from "../../sandbox/images.ts";
import { repository } from "../../sandbox/sandbox.ts";
import { freePort } from "../support/free-port.ts";
import { FailureScene } from "../support/failure-scene.ts";
import { mustFail, type Result, type StackConfig } from "../support/pulumi.ts";
import { useSandbox } from "../support/sandbox.ts";
import { pool, stackConfig } from "../support/stacks.ts";

/** What people get wrong before anything exists: one clear answer, and nothing half-created. */
describe("bad input, and a preview of the production stack", function () {
  this.timeout(6 * 60_000);
  const sandbox = useSandbox({ SANDBOX_BOOT_SECONDS: "1", SANDBOX_CREATE_SECONDS: "1" });
  const folder = mkdtempSync(join(tmpdir(), "patchguard-input-"));
  const scenes: FailureScene[] = [];

  after(() => {
    for (const scene of scenes) scene.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  it("ten mistakes in the config are one error with ten paths", async () => {
    const { good, mistakes, rollout } = tenMistakes();
    const scene = await sceneWith("mistakes", { ...good, ...rollout });
    const { output } = await failsUntouched(scene, /10 problems|ten problems/i);
    for (const path of mistakes) assert.ok(output.includes(path), `${path} is named:\n${output}`);
    const [, summary = ""] = output.split("Diagnostics:");
    assert.equal(summary.match(/error: /g)?.length, 1, output);
  });

  it("an unreachable cluster, a credential, a permission and a wrong context are told apart in one line each", async () => {
    const { sandbox: world } = sandbox();
    const server = world.apiUrl;
    const cases: [name: string, said: RegExp, access: Access][] = [
      [
        "unreachable",
        /The cluster cannot be reached: .*ECONNREFUSED.*Check that it runs/,
        { server: `https://127.0.0.1:${await freePort()}` },
      ],
      [
        "credential",
        /The credential is expired or not valid for this cluster: .*Log in again/,
        { server, token: "expired" },
      ],
      [
        "elsewhere",
        /Wrong context: sandbox points to https:\/\/elsewhere\.invalid, but EKS cluster sandbox .* is at/,
        { server: "https://elsewhere.invalid", tlsServerName: null },
      ],
      ["no-context", /There is no context "production" in .*; there is sandbox\./, { context: "production" }],
      [
        "permission",
        /Missing permission: user \S+ needs \S+ on \S+ in .*Grant it with a/,
        { env: { AWS_ACCESS_KEY_ID: "denied" } },
      ],
    ];
    for (const [name, said, access] of cases) {
      const scene = await sceneWith(name, goodConfig(access), access.env);
      const { output } = await failsUntouched(scene, said);
      const others = cases.filter((other) => other[0] !== name && other[1].test(output));
      assert.deepEqual(others, [], `${name} is told apart:\n${output}`);
    }
  });

  it("a Node that is too old is one clear sentence", async () => {
    const bin = oldNode(folder);
    const path = [bin, sandbox().sandbox.env["PATH"] ?? ""].join(delimiter);
    const scene = await sceneWith("old-node", goodConfig({}), { PATH: path });
    const { output } = await failsUntouched(
      scene,
      /PatchGuard needs Node 22\.18 or newer, and `node` on PATH is 20\./,
    );
    assert.match(output, /node_modules\/\.bin/);
    assert.doesNotMatch(output, /ERR_|SyntaxError/);
  });

  it("the values of Pulumi.prod.yaml make a preview with all three pools", async () => {
    const scene = await sceneWith("prod", prodConfig());
    const before = await scene.cloud();
    const steps = (await scene.stack.previewSteps()).map(({ op, urn }) => ({
      op,
      name: urn.split("::").at(-1),
      urn,
    }));
    assert.deepEqual(new Set(steps.map(({ op }) => op)), new Set(["create"]));
    const names = (type: string): string[] =>
      steps
        .filter(({ urn }) => urn.includes(`${type}::`))
        .map(({ name = "" }) => name.replace(/-[0-9a-f]{8}/, ""));
    for (const name of ["system", "workers", "stateful"]) {
      assert.ok(
        steps.some((step) => step.name === `${name}-gate`),
        `${name}-gate`,
      );
      assert.ok(
        steps.some((step) => step.name === `${name}-handover`),
        `${name}-handover`,
      );
    }
    const zones = ["us-east-1a", "us-east-1b", "us-east-1c"];
    const inZones = (name: string): string[] => zones.map((zone) => `${name}-${zone}`);
    assert.deepEqual(names("aws:ec2/launchTemplate:LaunchTemplate").sort(), [
      "stateful",
      "system",
      "workers",
    ]);
    assert.deepEqual(names("aws:eks/nodeGroup:NodeGroup").sort(), [
      ...inZones("system"),
      ...inZones("workers"),
    ]);
    assert.deepEqual(names("aws:autoscaling/group:Group").sort(), inZones("stateful"));
    assert.equal(names("aws:eks/accessEntry:AccessEntry").length, 1);
    assert.deepEqual(await scene.cloud(), before);
  });

  async function sceneWith(
    name: string,
    config: StackConfig,
    env: NodeJS.ProcessEnv = {},
  ): Promise<FailureScene> {
    const scene = await FailureScene.empty(sandbox(), name, config, env);
    scenes.push(scene);
    return scene;
  }

  /** `up` fails with the words, without a stack trace, and leaves neither cloud nor state behind. */
  async function failsUntouched(scene: FailureScene, said: RegExp): Promise<Result> {
    const before = await scene.cloud();
    const result = mustFail(await scene.stack.up(), said);
    assert.doesNotMatch(result.output, /^\s+at .+[:(]/m, "no stack trace");
    assert.deepEqual(await scene.cloud(), before);
    // a component is a name in the state and nothing in the world
    const { resources } = await scene.stack.exportState();
    assert.deepEqual(
      resources.filter(({ type, custom }) => custom === true && !type.startsWith("pulumi:")),
      [],
    );
    return result;
  }

  interface Access {
    server?: string;
    token?: string;
    context?: string;
    /** Null: not set. Default: the API server's own, which marks a proxy or tunnel to the right cluster. */
    tlsServerName?: null;
    env?: NodeJS.ProcessEnv;
  }

  /** A good pool; the way to the cluster goes through a kubeconfig where anything of it is asked for. */
  function goodConfig({ server, token, context, tlsServerName }: Access): StackConfig {
    const config = stackConfig([pool({ image: "good-a", zones: ["a"] })]);
    if (server === undefined && context === undefined) return config;
    const { sandbox: world } = sandbox();
    const kubeconfig = join(mkdtempSync(join(folder, "access-")), "kubeconfig");
    const cluster = {
      server: server ?? world.apiUrl,
      "certificate-authority-data": readFileSync(join(world.dir, "certs/ca.crt")).toString("base64"),
      ...(tlsServerName === null ? {} : { "tls-server-name": new URL(world.apiUrl).hostname }),
    };
    const content = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "sandbox", cluster }],
      users: [{ name: "somebody", user: { token: token ?? "any" } }],
      contexts: [{ name: "sandbox", context: { cluster: "sandbox", user: "somebody" } }],
    };
    writeFileSync(kubeconfig, JSON.stringify(content));
    return {
      ...config,
      "patchguard:cluster": {
        ...(config["patchguard:cluster"] as object),
        kubeconfig,
        context: context ?? "sandbox",
      },
    };
  }
});

/** A config with ten different mistakes, and where each stands. */
function tenMistakes(): { good: StackConfig; rollout: StackConfig; mistakes: string[] } {
  const at = (index: number): string => `patchguard:pools[${index}]`;
  const good = pool({ image: "good-a", zones: ["a"] });
  const pools = [
    { ...good, image: { ami: "$Latest" } },
    { ...good, name: "Batch" },
    { ...good, name: "third", size: { min: 3, max: 2 } },
    { ...good, name: "fourth", colour: "blue" },
    { ...good, name: "fifth", kind: "fargate" },
    { ...good, name: "sixth", instanceTypes: [] },
    { ...good, name: "seventh", zones: {} },
    { ...good, name: "eighth", targetGroupArns: [] },
    { ...good, name: "ninth", image: {} },
  ];
  const config = stackConfig(pools);
  return {
    good: config,
    rollout: { "patchguard:rollout": { health: { windowSeconds: "soon" } } },
    mistakes: [
      `${at(0)}.image.ami`,
      `${at(1)}.name`,
      `${at(2)}.size.min`,
      `${at(3)}.colour`,
      `${at(4)}.kind`,
      `${at(5)}.instanceTypes`,
      `${at(6)}.zones`,
      `${at(7)}.targetGroupArns`,
      `${at(8)}.image`,
      "patchguard:rollout.health.windowSeconds",
    ],
  };
}

/** The production stack's values on the sandbox's cluster: only names and ids that the sandbox must know are others. */
function prodConfig(): StackConfig {
  const subnets = WORLD.subnets.map(({ id }) => id);
  let text = readFileSync(join(repository, "Pulumi.prod.yaml"), "utf8");
  const replace = (what: string, by: string): void => {
    assert.ok(text.includes(what), `Pulumi.prod.yaml has ${what}`);
    text = text.replaceAll(what, by);
  };
  replace("name: prod\n", `name: ${WORLD.cluster}\n`);
  replace("ami-0f3c9e1d2b7a54c61", imageByName("good-a").id);
  replace("1.49.0-713f44ce", imageByName("bottlerocket-a").releaseVersion);
  for (const [index, id] of subnets.entries()) replace(`subnet-0a1b2c3d4e5f6000${index + 1}`, id);
  return loadYaml<{ config: StackConfig }>(text).config;
}

/** A folder with an older `node`: the system's, where it has one, else the present one that says it is older and reads no types. */
function oldNode(folder: string): string {
  const bin = join(folder, "old-node");
  mkdirSync(bin, { recursive: true });
  const system = "/usr/bin/node";
  const isOld = (): boolean => {
    try {
      return /^v20\./.test(execFileSync(system, ["--version"], { encoding: "utf8" }));
    } catch {
      return false; // there is none
    }
  };
  const pretend = "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.20.2'})";
  const script = isOld()
    ? `exec ${system} "$@"`
    : `exec "${process.execPath}" --no-experimental-strip-types --import "${pretend}" "$@"`;
  writeFileSync(join(bin, "node"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, "node"), 0o755);
  return bin;
}
