import assert from "node:assert/strict";
import { configOf, FailureScene } from "../support/failure-scene.ts";
import { mustSucceed, type Run } from "../support/pulumi.ts";
import type { LogLine } from "../support/run-log.ts";
import { useSandbox } from "../support/sandbox.ts";

/** Short Leases: what was killed is soon out of the way. */
const ROLLOUT = {
  lease: { durationSeconds: 6, renewSeconds: 1 },
  drain: { podTimeoutSeconds: 60, budgetTimeoutSeconds: 120 },
  rollback: { workloads: "return" },
};

/** A bad image, and everything killed on the way back from it. Each scene begins where the last one ended. */
describe("everything is killed when an image is bad", function () {
  this.timeout(10 * 60_000);
  const sandbox = useSandbox({ SANDBOX_BOOT_SECONDS: "1", SANDBOX_CREATE_SECONDS: "1" });
  let scene: FailureScene;

  before("a pool that runs the shop", async () => {
    scene = await FailureScene.create(sandbox(), "kill-rollback", configOf("good-a", ROLLOUT));
  });

  after(() => scene?.dispose());

  /** Tries a bad image until `kill` strikes; then `cancel` and `up` with the next one have to end in a whole cluster. */
  async function killedAndMended(
    bad: string,
    next: { image: string; outcome: "finished" | "reopened" },
    kill: (run: Run, blue: ReadonlySet<string>) => Promise<void>,
  ): Promise<void> {
    await scene.whole();
    const blue = new Set(scene.standing().nodes);
    await sandbox().watched(async (watcher) => {
      watcher.allowSecondMoves("a rollback brings pods back");
      scene.pin(bad, { ...ROLLOUT, health: { windowSeconds: 120 } });
      const run = scene.stack.startUp();
      await scene.logs.saw("health", ({ message }) => message.startsWith("health window of"));
      await kill(run, blue);
      assert.ok(!run.ended, "the kill came too late");
      await run.killEverything();
      watcher.killed();
      mustSucceed(await scene.stack.cancel());
      watcher.resumed();
      scene.pin(next.image, { ...ROLLOUT, health: { windowSeconds: 3 } });
      mustSucceed(await scene.stack.up());
      return { outcome: next.outcome };
    });
    await scene.isWholeOn(next.image);
  }

  /** A pod of web crashes on the new image, which is what the window looks for. */
  async function crash(blue: ReadonlySet<string>): Promise<void> {
    const { test, view } = sandbox();
    const pod = view.podsOf("web").find(({ spec }) => spec?.nodeName && !blue.has(spec.nodeName));
    assert.ok(pod, "no pod of web has moved");
    await test.api.request("PATCH", `/api/v1/namespaces/default/pods/${pod.metadata.name}`, {
      metadata: { annotations: { "sandbox.patchguard.dev/fail": "crash" } },
    });
  }

  const evictions = (blue: ReadonlySet<string>): { there: LogLine[]; back: LogLine[] } => {
    const all = scene.logs.lines("evict");
    return {
      there: all.filter(({ node = "" }) => blue.has(node)),
      back: all.filter(({ node = "" }) => !blue.has(node)),
    };
  };

  it("in the window: a fixed image goes on from there", async () => {
    await killedAndMended("good-b", { image: "good-c", outcome: "finished" }, async () => {
      assert.deepEqual(scene.logs.lines("rollback"), []);
      return Promise.resolve();
    });
  });

  it("when the first pod goes back: the old image goes on from there", async () => {
    await killedAndMended("good-a", { image: "good-c", outcome: "reopened" }, async (_run, blue) => {
      await crash(blue);
      await scene.logs.saw("evict", ({ node = "" }) => !blue.has(node));
      const { there, back } = evictions(blue);
      assert.ok(back.length < there.length, "the kill came too late");
    });
  });

  it("when the last pod goes back: a fixed image goes on from there", async () => {
    await killedAndMended("good-a", { image: "good-b", outcome: "finished" }, async (_run, blue) => {
      await crash(blue);
      await scene.logs.saw("evict", () => {
        const { there, back } = evictions(blue);
        return there.length > 0 && back.length === there.length;
      });
    });
  });
});
