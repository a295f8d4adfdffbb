import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAllYaml } from "@kubernetes/client-node";
import { repository } from "../../sandbox/sandbox.ts";
import { Actor } from "../support/actors.ts";
import { ClusterView } from "../support/cluster-view.ts";
import { addFakeNodes } from "../support/nodes.ts";
import { mustSucceed, type Result, Stack, type StackConfig } from "../support/pulumi.ts";
import { useSandbox } from "../support/sandbox.ts";
import { pool, stackConfig } from "../support/stacks.ts";
import { apply, budget, deployment, type Manifest } from "../support/workloads.ts";

/** What a reviewer sees in a pull request: findings and plan in `pulumi preview`, read with a role that may only read. */
describe("findings and plan in a preview", function () {
  this.timeout(5 * 60_000);
  const sandbox = useSandbox({ SANDBOX_BOOT_SECONDS: "1", SANDBOX_CREATE_SECONDS: "1" });
  const folder = mkdtempSync(join(tmpdir(), "patchguard-plan-"));
  const stacks: Stack[] = [];
  let reader: StackConfig;

  before(async () => {
    const { kubeconfig } = sandbox().sandbox;
    const { api } = Actor.test(kubeconfig);
    await addFakeNodes(
      api,
      ["a", "b", "c"].map((zone) => ({
        name: `blue-${zone}`,
        zone: `us-east-1${zone}`,
        pool: "workers",
        generation: "aaaaaaaa",
      })),
    );
    await apply(
      api,
      deployment({ name: "pay", replicas: 2, start: "200ms" }),
      budget({ name: "pay", app: "pay", minAvailable: 2 }),
    );
    const view = await ClusterView.start(api);
    await view.eventually(
      () => view.budgets().some(({ status }) => status?.expectedPods === 2 && status.currentHealthy === 2),
      { timeoutSeconds: 60, describe: "the budget sees its pods" },
    );
    view.stop();
    reader = await readOnly(api);
  });
  after(() => {
    for (const stack of stacks) stack.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  it("stand on the pool's Handover and in the output `plan`, with no more rights than docs/permissions.md gives a preview", async () => {
    const { output } = await preview("reader", reader);
    assert.match(output, /workers-handover.*\n?.*blocks: PodDisruptionBudget default\/pay: .*To go on: /);
    assert.match(output, /2 pods to move off 3 nodes\. Plan: about \d+ min/);
    assert.match(output, /verdict\s*: "blocked"/);
    assert.doesNotMatch(output, /could not be read/);
  });

  it("are one warning where the cluster cannot be reached, and the rest of the preview stands", async () => {
    const { output } = await preview("nobody", access({ server: "https://127.0.0.1:9" }));
    const [, diagnostics = ""] = output.split("Diagnostics:");
    const said = diagnostics.match(/warning: (?!using pulumi-resource).*/g) ?? [];
    assert.equal(said.length, 1, output);
    assert.match(
      said[0] ?? "",
      /the cluster could not be read, so there are no findings and no plan: The cluster cannot be reached/,
    );
    assert.match(output, /workers-handover create/);
  });

  it("are absent where the config says so, and when nothing moves", async () => {
    const config = stackConfig([pool({ image: "good-a", zones: ["a"] })], { preflight: { plan: false } });
    assert.doesNotMatch((await preview("off", config)).output, /pods to move|blocks: /);
    const other = stackConfig([pool({ image: "good-a", name: "batch", zones: ["a"] })]);
    assert.doesNotMatch((await preview("other", other)).output, /pods to move|blocks: |\bplan\b/);
  });

  it("npm run preflight says the same: 2 when blocked, 1 when it cannot know, and JSON", async () => {
    const blocked = await preflight(reader, "--json");
    assert.equal(blocked.code, 2, blocked.stderr);
    const report = JSON.parse(blocked.stdout) as {
      verdict: string;
      pools: { findings: { object: { name: string } }[] }[];
    };
    assert.equal(report.verdict, "blocked");
    assert.ok(report.pools[0]?.findings.some(({ object }) => object.name === "pay"));
    const unknown = await preflight(access({ server: "https://127.0.0.1:9" }));
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /^preflight: The cluster cannot be reached: .*\n$/);
    assert.equal(unknown.stdout, "");
  });

  async function preview(name: string, config: StackConfig): Promise<Result> {
    const stack = await Stack.create(sandbox().sandbox, config, { name });
    stacks.push(stack);
    return mustSucceed(await stack.start("preview").done);
  }

  async function preflight(
    config: StackConfig,
    ...args: string[]
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const file = join(folder, "Pulumi.preflight.yaml");
    writeFileSync(file, JSON.stringify({ config }));
    const command = join(repository, "rollout/commands/preflight.ts");
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [command, "--stack", "preflight", "--config-file", file, ...args],
        { env: sandbox().sandbox.env },
        (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      );
    });
  }

  /** A service account with the rights that the documentation gives a preview. */
  async function readOnly(api: Actor["api"]): Promise<StackConfig> {
    const page = readFileSync(join(repository, "docs/permissions.md"), "utf8");
    const manifests = [...page.matchAll(/```yaml\n([^]*?)```/g)]
      .flatMap(([, text = ""]) => loadAllYaml(text) as Manifest[])
      .filter(({ metadata }) => metadata.name === "patchguard-preview");
    const account = { name: "reviewer", namespace: "kube-system" };
    const subjects = [{ kind: "ServiceAccount", ...account }];
    const bindings = manifests.map(({ kind, metadata }) => ({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: `${kind}Binding`,
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: metadata.name },
      subjects,
    }));
    await apply(
      api,
      { apiVersion: "v1", kind: "ServiceAccount", metadata: account },
      ...manifests,
      ...bindings,
    );
    const { status } = await api.request<{ status: { token: string } }>(
      "POST",
      "/api/v1/namespaces/kube-system/serviceaccounts/reviewer/token",
      { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 3600 } },
    );
    return access({ token: status.token });
  }

  /** A stack whose way to the cluster is a kubeconfig of its own. */
  function access({ server, token = "any" }: { server?: string; token?: string }): StackConfig {
    const { sandbox: world } = sandbox();
    const config = stackConfig([pool({ image: "good-a", zones: ["a"] })]);
    const kubeconfig = join(mkdtempSync(join(folder, "access-")), "kubeconfig");
    const cluster = {
      server: server ?? world.apiUrl,
      "certificate-authority-data": readFileSync(join(world.dir, "certs/ca.crt")).toString("base64"),
      "tls-server-name": new URL(world.apiUrl).hostname,
    };
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "sandbox", cluster }],
        users: [{ name: "reviewer", user: { token } }],
        contexts: [{ name: "sandbox", context: { cluster: "sandbox", user: "reviewer" } }],
      }),
    );
    return {
      ...config,
      "patchguard:cluster": { ...(config["patchguard:cluster"] as object), kubeconfig, context: "sandbox" },
    };
  }
});
