/** The rollout code on a real API server: nodes without a cloud behind them, pods played by KWOK. */
import assert from "node:assert/strict";
import { Blocked, Breach, Hold } from "../../rollout/errors.ts";
import type { Outcome } from "../../rollout/handover.ts";
import type { LogLine } from "../../rollout/log.ts";
import { moveNodes } from "../support/handover.ts";
import { addFakeNodes } from "../support/nodes.ts";
import { useSandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";
import { apply, budget, deployment, objectPath } from "../support/workloads.ts";

describe("a handover on a real API server", function () {
  this.timeout(5 * 60_000);
  const sandbox = useSandbox();
  let from = "aaaaaaaa";
  let to = "bbbbbbbb";
  let lines: LogLine[] = [];

  /** Runs a handover to the other generation; on success the roles are exchanged for the next test. */
  async function move(
    rollout: object = {},
    onLine: (line: LogLine) => void = () => undefined,
  ): Promise<Outcome> {
    lines = [];
    const outcome = await moveNodes({
      kubeconfig: sandbox().sandbox.kubeconfig,
      pool: "workers",
      generation: to,
      rollout,
      sink: (line) => {
        lines.push(line);
        onLine(line);
      },
    });
    [from, to] = [to, from];
    return outcome;
  }

  /** The cloud would have deleted these nodes after the last handover; here they serve again, as if new. */
  async function reopenByHand(names: string[]): Promise<void> {
    const labels = { "node.kubernetes.io/exclude-from-external-load-balancers": null };
    const annotations = {
      "patchguard.dev/closed-by": null,
      "cluster-autoscaler.kubernetes.io/scale-down-disabled": null,
    };
    const open = { metadata: { labels, annotations }, spec: { unschedulable: null, taints: null } };
    for (const name of names) await sandbox().test.api.request("PATCH", `/api/v1/nodes/${name}`, open);
  }

  afterEach("what the run said", function () {
    if (this.currentTest?.state === "failed")
      for (const { event, message } of lines) console.log(`    ${event}: ${message}`);
  });

  const webPods = () =>
    sandbox()
      .view.pods()
      .filter(({ metadata }) => metadata.name.startsWith("web-"));

  before("two generations, pods on one", async () => {
    const { test, view } = sandbox();
    await addFakeNodes(test.api, [
      ...["blue-1", "blue-2"].map((name, i) => ({
        name,
        pool: "workers",
        generation: from,
        zone: `us-east-1${"ab"[i]}`,
      })),
    ]);
    await apply(
      test.api,
      deployment({ name: "web", replicas: 4, start: "500ms", stop: "500ms" }),
      budget({ name: "web", app: "web", maxUnavailable: 1 }),
    );
    await view.ready("web", 4, 60);
    await addFakeNodes(test.api, [
      ...["green-1", "green-2"].map((name, i) => ({
        name,
        pool: "workers",
        generation: to,
        zone: `us-east-1${"ab"[i]}`,
      })),
    ]);
    await view.budgetAllows("default/web", 1);
  });

  it("blocks on a pod without a controller, and touches nothing", async () => {
    const { test, view, watched } = sandbox();
    const bare = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "bare", namespace: "default" },
      spec: { nodeName: "blue-1", containers: [{ name: "c", image: "i" }] },
    };
    await apply(test.api, bare);
    const summary = await watched(async () => {
      await assert.rejects(move({ preflight: { timeoutSeconds: 1 } }), (error) => {
        assert.ok(error instanceof Blocked);
        assert.match(error.message, /Pod default\/bare: no controller would start this pod again/);
        assert.match(error.message, /nothing was touched/);
        return true;
      });
      return { outcome: "reopened" };
    });
    assert.deepEqual(Object.keys(summary.evictions), []);
    await test.api.request("DELETE", objectPath(bare));
    await until("the bare pod is gone", () => view.pods().every(({ metadata }) => metadata.name !== "bare"));
  });

  it("holds when a pod does not go, puts everything back, and goes on when it does", async () => {
    const { test, view, watched } = sandbox();
    const stuck = webPods().find((pod) => pod.spec?.nodeName === "blue-1");
    assert.ok(stuck);
    const path = `/api/v1/namespaces/default/pods/${stuck.metadata.name}`;
    await test.api.request("PATCH", path, { metadata: { finalizers: ["test.dev/hold"] } });
    await watched(async (watcher) => {
      const rollout = { drain: { terminationSlackSeconds: 1, podTimeoutSeconds: 20 } };
      await assert.rejects(move(rollout), (error) => {
        assert.ok(error instanceof Hold, String(error));
        assert.match(error.message, /finalizer test\.dev\/hold holds it/);
        return true;
      });
      await watcher.expectReopened();
      watcher.held();
      await test.api.request("PATCH", path, { metadata: { finalizers: null } });
      await view.ready("web", 4, 60);
      const { pods } = await move();
      assert.ok(pods >= 4, `${pods} pods`);
      return { outcome: "finished", stayClosed: { nodes: ["blue-1", "blue-2"] } };
    });
    assert.ok(webPods().every((pod) => pod.spec?.nodeName?.startsWith("green")));
  });

  it("rolls back when moved pods crash in the health window", async () => {
    const { test, view, watched } = sandbox();
    await reopenByHand(["blue-1", "blue-2"]);
    let crashed = "";
    const crashOne = (line: LogLine): void => {
      if (line.event !== "health" || crashed !== "") return;
      const pod = webPods().find((it) => it.spec?.nodeName?.startsWith("blue"));
      crashed = pod?.metadata.name ?? "";
      const patch = { metadata: { annotations: { "sandbox.patchguard.dev/fail": "crash" } } };
      void test.api.request("PATCH", `/api/v1/namespaces/default/pods/${crashed}`, patch);
    };
    await watched(async (watcher) => {
      const rollout = { health: { windowSeconds: 30 }, drain: { podTimeoutSeconds: 15 } };
      await assert.rejects(move(rollout, crashOne), (error) => {
        assert.ok(error instanceof Breach, String(error));
        assert.match(
          error.message,
          new RegExp(`default/${crashed} on node blue-\\d (restarted|is no longer Ready)`),
        );
        return true;
      });
      await watcher.expectReopened({ nodes: ["blue-1", "blue-2"] });
    });
    const taints = (name: string): unknown[] =>
      (view.nodes().find((node) => node.metadata.name === name) as { spec?: { taints?: unknown[] } }).spec
        ?.taints ?? [];
    assert.deepEqual(taints("green-1"), [], "the nodes we were moving from serve again");
    assert.equal(taints("blue-1").length, 1, "the nodes we were moving to are closed, as ours");
    assert.ok(
      lines.some(({ event, message }) => event === "rollback" && /rolling pool workers back/.test(message)),
    );
  });
});
