import assert from "node:assert/strict";
import { eventually } from "../support/cluster-view.ts";
import { KillScene } from "../support/kill-scene.ts";
import { useSandbox } from "../support/sandbox.ts";
import { TAINT_HANDOVER } from "../watcher/names.ts";

/** Promise 5 where the engine alone goes, and leaves a provider behind that could go on evicting. */
describe("the CLI is killed", function () {
  this.timeout(10 * 60_000);
  const sandbox = useSandbox({ SANDBOX_BOOT_SECONDS: "1", SANDBOX_CREATE_SECONDS: "1" });
  let scene: KillScene;

  before("a pool that runs the shop", async () => {
    scene = await KillScene.create(sandbox(), "kill-cli");
  });

  after(() => scene?.dispose());

  it("alone, in mid-drain: the orphaned provider stops evicting and ends by itself", async () => {
    const { view } = sandbox();
    await scene.killedAndResumed(async (run, watcher) => {
      const { inHand } = await scene.midDrain();
      await run.killCli();
      watcher.killed();
      const killedAt = Date.now();
      assert.ok(view.workloadPodsOn(inHand).length > 2, "the kill came too late to interrupt a drain");
      const provider = run.orphans().filter(({ command }) => command.includes("dynamic-provider"));
      assert.ok(provider.length > 0, "there was a provider to be orphaned");
      await eventually(() => run.orphans().length === 0, {
        timeoutSeconds: 20,
        describe: () =>
          `these end by themselves: ${run
            .orphans()
            .map(({ command }) => command)
            .join("; ")}`,
      });
      // that nothing comes any more can only be waited for
      await eventually(() => Date.now() > killedAt + 8000, { timeoutSeconds: 10, describe: "8 s" });
      await watcher.settle();
      assert.ok(view.workloadPodsOn(inHand).length > 0, "the drain went on");
    });
  });

  it("by a second Ctrl-C, in mid-drain: what was closed is reopened, and the next run goes on", async () => {
    const { view } = sandbox();
    const closed = (): string[] =>
      view
        .nodes()
        .filter(
          ({ spec }) =>
            spec?.unschedulable === true || spec?.taints?.some(({ key }) => key === TAINT_HANDOVER),
        )
        .map(({ metadata }) => metadata.name);
    await scene.killedAndResumed(
      async (run, watcher) => {
        const { inHand } = await scene.midDrain();
        assert.ok(closed().includes(inHand));
        run.interrupt();
        await run.saw(/\^C received|cancelling/i);
        assert.ok(view.workloadPodsOn(inHand).length > 1, "the second Ctrl-C would come too late");
        run.interrupt();
        const interruptedAt = Date.now();
        watcher.killed();
        await view.eventually(() => closed().length === 0, {
          timeoutSeconds: 5,
          describe: () => `no node is closed any more (${closed().join(", ")} are)`,
        });
        const { code } = await run.done;
        assert.notEqual(code, 0);
        await eventually(() => run.orphans().length === 0, {
          timeoutSeconds: 20,
          describe: () =>
            `these end: ${run
              .orphans()
              .map(({ command }) => command)
              .join("; ")}`,
        });
        const late = scene.logs.lines("evict").filter(({ time }) => Date.parse(time) > interruptedAt + 1500);
        assert.deepEqual(late, []);
        assert.deepEqual(await watcher.expectReopened(), []);
        watcher.held();
      },
      { reopened: true },
    );
  });
});
