import assert from "node:assert/strict";
import { FailureScene, ROLLOUT } from "../support/failure-scene.ts";
import { mustFail, mustSucceed, type StackConfig } from "../support/pulumi.ts";
import { useSandbox } from "../support/sandbox.ts";
import { pool, stackConfig } from "../support/stacks.ts";
import { apply, deployment } from "../support/workloads.ts";

const BATCH_PODS = 2;
const CONSENT = { "patchguard:destroy": { consent: "sandbox" } };

/** Promise 3 through the config: edits, removals and `destroy` of groups that run pods. */
describe("edits of a stack whose pools run pods", function () {
  this.timeout(12 * 60_000);
  const sandbox = useSandbox({ SANDBOX_BOOT_SECONDS: "1", SANDBOX_CREATE_SECONDS: "1" });
  let scene: FailureScene;

  before("two pools, and pods on both", async () => {
    const { test, view } = sandbox();
    scene = await FailureScene.create(sandbox(), "edits", config());
    await apply(
      test.api,
      deployment({
        name: "batch",
        replicas: BATCH_PODS,
        start: "200ms",
        stop: "500ms",
        nodeSelector: { "patchguard.dev/pool": "batch" },
      }),
    );
    await view.ready("batch", BATCH_PODS);
  });

  after(() => scene?.dispose());

  it("destroy without consent deletes nothing and says what to do", async () => {
    const { watched } = sandbox();
    const before = await everything();
    await watched(async () => {
      const { output } = mustFail(await scene.stack.destroy(), /needs consent; nothing was deleted/);
      assert.match(output, /pulumi config set --path patchguard:destroy\.consent sandbox/);
      assert.match(output, /pulumi destroy --run-program/);
      const bare = await scene.stack.start("destroy", "--yes", "--skip-preview").done;
      mustFail(bare, /--run-program/);
      return { outcome: "reopened" };
    });
    assert.deepEqual(await everything(), before);
  });

  it("a pool removed from the config while it runs pods stays, also where consent to a destroy was left behind", async () => {
    const { watched } = sandbox();
    const before = await outside();
    scene.stack.configure({ ...config({ batch: false }), ...CONSENT });
    await watched(async () => {
      const run = mustFail(await scene.stack.up(), /node group batch-\S+ is not deleted/);
      assert.match(run.output, /put the pool back into the config and run `pulumi up`/);
      assert.match(run.output, /To retire the pool: drain its nodes, set its sizes to 0/);
      return { outcome: "reopened" };
    });
    assert.deepEqual(await outside(), before);
    assert.ok((await stateGroups()).some((id) => id.includes(":batch-")));

    scene.stack.configure(config());
    const summary = await watched(async () => {
      mustSucceed(await scene.stack.up());
      return { outcome: "reopened" };
    });
    assert.deepEqual(summary.moves, {});
    assert.deepEqual(await outside(), before);
  });

  it("an edit that would replace a group in place is refused in preview, with the way out", async () => {
    const { watched } = sandbox();
    const before = await everything();
    const zones = { "us-east-1a": "subnet-0000000000000000c", "us-east-1b": "subnet-0000000000000000b" };
    scene.stack.configure(config({ workers: { zones } }));
    await watched(async () => {
      const { output } = mustFail(await scene.stack.preview(), /node group workers-\S+-us-east-1a is not/);
      assert.match(output, /`revision`/);
      assert.doesNotMatch(output, /workers-\S+-us-east-1b is not/);
      // without its preview, the engine refuses by itself what would replace an imported resource
      mustFail(await scene.stack.up(), /workers-\S+-us-east-1a[^]*may not be replaced/);
      return { outcome: "reopened" };
    });
    assert.deepEqual(await everything(), before);
  });

  it("a scale-out changes the groups in place, without a handover", async () => {
    const { view, watched } = sandbox();
    const before = { standing: scene.standing(), groups: (await scene.groups()).map(({ name }) => name) };
    scene.stack.configure(config({ desired: 2 }));
    const summary = await watched(async () => {
      const steps = await scene.stack.previewSteps();
      const groups = steps.filter(({ urn }) => urn.includes("nodeGroup"));
      assert.deepEqual(
        groups.map(({ op }) => op),
        ["update", "update"],
      );
      mustSucceed(await scene.stack.up());
      await view.eventually(() => view.nodes().length === before.standing.nodes.length + 2, {
        timeoutSeconds: 60,
        describe: "two nodes more",
      });
      return { outcome: "reopened" };
    });
    assert.deepEqual([summary.moves, summary.evictions], [{}, {}]);
    const { nodes, pods } = scene.standing();
    assert.deepEqual(pods, before.standing.pods);
    assert.ok(before.standing.nodes.every((name) => nodes.includes(name)));
    assert.deepEqual(
      (await scene.groups()).map(({ name }) => name),
      before.groups,
    );
  });

  it("a scale-in below the nodes that hold pods is refused in preview and in up, naming nodes", async () => {
    const { test, view, watched } = sandbox();
    await apply(test.api, oneOnEachNode());
    await view.ready("everywhere", 4);
    await view.nodesReady(view.nodes().map(({ metadata }) => metadata.name));
    const before = await everything();
    scene.stack.configure(config({ desired: 1 }));
    await watched(async () => {
      for (const run of [await scene.stack.preview(), await scene.stack.up()]) {
        const { output } = mustFail(run, /node group workers-\S+ is not scaled in from 2 to 1/);
        const [, named = ""] = /2 of its nodes hold workload pods \(([^)]+)\)/.exec(output) ?? [];
        const names = named.split(", ");
        assert.equal(names.length, 2, `two nodes named, not "${named}"`);
        assert.ok(
          names.every((name) => before.standing.nodes.includes(name)),
          named,
        );
        assert.match(output, /drain the nodes you can spare first, or leave size\.desired out/);
      }
      return { outcome: "reopened" };
    });
    assert.deepEqual(await everything(), before);
  });

  it("destroy with consent deletes all of it", async () => {
    const { view } = sandbox();
    scene.stack.configure({ ...config({ desired: 2 }), ...CONSENT });
    mustSucceed(await scene.stack.destroy());
    const { templates, groups, scaling } = await scene.cloud();
    assert.deepEqual(
      [templates.filter((name) => name.startsWith("sandbox-")), groups, scaling],
      [[], [], []],
    );
    assert.deepEqual((await scene.stack.exportState()).resources, []);
    await view.eventually(() => view.nodes().length === 0, {
      timeoutSeconds: 60,
      describe: "no node is left",
    });
  });

  async function stateGroups(): Promise<string[]> {
    const { resources } = await scene.stack.exportState();
    return resources
      .filter(({ type }) => type.startsWith("aws:"))
      .map(({ id = "" }) => id)
      .sort();
  }

  const outside = async () => ({
    cloud: await scene.cloud(),
    standing: scene.standing(),
    batch: batchPods(),
  });

  const everything = async () => ({ ...(await outside()), state: await stateGroups() });

  const batchPods = (): string[] =>
    sandbox()
      .view.podsOf("batch")
      .map(({ metadata, spec }) => `${metadata.uid} on ${spec?.nodeName ?? "no node"}`)
      .sort();
});

/** The pool of the shop, and a small one beside it. */
function config({
  batch = true,
  desired = 1,
  workers = {},
}: {
  batch?: boolean;
  desired?: number;
  workers?: Record<string, unknown>;
} = {}): StackConfig {
  const pools = [pool({ image: "good-a", zones: ["a", "b"], desired, more: workers })];
  if (batch) pools.push(pool({ name: "batch", image: "good-a", zones: ["a"] }));
  return stackConfig(pools, ROLLOUT);
}

/** As many pods as the pool has nodes after the scale-out, none beside another. */
const oneOnEachNode = () =>
  deployment({
    name: "everywhere",
    replicas: 4,
    start: "200ms",
    stop: "500ms",
    nodeSelector: { "patchguard.dev/pool": "workers" },
    spec: {
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "everywhere" } } },
          ],
        },
      },
    },
  });
