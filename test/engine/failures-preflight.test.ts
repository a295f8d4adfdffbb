import assert from "node:assert/strict";
import { FailureScene, KAFKA, WEB } from "../support/failure-scene.ts";
import { mustFail, mustSucceed } from "../support/pulumi.ts";
import { useSandbox } from "../support/sandbox.ts";
import type { Other } from "../watcher/objects.ts";

type EventObject = Other & {
  message?: string;
  type?: string;
  involvedObject?: { kind?: string; namespace?: string; name?: string };
};

/** Promise 2, on the real engine: blocked means paused, told and untouched. */
describe("a budget at zero before the handover", function () {
  this.timeout(12 * 60_000);
  const sandbox = useSandbox({ SANDBOX_BOOT_SECONDS: "1", SANDBOX_CREATE_SECONDS: "1" });
  let scene: FailureScene;

  before("a pool that runs the shop, and a budget without room", async () => {
    scene = await FailureScene.create(sandbox(), "preflight");
    await scene.setBudget("web", { minAvailable: WEB });
    await scene.budgetIsZero("default/web");
  });

  after(() => scene?.dispose());

  const told = /PodDisruptionBudget default\/web: it allows 0 disruptions: needs 4 healthy and has 4 of 4/;

  it("that stays there: a clean failure at the deadline, with nothing touched", async () => {
    const { watched } = sandbox();
    const before = { cloud: await scene.cloud(), standing: scene.standing(), state: await state() };
    scene.pin("good-b", { preflight: { timeoutSeconds: 5 } });
    const summary = await watched(async (watcher) => {
      watcher.preflightBlocked();
      const { output } = mustFail(await scene.stack.up(), /still blocked after 5 s/);
      assert.match(output, told);
      assert.match(output, /nothing was touched/);
      return { outcome: "reopened" };
    });
    assert.deepEqual(Object.keys(summary.productWrites), ["events"]);
    assert.deepEqual(
      { cloud: await scene.cloud(), standing: scene.standing(), state: await state() },
      before,
    );
  });

  it("that is mended while the run pauses: told in three places, nothing created before, then it goes on", async () => {
    const { view, watched } = sandbox();
    const before = { cloud: await scene.cloud(), standing: scene.standing() };
    scene.pin("good-b");
    const summary = await watched(async (watcher) => {
      watcher.preflightBlocked("default/web");
      const run = scene.stack.startUp();
      const line = await scene.logs.saw("blocked");
      assert.match(line.message, told);
      await run.saw(/paused before anything was touched/);
      await run.saw(told);
      const event = await view.eventually(() => watcher.kubernetesEvents("PatchGuardBlocked").at(-1), {
        timeoutSeconds: 20,
        describe: "the Kubernetes Event",
      });
      const { message = "", type, involvedObject: object } = event as EventObject;
      assert.match(message, told);
      assert.equal(type, "Warning");
      assert.deepEqual(
        [object?.kind, object?.namespace, object?.name],
        ["PodDisruptionBudget", "default", "web"],
      );
      assert.equal(scene.logs.lines("blocked").length, 1, "told once, not again and again");
      assert.deepEqual({ cloud: await scene.cloud(), standing: scene.standing() }, before);
      await scene.setBudget("web", { maxUnavailable: 1 });
      mustSucceed(await run.done);
      assert.match(run.output, /PodDisruptionBudget default\/web no longer blocks pool workers/);
      return { outcome: "finished" };
    });
    assert.equal(Object.keys(summary.moves).length, WEB + KAFKA);
    await scene.isWholeOn("good-b");
  });

  /** The state's groups and templates. */
  async function state(): Promise<(string | undefined)[]> {
    const { resources } = await scene.stack.exportState();
    return resources.filter(({ type }) => type.startsWith("aws:")).map(({ id }) => id);
  }
});
