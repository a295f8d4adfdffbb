import assert from "node:assert/strict";
import { mustSucceed, Stack } from "../support/pulumi.ts";
import { useSandbox } from "../support/sandbox.ts";
import { pool, shop, stackConfig } from "../support/stacks.ts";
import { apply } from "../support/workloads.ts";
import { imageByName } from "../../sandbox/images.ts";
import { showSummary } from "../watcher/summary.ts";

describe("a new image", function () {
  this.timeout(20 * 60_000);
  const sandbox = useSandbox();
  let stack: Stack;

  before("a pool on image A that runs the shop", async function () {
    const { sandbox: world, test, view } = sandbox();
    stack = await Stack.create(world, stackConfig([pool({ image: "good-a" })]), { name: "new-image" });
    mustSucceed(await stack.up());
    await apply(test.api, ...shop());
    await view.ready("web", 6, 120);
    await view.ready("kafka", 3, 120);
    await view.budgetAllows("default/web", 1);
    await view.budgetAllows("default/kafka", 1);
  });

  after(() => stack?.dispose());

  it("hands the pool over, and every pod moves once", () => handsOverTo("good-b"));

  it("without a change, nothing is written", async function () {
    const { watched } = sandbox();
    const summary = await watched(async () => {
      mustSucceed(await stack.up("--expect-no-changes"));
      return { outcome: "reopened" };
    });
    assert.deepEqual(summary.productWrites, {});
  });

  it("a second new image is handed over to just the same", () => handsOverTo("good-c"));

  async function handsOverTo(image: string): Promise<void> {
    const { view, watched } = sandbox();
    const blue = view.nodes().map((node) => node.metadata.name);
    const summary = await watched(async () => {
      stack.configure(stackConfig([pool({ image })]));
      mustSucceed(await stack.up());
      return { outcome: "finished" };
    });
    console.log(showSummary(summary).join("\n"));
    assert.deepEqual(
      summary.nodes.filter((name) => blue.includes(name)),
      [],
    );
    assert.equal(Object.keys(summary.moves).length, 9);
    assert.deepEqual(Object.keys(summary.evictions), ["patchguard"]);
    await view.ready("web", 6);
    await view.ready("kafka", 3);
    for (const node of view.nodes()) {
      const info = (node as { status?: { nodeInfo?: { kernelVersion?: string } } }).status?.nodeInfo;
      assert.equal(info?.kernelVersion, imageByName(image).kernel);
    }
  }
});
