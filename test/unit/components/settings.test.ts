import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { readConfig } from "../../../components/settings.ts";
import { eksCluster, managed } from "../config/samples.ts";
import { declare } from "./mocks.ts";

/** Reads the config as the engine hands it over: JSON text by key. */
async function read(config: Record<string, unknown>): Promise<ReturnType<typeof readConfig>> {
  const before = pulumi.runtime.allConfig();
  const texts = Object.entries(config).map(([key, value]) => [
    key,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  pulumi.runtime.setAllConfig(Object.fromEntries(texts) as Record<string, string>);
  let result: ReturnType<typeof readConfig> | undefined;
  try {
    await declare(() => (result = readConfig()));
  } finally {
    pulumi.runtime.setAllConfig(before);
  }
  assert.ok(result);
  return result;
}

const good = { "patchguard:cluster": eksCluster, "patchguard:pools": [managed()] };

/** The error is one that Pulumi shows without a stack trace, and it says this. */
const refusal =
  (...lines: RegExp[]) =>
  (error: unknown) => {
    assert.ok(pulumi.RunError.isInstance(error));
    for (const line of lines) assert.match(error.message, line);
    return true;
  };

describe("settings of the stack", () => {
  it("are read from the engine", async () => {
    const { pools, cluster } = await read({ ...good, "aws:region": "us-east-1", "other:token": "x" });
    assert.equal(pools[0]?.name, "workers");
    assert.equal(cluster.name, "prod");
  });

  it("an empty stack is told what it needs, under its name", async () => {
    await assert.rejects(
      read({}),
      refusal(
        /the config of stack test has 2 problems/,
        /patchguard:cluster: is missing/,
        /patchguard:pools: is missing/,
      ),
    );
  });

  it("a misspelt key is not passed over", async () => {
    await assert.rejects(
      read({ ...good, "patchguard:pool": [] }),
      refusal(/patchguard:pool: is not a setting/),
    );
  });

  it("text where a map should stand", async () => {
    await assert.rejects(
      read({ ...good, "patchguard:rollout": "fast" }),
      refusal(/patchguard:rollout: must be a map/),
    );
  });

  it("the provider's region and the cluster's must be one", async () => {
    await assert.rejects(
      read({ ...good, "aws:region": "eu-west-1" }),
      refusal(/aws:region: is eu-west-1, but patchguard:cluster\.region is us-east-1/),
    );
  });
});
