import assert from "node:assert/strict";
import { KillScene } from "../support/kill-scene.ts";
import { useSandbox } from "../support/sandbox.ts";
import { collectionPath, daemonSet } from "../support/workloads.ts";

/** Promise 5 where the whole machine that ran Pulumi dies. Each scene begins where the last one ended. */
describe("everything is killed", function () {
  this.timeout(10 * 60_000);
  const sandbox = useSandbox({ SANDBOX_BOOT_SECONDS: "1", SANDBOX_CREATE_SECONDS: "2" });
  let scene: KillScene;

  before("a pool that runs the shop", async () => {
    scene = await KillScene.create(sandbox(), "kill-everything");
  });

  after(() => scene?.dispose());

  it("in mid-drain", async () => {
    await scene.killedAndResumed(async (run, watcher) => {
      const { finished, inHand } = await scene.midDrain();
      await run.killEverything();
      watcher.killed();
      const left = sandbox().view.workloadPodsOn(inHand).length;
      assert.ok(left > 0, "the kill came too late to interrupt a drain");
      assert.deepEqual(sandbox().view.workloadPodsOn(finished), []);
    });
  });

  it("while the cloud is creating a group", async () => {
    let created: { nodegroupName: string; createdAt: number } | undefined;
    await scene.killedAndResumed(async (run, watcher) => {
      created = await scene.groupIs("CREATING");
      await run.killEverything();
      watcher.killed();
      const state = await scene.stack.exportState();
      assert.equal(
        state.resources.find(({ id }) => id === `sandbox:${created?.nodegroupName}`),
        undefined,
        "the group is in the state already: the kill came too late",
      );
    });
    const now = (await scene.groups()).find(({ nodegroupName }) => nodegroupName === created?.nodegroupName);
    assert.equal(
      now?.createdAt,
      created?.createdAt,
      "the group that was there was taken over, not made again",
    );
  });

  it("while blue is being deleted", async () => {
    await scene.killedAndResumed(async (run, watcher) => {
      await scene.groupIs("DELETING");
      await run.killEverything();
      watcher.killed();
      const state = await scene.stack.exportState();
      const groups = state.resources.filter(({ type }) => type === "aws:eks/nodeGroup:NodeGroup");
      assert.ok(groups.length > 2, "blue is out of the state already: the kill came too late");
    });
  });

  it("while the gate waits for a budget", async () => {
    const { test } = sandbox();
    const path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/web";
    const allow = (maxUnavailable: number) => test.api.request("PATCH", path, { spec: { maxUnavailable } });
    await scene.killedAndResumed(
      async (run, watcher) => {
        watcher.preflightBlocked("default/web");
        const before = await scene.groups();
        await scene.logs.saw("blocked");
        await run.killEverything();
        watcher.killed();
        assert.deepEqual(await scene.groups(), before, "nothing was created");
        await watcher.settle();
        watcher.preflightPassed();
        await allow(1);
        await sandbox().view.budgetAllows("default/web", 1);
      },
      {
        prepare: async () => {
          await allow(0);
          await sandbox().view.eventually(
            () => sandbox().view.get("PodDisruptionBudget", "default/web")?.status?.disruptionsAllowed === 0,
            { timeoutSeconds: 30, describe: "the budget allows nothing" },
          );
        },
      },
    );
  });

  it("while green is awaited", async () => {
    const { test, view } = sandbox();
    const slow = daemonSet({ name: "slow", start: "15s", stop: "200ms" });
    await test.api.request("POST", collectionPath(slow), slow);
    await view.ready("slow", 2);
    await scene.killedAndResumed(async (run, watcher) => {
      await scene.logs.saw("green", ({ message }) => message.startsWith("waiting for green"));
      await run.killEverything();
      watcher.killed();
      assert.deepEqual(scene.logs.lines("close"), [], "blue is closed already: the kill came too late");
    });
    await test.api.request("DELETE", `${collectionPath(slow)}/slow`);
  });

  it("in a health window, which is begun again", async () => {
    let watched: unknown;
    const begun = () =>
      scene.logs.lines("health").filter(({ message }) => message.startsWith("health window of"));
    const passed = () => scene.logs.lines("health").filter(({ verdict }) => verdict === "passed");
    await scene.killedAndResumed(async (run, watcher) => {
      ({ nodes: watched } = await scene.logs.saw("health", ({ message }) =>
        message.startsWith("health window of"),
      ));
      assert.ok(Array.isArray(watched) && watched.length === 1);
      await run.killEverything();
      watcher.killed();
      assert.deepEqual(passed(), [], "the window is over already: the kill came too late");
    });
    assert.deepEqual(
      begun()
        .slice(0, 2)
        .map(({ nodes }) => nodes),
      [watched, watched],
    );
    assert.equal(passed().length, 2);
  });
});
