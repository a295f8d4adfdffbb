import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FailureScene, KAFKA, ROLLOUT, WEB } from "../support/failure-scene.ts";
import { mustFail, mustSucceed, Stack } from "../support/pulumi.ts";
import { RunLogs } from "../support/run-log.ts";
import { useSandbox } from "../support/sandbox.ts";
import { pool, stackConfig } from "../support/stacks.ts";
import { apply, deployment } from "../support/workloads.ts";

const TOKEN_SECONDS = 6;
/** The API server takes a token that it has seen for this much longer, whatever the webhook says. */
const MEMORY_SECONDS = 10;

/** Tokens live shorter than a handover here, and a second stack wants the same cluster. */
describe("a handover that others get in the way of", function () {
  this.timeout(12 * 60_000);
  const sandbox = useSandbox({
    SANDBOX_BOOT_SECONDS: "1",
    SANDBOX_CREATE_SECONDS: "1",
    SANDBOX_TOKEN_SECONDS: String(TOKEN_SECONDS),
  });
  let scene: FailureScene;

  before("a pool that runs the shop", async () => {
    scene = await FailureScene.create(sandbox(), "first");
  });

  after(() => scene?.dispose());

  it("tokens expire in mid-drain: it goes on with fresh ones", async () => {
    const { watched } = sandbox();
    scene.pin("good-b", { health: { windowSeconds: MEMORY_SECONDS + 2 } });
    const summary = await watched(async () => {
      mustSucceed(await scene.stack.up());
      return { outcome: "finished" };
    });
    const times = scene.logs.lines("evict").map(({ time }) => Date.parse(time));
    const spread = (Math.max(...times) - Math.min(...times)) / 1000;
    assert.ok(spread > MEMORY_SECONDS, `the evictions took ${spread} s: no token could expire between them`);
    const refused = refusals().filter((at) => at > Math.min(...times) && at < Math.max(...times));
    assert.ok(refused.length > 0, "an expired token was refused between two evictions");
    assert.equal(Object.keys(summary.moves).length, WEB + KAFKA);
    await scene.isWholeOn("good-b");
  });

  it("two stacks at once: the second names the holder of the Lease and touches nothing, the first goes on", async () => {
    const { sandbox: world, test, view, watched } = sandbox();
    const logs = new RunLogs();
    const batch = (image: string) =>
      stackConfig([pool({ image, name: "batch", zones: ["c"] })], { ...ROLLOUT });
    const second = await Stack.create(world, batch("good-b"), {
      name: "second",
      env: { PATCHGUARD_LOG_DIR: logs.folder },
    });
    try {
      mustSucceed(await second.up());
      const nodeSelector = { "patchguard.dev/pool": "batch" };
      await apply(
        test.api,
        deployment({ name: "job", replicas: 2, start: "500ms", stop: "500ms", nodeSelector }),
      );
      await view.ready("job", 2);
      const jobs = () => view.podsOf("job").map(({ metadata }) => metadata.uid);
      const before = jobs();
      const summary = await watched(async () => {
        // the first has the Lease until a budget has room again
        scene.pin("good-c", { drain: { budgetTimeoutSeconds: 300 } });
        const first = scene.stack.startUp();
        await scene.logs.saw("node-drained");
        await scene.setBudget("web", { minAvailable: WEB });
        second.configure(batch("good-c"));
        const templates = (await scene.cloud()).templates;
        const { output } = mustFail(await second.up(), /Lease kube-system\/patchguard is held by/);
        const holder = /Lease kube-system\/patchguard is held by (\S+):? another/.exec(output)?.[1] ?? output;
        assert.match(holder, /patchguard\/first/);
        assert.match(output, /another handover runs on this cluster/);
        assert.match(output, /Wait until it has ended, then run `pulumi up` again/);
        assert.deepEqual((await scene.cloud()).templates, templates, "the second created nothing");
        assert.deepEqual(jobs(), before, "and moved nothing");
        assert.ok(!first.ended, "the first still waits for its budget");
        await scene.setBudget("web", { maxUnavailable: 1 });
        mustSucceed(await first.done);
        mustSucceed(await second.up());
        return { outcome: "finished" };
      });
      assert.equal(Object.keys(summary.moves).length, WEB + KAFKA + 2);
      assert.deepEqual(Object.keys(summary.evictions), ["patchguard"]);
    } finally {
      second.dispose();
      logs.remove();
    }
  });

  /** When EKS's authenticator, which the machine room plays, refused a token because it was expired. */
  function refusals(): number[] {
    const log = readFileSync(join(sandbox().sandbox.dir, "logs", "machine-room.log"), "utf8");
    return Array.from(log.matchAll(/^(\S+Z) token refused: expired/gm), ([, at = ""]) => Date.parse(at));
  }
});
