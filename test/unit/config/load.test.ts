import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ConfigError, loadConfig } from "../../../rollout/config/index.ts";
import { loadStackFile } from "../../../rollout/config/stack-file.ts";
import { DEFAULTS } from "../../../rollout/names.ts";
import { config, managed, released, selfManaged } from "./samples.ts";

describe("config: defaults", () => {
  it("a rollout that says nothing has the defaults of names.ts", () => {
    assert.deepEqual(config([managed()]).rollout, {
      preflight: {
        timeoutSeconds: DEFAULTS.preflightTimeoutSeconds,
        scope: "cluster",
        byDesign: [],
        exceptions: [],
        plan: true,
      },
      drain: {
        podSelector: "role!=critical",
        excludedPods: "last",
        deleteEmptyDirData: false,
        podTimeoutSeconds: DEFAULTS.podTimeoutSeconds,
        budgetTimeoutSeconds: DEFAULTS.budgetTimeoutSeconds,
        terminationSlackSeconds: DEFAULTS.terminationSlackSeconds,
        volumeTimeoutSeconds: DEFAULTS.volumeTimeoutSeconds,
        relaxAfterSeconds: DEFAULTS.relaxAfterSeconds,
        maxParallel: 1,
        canary: false,
        overrides: [],
        jobs: { waitSeconds: DEFAULTS.jobWaitSeconds, afterwards: "evict" },
        monitoringNamespaces: ["monitoring"],
      },
      green: { timeoutSeconds: DEFAULTS.greenTimeoutSeconds },
      health: {
        windowSeconds: DEFAULTS.healthWindowSeconds,
        sampleSeconds: DEFAULTS.healthSampleSeconds,
        extensionSeconds: DEFAULTS.healthExtensionSeconds,
        onInconclusive: "hold",
        errorLimit: 4,
        warmUps: [],
        metricsApi: "auto",
        cpu: { limit: 0.9, timesBaseline: 2, critical: false },
        memory: { limit: 0.9, timesBaseline: 2, critical: false },
        probes: [],
      },
      lease: { durationSeconds: DEFAULTS.leaseDurationSeconds, renewSeconds: DEFAULTS.leaseRenewSeconds },
      jobTimeoutSeconds: DEFAULTS.jobTimeoutSeconds,
      metrics: {},
      pause: { remindSeconds: DEFAULTS.pauseRemindSeconds },
      alerts: {},
      rollback: { workloads: "stay" },
      verify: {},
    });
  });

  it("a pool is encrypted, behind IMDSv2 with two hops, and on demand", () => {
    const [pool] = config([managed()]).pools;
    assert.ok(pool?.kind === "eks-managed");
    assert.deepEqual(pool.disk, { sizeGiB: 50, type: "gp3", encrypted: true });
    assert.deepEqual(pool.metadataOptions, { hopLimit: 2, tokens: "required", instanceTags: false });
    assert.equal(pool.capacityType, "ON_DEMAND");
  });

  it("pools keep their order; no desired size means that an autoscaler owns it", () => {
    const { pools } = config([selfManaged({ name: "b", size: { min: 1, max: 2 } }), released({ name: "a" })]);
    assert.deepEqual(
      pools.map(({ name }) => name),
      ["b", "a"],
    );
    assert.equal(pools[0]?.size.desired, undefined);
  });

  it("an empty section is the same as none", () => {
    assert.deepEqual(config([managed()], { rollout: { drain: {} } }), config([managed()]));
  });
});

describe("config: stack files", function () {
  this.timeout(30_000);
  let folder: string;
  before(async () => (folder = await mkdtemp(path.join(tmpdir(), "patchguard-config-"))));
  after(() => rm(folder, { recursive: true }));

  const file = async (text: string): Promise<string> => {
    const name = path.join(folder, "Pulumi.test.yaml");
    await writeFile(name, text);
    return name;
  };

  for (const stack of ["sandbox", "prod", "example-self-managed"])
    it(`Pulumi.${stack}.yaml is right`, async () => {
      const loaded = loadConfig(await loadStackFile(`Pulumi.${stack}.yaml`), stack);
      assert.ok(loaded.pools.length > 0);
    });

  it("Pulumi.example-aks.yaml lacks nothing but the component", async () => {
    const raw = await loadStackFile("Pulumi.example-aks.yaml");
    assert.throws(
      () => loadConfig(raw),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.deepEqual(
          error.problems.map(({ path }) => path),
          ["patchguard:pools[0].kind"],
        );
        return true;
      },
    );
  });

  it("reads YAML objects, JSON in text, and days without quotes; leaves other keys alone", async () => {
    const name = await file(
      [
        "config:",
        "  other:token: { secure: v1:xyz }",
        "  patchguard:pool: 1",
        `  patchguard:cluster: '{"kind":"eks","name":"x","region":"us-east-1"}'`,
        "  patchguard:rollout:",
        "    preflight:",
        "      exceptions: [{ namespace: a, name: b, reason: c, until: 2026-12-31 }]",
      ].join("\n"),
    );
    const raw = await loadStackFile(name);
    assert.deepEqual(raw.cluster, { kind: "eks", name: "x", region: "us-east-1" });
    assert.deepEqual(raw.otherKeys, ["pool"]);
    const { rollout } = config([managed()], { rollout: raw.rollout });
    assert.match(rollout.preflight.exceptions[0]?.until ?? "", /^2026-12-31/);
  });

  it("a missing file, broken YAML and a missing config are each one sentence", async () => {
    const missing = path.join(folder, "Pulumi.missing.yaml");
    await assert.rejects(loadStackFile(missing), /Pulumi\.missing\.yaml: does not exist/);
    await assert.rejects(file("config: {").then(loadStackFile), /is not YAML/);
    await assert.rejects(file("name: x").then(loadStackFile), /config: is missing/);
  });
});
