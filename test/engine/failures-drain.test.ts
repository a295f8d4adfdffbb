import assert from "node:assert/strict";
import { eventually } from "../support/cluster-view.ts";
import { FailureScene, KAFKA, WEB } from "../support/failure-scene.ts";
import { mustFail, mustSucceed } from "../support/pulumi.ts";
import { useSandbox } from "../support/sandbox.ts";

/** What happens between the first eviction and the last. One pool goes from image to image. */
describe("a failure half-way through the drain", function () {
  this.timeout(12 * 60_000);
  const sandbox = useSandbox({ SANDBOX_BOOT_SECONDS: "1", SANDBOX_CREATE_SECONDS: "1" });
  let scene: FailureScene;

  before("a pool that runs the shop", async () => {
    scene = await FailureScene.create(sandbox(), "drain");
  });

  after(() => scene?.dispose());

  /** The blue node whose turn comes second. */
  const other = (blue: string[], finished: string | undefined): string =>
    blue.find((name) => name !== finished) ?? "";

  it("holds and reopens everything; mended, the next run moves only what is left", async () => {
    const { watched } = sandbox();
    const { nodes: blue } = scene.standing();
    const scaling = (await scene.cloud()).scaling;
    const summary = await watched(async (watcher) => {
      scene.pin("good-b", { drain: { budgetTimeoutSeconds: 5 } });
      const run = scene.stack.startUp();
      const { node: finished } = await scene.logs.saw("node-drained");
      await scene.setBudget("web", { minAvailable: WEB });
      const second = other(blue, finished);
      const { output } = mustFail(
        await run.done,
        /handover of pool workers holds|could not be evicted within 5 s/,
      );
      assert.match(
        output,
        new RegExp(
          `Pod default/web-\\S+ on node ${second} could not be evicted within 5 s .*PodDisruptionBudget default/web allows no disruption`,
        ),
      );
      assert.match(output, /To go on: clear that, then run `pulumi up` again/);
      assert.deepEqual(await watcher.expectReopened(), []);
      const after = await scene.cloud();
      assert.deepEqual(
        scaling.filter((line) => !after.scaling.includes(line)),
        [],
        "blue's groups are as they were",
      );
      assert.equal(scene.generations().size, 2, "green and blue are both there");
      assert.ok(watcher.kubernetesEvents("PatchGuardHeld").length > 0);
      watcher.held();

      const evicted = scene.logs.lines("evict").map(({ uid }) => uid);
      const moved = evicted.length;
      assert.ok(moved > 0 && moved < WEB + KAFKA, `${moved} pods were moved before the hold: half-way`);
      await scene.setBudget("web", { maxUnavailable: 1 });
      await scene.whole();
      scene.logs.restart();
      mustSucceed(await scene.stack.up());
      assert.equal(scene.logs.lines("evict").length, WEB + KAFKA - moved, "only the rest was moved");
      return { outcome: "finished" };
    });
    assert.deepEqual(Object.keys(summary.evictions), ["patchguard"]);
    assert.ok(Object.values(summary.moves).every(({ total }) => total === 1));
    assert.equal(Object.keys(summary.moves).length, WEB + KAFKA);
    await scene.isWholeOn("good-b");
  });

  it("then the config is reverted: the pods go back under guard before green is deleted", async () => {
    const { view, watched } = sandbox();
    const { nodes: blue } = scene.standing();
    const image = scene.imageNow();
    const templates = (await scene.cloud()).templates;
    await watched(async (watcher) => {
      scene.pin("good-c", { drain: { terminationSlackSeconds: 2 } });
      const run = scene.stack.startUp();
      const { node: finished } = await scene.logs.saw("node-drained");
      const second = other(blue, finished);
      const stuck = view.podsOf("web").find(({ spec }) => spec?.nodeName === second)?.metadata.name ?? "";
      await scene.setFinalizers(stuck, ["test.example.com/hold"]);
      const { output } = mustFail(await run.done, /finalizer test\.example\.com\/hold holds it/);
      assert.match(output, new RegExp(`Pod default/${stuck} on node ${second} is still terminating`));
      assert.match(output, /PatchGuard never deletes by force/);
      assert.deepEqual(await watcher.expectReopened(), []);
      const green = view.nodes().filter(({ metadata }) => !blue.includes(metadata.name));
      const onGreen = green.flatMap(({ metadata }) => view.workloadPodsOn(metadata.name));
      assert.ok(onGreen.length > 0, "green holds pods: a deletion would kill them");
      await scene.setFinalizers(stuck, null);
      await scene.whole();
      return { outcome: "reopened" };
    });
    const summary = await watched(async () => {
      scene.pin(image);
      mustSucceed(await scene.stack.up());
      return { outcome: "finished" };
    });
    assert.ok((summary.evictions["patchguard"] ?? 0) > 0);
    assert.deepEqual(scene.standing().nodes, blue, "the same nodes serve as before");
    assert.deepEqual((await scene.cloud()).templates, templates, "nothing of green is left");
    await scene.isWholeOn(image);
  });

  it("loses a blue instance: no old image is launched for it, and the handover ends well", async () => {
    const { view, watched } = sandbox();
    const { nodes: blue } = scene.standing();
    const image = scene.imageNow();
    const launched = await scene.launched(image);
    const summary = await watched(async (watcher) => {
      scene.pin("good-c");
      const run = scene.stack.startUp();
      const { node: inHand = "" } = await scene.logs.saw("node-start");
      await scene.setBudget("web", { minAvailable: WEB });
      // its quorum pod has left; the volume of one that had not would be kept from its successor for Kubernetes' six minutes
      await scene.logs.saw("pod-moved", ({ message }) => message.startsWith("default/kafka"));
      const lostPods = view.workloadPodsOn(inHand).length;
      assert.ok(lostPods > 0 && blue.includes(inHand), "it was lost too late to have pods on it");
      watcher.declareLoss([inHand], "the test ended its instance");
      await scene.terminate(inHand);
      await view.eventually(() => view.get("Node", inHand) === undefined, {
        timeoutSeconds: 30,
        describe: `node ${inHand} is gone`,
      });
      await scene.setBudget("web", { maxUnavailable: 1 });
      mustSucceed(await run.done);
      assert.match(run.output, new RegExp(`Node ${inHand} vanished while it was being drained`));
      return { outcome: "finished" };
    });
    assert.deepEqual(await scene.launched(image), launched, "nothing was launched from the old image");
    assert.ok((summary.evictions["patchguard"] ?? 0) > 0);
    await eventually(() => view.pods().every(({ spec }) => !blue.includes(spec?.nodeName ?? "")), {
      timeoutSeconds: 90,
      describe: "no pod is left on a blue node that is gone",
    });
    await scene.isWholeOn("good-c");
  });
});
