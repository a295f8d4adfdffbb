import assert from "node:assert/strict";
import { imageByName } from "../../sandbox/images.ts";
import { FailureScene, KAFKA, ROLLOUT, WEB } from "../support/failure-scene.ts";
import { mustFail, mustSucceed, type StackConfig } from "../support/pulumi.ts";
import { useSandbox } from "../support/sandbox.ts";
import { pool, stackConfig } from "../support/stacks.ts";
import { apply, budget, deployment } from "../support/workloads.ts";
import type { Node } from "../watcher/objects.ts";

const QUEUE = 2;

/** One pool at a time: what has succeeded is final, what comes after a failure is untouched. One pool of each kind. */
describe("two pools, the second of which fails", function () {
  this.timeout(12 * 60_000);
  const sandbox = useSandbox({ SANDBOX_BOOT_SECONDS: "1", SANDBOX_CREATE_SECONDS: "1" });
  let scene: FailureScene;

  before("an EKS managed and a self-managed pool on image A, with pods on both", async () => {
    const { test, view } = sandbox();
    scene = await FailureScene.create(sandbox(), "two-pools", config("good-a"));
    await apply(
      test.api,
      deployment({
        name: "queue",
        replicas: QUEUE,
        start: "500ms",
        stop: "1s",
        nodeSelector: { "patchguard.dev/pool": "queue" },
      }),
      budget({ name: "queue", minAvailable: QUEUE }),
    );
    await view.ready("queue", QUEUE);
    await scene.budgetIsZero("default/queue");
  });

  after(() => scene?.dispose());

  it("the first stays on green, the second on blue with nothing touched", async () => {
    const { watched } = sandbox();
    const pods = queuePods();
    const nodes = nodesOf("queue");
    const scaling = await queueGroups();
    const emptied = nodesOf("workers"); // Pulumi deletes at the end of an `up` that succeeds: they wait for it, closed
    scene.stack.configure(config("good-b"));
    const summary = await watched(async (watcher) => {
      watcher.exemptBudget("default/queue"); // preflight.scope: pool; that it stops its own pool is asserted below
      const { output } = mustFail(await scene.stack.up(), /still blocked after 5 s/);
      assert.match(output, /PodDisruptionBudget default\/queue: it allows 0 disruptions/);
      return { outcome: "reopened", stayClosed: { nodes: emptied } };
    });
    assert.equal(Object.keys(summary.moves).length, WEB + KAFKA);
    assert.deepEqual(
      emptied.filter((name) => sandbox().view.workloadPodsOn(name).length > 0),
      [],
    );
    const green = poolNodes("workers").filter(({ metadata }) => !emptied.includes(metadata.name));
    assert.deepEqual(
      [...new Set(green.map(kernelOf))],
      [imageByName("good-b").kernel],
      "the first pool is on image B",
    );
    assert.deepEqual(kernelsOf("queue"), [imageByName("good-a").kernel]);
    assert.deepEqual([queuePods(), nodesOf("queue"), await queueGroups()], [pods, nodes, scaling]);
  });

  it("once its budget has room the self-managed pool follows, and the first is not touched again", async () => {
    const { view, watched } = sandbox();
    await scene.setBudget("queue", { maxUnavailable: 1 });
    await view.budgetAllows("default/queue", 1);
    const first = scene.standing().pods;
    const blue = nodesOf("queue");
    const summary = await watched(async () => {
      mustSucceed(await scene.stack.up());
      return { outcome: "finished" };
    });
    assert.equal(Object.keys(summary.moves).length, QUEUE);
    assert.deepEqual(scene.standing().pods, first);
    assert.deepEqual(
      nodesOf("queue").filter((name) => blue.includes(name)),
      [],
    );
    assert.deepEqual(kernelsOf("queue"), [imageByName("good-b").kernel]);
    assert.deepEqual(kernelsOf("workers"), [imageByName("good-b").kernel]);
    assert.equal((await queueGroups()).length, 1, "blue's Auto Scaling group is gone");
    await view.ready("queue", QUEUE);
  });

  const poolNodes = (name: string): Node[] =>
    sandbox()
      .view.nodes()
      .filter(({ metadata }) => metadata.labels?.["patchguard.dev/pool"] === name);

  const nodesOf = (name: string): string[] =>
    poolNodes(name)
      .map(({ metadata }) => metadata.name)
      .sort();

  const kernelOf = (node: Node): string | undefined =>
    (node as { status?: { nodeInfo?: { kernelVersion?: string } } }).status?.nodeInfo?.kernelVersion;

  const kernelsOf = (name: string): (string | undefined)[] => [...new Set(poolNodes(name).map(kernelOf))];

  const queuePods = (): string[] =>
    sandbox()
      .view.podsOf("queue")
      .map(({ metadata, spec }) => `${metadata.uid} on ${spec?.nodeName ?? "no node"}`)
      .sort();

  const queueGroups = async (): Promise<string[]> =>
    (await scene.cloud()).scaling.filter((line) => line.startsWith("sandbox-queue-"));
});

function config(image: string): StackConfig {
  const queue = pool({
    name: "queue",
    kind: "self-managed",
    image,
    zones: ["a"],
    more: { nodeRole: undefined, instanceProfile: "sandbox-node" },
  });
  // a budget of the second pool must not stop the first
  const preflight = { scope: "pool", timeoutSeconds: 5 };
  return stackConfig([pool({ image, zones: ["a", "b"] }), queue], { ...ROLLOUT, preflight });
}
