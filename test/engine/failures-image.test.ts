import assert from "node:assert/strict";
import { imageByName } from "../../sandbox/images.ts";
import { FailureScene, KAFKA, WEB } from "../support/failure-scene.ts";
import { mustFail, mustSucceed, type Result } from "../support/pulumi.ts";
import { useSandbox } from "../support/sandbox.ts";

/** An image that is no good costs time and nothing else. One pool tries two of them, each twice, then a good one. */
describe("an image that never joins", function () {
  this.timeout(12 * 60_000);
  const sandbox = useSandbox({ SANDBOX_BOOT_SECONDS: "1", SANDBOX_CREATE_SECONDS: "1" });
  let scene: FailureScene;
  let blue: { groups: string[]; scaling: string[] };

  before("a pool that runs the shop", async () => {
    scene = await FailureScene.create(sandbox(), "image");
    blue = await scene.cloud();
  });

  after(() => scene?.dispose());

  /** Tries an image that must fail, and proves that blue has not noticed. */
  async function fails(image: string, saying: RegExp, ...args: string[]): Promise<Result> {
    const before = scene.standing();
    scene.pin(image, { green: { timeoutSeconds: 8 } });
    let result: Result | undefined;
    const summary = await sandbox().watched(async () => {
      result = mustFail(await scene.stack.up(...args), saying);
      return { outcome: "reopened" };
    });
    assert.ok(result !== undefined);
    assert.deepEqual(summary.evictions, {});
    assert.deepEqual(summary.otherDisruptions, {});
    assert.equal(summary.productWrites["nodes"], undefined, "no node was written to");
    assert.deepEqual(scene.standing(), before);
    // a bad group may be replaced by another try; blue's are as they were in every respect
    const after = await scene.cloud();
    assert.deepEqual(
      [...blue.groups, ...blue.scaling].filter((line) => ![...after.groups, ...after.scaling].includes(line)),
      [],
    );
    return result;
  }

  const statuses = async (): Promise<string[]> => (await scene.groups()).map(({ status }) => status).sort();

  it("CREATE_FAILED: the update fails with EKS's reason, blue untouched", async () => {
    await fails("create-fails", /CREATE_FAILED/);
  });

  it("CREATE_FAILED, the same image again, with --continue-on-error: fails again, blue untouched", async () => {
    await fails("create-fails", /CREATE_FAILED/, "--continue-on-error");
    assert.equal((await statuses()).filter((status) => status === "ACTIVE").length, 2);
  });

  const late = /was not ready within 8 s \(rollout\.green\.timeoutSeconds\).*0 of 1 nodes have joined/;

  it("ACTIVE without nodes: the update fails at its deadline and names the groups, blue untouched", async () => {
    const { output } = await fails("never-joins", late);
    assert.match(output, /Blue is untouched/);
    assert.ok(output.includes(imageByName("never-joins").id));
  });

  it("ACTIVE without nodes, the same image again, with --continue-on-error: fails again, blue untouched", async () => {
    await fails("never-joins", late, "--continue-on-error");
  });

  it("then a good image: the handover succeeds, and nothing of the bad generations is left", async () => {
    const summary = await sandbox().watched(async () => {
      scene.pin("good-b");
      mustSucceed(await scene.stack.up());
      return { outcome: "finished" };
    });
    assert.equal(Object.keys(summary.moves).length, WEB + KAFKA);
    await scene.isWholeOn("good-b");
    assert.equal((await scene.cloud()).scaling.length, 2);
  });
});
