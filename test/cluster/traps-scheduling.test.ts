/** Where the scheduler and the autoscalers send pods in mid-drain: each a trap of drains, on a real API server. */
import assert from "node:assert/strict";
import { Hold } from "../../rollout/errors.ts";
import { addFakeNodes } from "../support/nodes.ts";
import { useSandbox } from "../support/sandbox.ts";
import { useTraps } from "../support/traps.ts";
import { apply, budget, deployment, objectPath } from "../support/workloads.ts";

/** A pod's container that asks for this much. */
const asking = (cpu: string): Record<string, unknown> => ({
  containers: [
    { name: "main", image: "example.com/main:1", resources: { requests: { cpu, memory: "16Mi" } } },
  ],
});

describe("where pods go while their nodes are drained", function () {
  this.timeout(3 * 60_000);
  const sandbox = useSandbox();
  const set = useTraps(sandbox);

  it("no evicted pod starts again on a blue node whose turn is still to come", async () => {
    const trap = await set("all-closed", 3);
    const { namespace: ns } = trap.at;
    await trap.put(
      deployment({ name: "web", replicas: 9, ...trap.at }),
      budget({ name: "web", namespace: ns, maxUnavailable: 3 }),
    );
    await trap.addGreen();
    const summary = await sandbox().watched(async () => {
      const { pods } = await trap.start().done;
      assert.equal(pods, 9);
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 9 });
    assert.ok(Object.values(summary.moves).every(({ total }) => total === 1));
  });

  it("a pod that tolerates every taint and bounces back onto its node holds, by name", async () => {
    const trap = await set("bounce");
    const nodeSelector = { "kubernetes.io/hostname": trap.blue[0] ?? "" };
    const spec = { tolerations: [{ operator: "Exists" }] };
    await trap.put(deployment({ name: "agent", replicas: 1, ...trap.at, nodeSelector, spec }));
    await trap.addGreen();
    const summary = await sandbox().watched(async () => {
      const handover = trap.start();
      await assert.rejects(handover.done, (error) => {
        assert.ok(error instanceof Hold, String(error));
        assert.match(
          error.message,
          /Pod trap-bounce\/agent-\S+ was started on node bounce-blue-1 although the node is cordoned: it tolerates every taint/,
        );
        return true;
      });
      const warned = handover.lines.filter(({ event }) => event === "finding").map(({ message }) => message);
      assert.ok(
        warned.some((text) => /Pod trap-bounce\/agent-\S+: it tolerates every taint/.test(text)),
        warned.join("\n"),
      );
      return trap.reopened();
    });
    assert.deepEqual(summary.evictions, { patchguard: 1 });
  });

  it("a replacement that fits nowhere holds with the scheduler's words, and finds its place on blue again", async () => {
    const trap = await set("no-room");
    await trap.put(deployment({ name: "big", replicas: 1, ...trap.at, spec: asking("6") }));
    await trap.addGreen(1, { cpu: "4" });
    const { view, watched } = sandbox();
    await watched(async (watcher) => {
      await assert.rejects(
        trap.start({ drain: { podTimeoutSeconds: 4, terminationSlackSeconds: 2 } }).done,
        (error) => {
          assert.ok(error instanceof Hold, String(error));
          assert.match(
            error.message,
            /ReplicaSet trap-no-room\/big-\S+ was not whole 4 s after pod trap-no-room\/big-\S+ left node no-room-blue-1 .*: pod trap-no-room\/big-\S+ Pending \(0\/\d+ nodes are available: .*Insufficient cpu/,
          );
          return true;
        },
      );
      await watcher.expectReopened();
      const [back] = await view.ready("big", 1, 60, trap.at.namespace);
      assert.equal(back?.spec?.nodeName, trap.blue[0]);
      return trap.reopened();
    });
  });

  it("an autoscaler that shrinks a workload in mid-drain: what it took away is neither waited for nor counted", async () => {
    const trap = await set("shrink", 2);
    const { namespace: ns } = trap.at;
    const scaler = {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata: { name: "web", namespace: ns },
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
        minReplicas: 1,
        maxReplicas: 6,
      },
    };
    await trap.putOn(
      trap.blue[0],
      deployment({ name: "gate", replicas: 1, ...trap.at }),
      budget({ name: "gate", namespace: ns, maxUnavailable: 0 }),
    );
    await trap.putOn(
      trap.blue[1],
      deployment({ name: "web", replicas: 6, ...trap.at }),
      budget({ name: "web", namespace: ns, maxUnavailable: 1 }),
      scaler,
    );
    await trap.addGreen();
    const { test, view, watched } = sandbox();
    const summary = await watched(async (watcher) => {
      watcher.exemptBudget(`${ns}/gate`);
      const handover = trap.start(trap.excepting("gate"));
      await handover.saw("evict-refused");
      // the controller itself scales down, without any metric, to what is the most from now on
      await test.api.request("PATCH", objectPath(scaler), { spec: { maxReplicas: 2 } });
      await view.eventually(() => trap.pods("web").length === 2, {
        timeoutSeconds: 60,
        describe: "the autoscaler has taken four pods away",
      });
      await trap.setBudget("gate", { maxUnavailable: 1 });
      await handover.done;
      assert.equal(handover.evicted().length, 3);
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 3 });
    assert.deepEqual(summary.otherDisruptions, { "kube-controller-manager (replicaset-controller)": 4 });
    await view.ready("web", 2, 60, ns);
  });

  it("an autoscaler that grows a workload in mid-drain: its new pods start on green, and no pod is moved twice", async () => {
    const trap = await set("grow", 2);
    const { namespace: ns } = trap.at;
    const scaler = {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata: { name: "web", namespace: ns },
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
        minReplicas: 1,
        maxReplicas: 12,
      },
    };
    await trap.putOn(
      trap.blue[0],
      deployment({ name: "gate", replicas: 1, ...trap.at }),
      budget({ name: "gate", namespace: ns, maxUnavailable: 0 }),
    );
    await trap.putOn(
      trap.blue[1],
      deployment({ name: "web", replicas: 3, ...trap.at }),
      budget({ name: "web", namespace: ns, maxUnavailable: 1 }),
      scaler,
    );
    await trap.addGreen();
    const { test, view, watched } = sandbox();
    const old = trap.pods("web").map(({ metadata }) => metadata.name);
    const summary = await watched(async (watcher) => {
      watcher.exemptBudget(`${ns}/gate`);
      const handover = trap.start(trap.excepting("gate"));
      await handover.saw("evict-refused");
      // the controller itself scales up, without any metric, to what is the least from now on: so many that an open blue would get some
      await test.api.request("PATCH", objectPath(scaler), { spec: { minReplicas: 12 } });
      const grown = await view.ready("web", 12, 60, ns);
      const fresh = grown.filter(({ metadata }) => !old.includes(metadata.name));
      assert.deepEqual(new Set(fresh.map(({ spec }) => spec?.nodeName)), new Set(trap.green));
      await trap.setBudget("gate", { maxUnavailable: 1 });
      await handover.done;
      const webs = handover.evicted().filter((name) => name.startsWith("web-"));
      assert.deepEqual(webs.toSorted(), old.toSorted());
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 4 });
    assert.deepEqual(summary.otherDisruptions, {});
    await view.ready("web", 12, 60, ns);
  });

  it("a moved pod that preempts another one on green: the victim is the scheduler's doing, and never counted as ours", async () => {
    const trap = await set("preempt");
    const { test, view, watched } = sandbox();
    const important = {
      apiVersion: "scheduling.k8s.io/v1",
      kind: "PriorityClass",
      metadata: { name: `${trap.name}-important` },
      value: 1000,
    };
    await apply(test.api, important);
    try {
      const spec = { ...asking("500m"), priorityClassName: important.metadata.name };
      await trap.put(deployment({ name: "api", replicas: 1, ...trap.at, spec }));
      const [green] = await trap.addGreen(1, { cpu: "1" });
      // a stranger without a pool fills green, and has another node to go to
      const { nodeSelector: _pool, ...anywhere } = trap.at;
      await test.cordon(trap.blue[0] ?? "");
      await trap.put(deployment({ name: "batch", replicas: 1, ...anywhere, spec: asking("800m") }));
      await test.cordon(trap.blue[0] ?? "", false);
      assert.equal(trap.pods("batch")[0]?.spec?.nodeName, green);
      const other = `${trap.name}-other`;
      await addFakeNodes(test.api, [{ name: other }]);
      trap.green.push(other); // to be removed with the others
      await view.nodesReady([other]);
      const summary = await watched(async () => {
        const handover = trap.start();
        const { pods } = await handover.done;
        assert.equal(pods, 1);
        assert.deepEqual(
          handover.evicted().map((name) => name.split("-")[0]),
          ["api"],
        );
        return trap.finished();
      });
      assert.deepEqual(summary.evictions, { patchguard: 1 });
      assert.deepEqual(summary.otherDisruptions, { "kube-scheduler": 1 });
      assert.equal(trap.pods("api")[0]?.spec?.nodeName, green);
      const [moved] = await view.ready("batch", 1, 60, trap.at.namespace);
      assert.equal(moved?.spec?.nodeName, other);
    } finally {
      await test.api.request("DELETE", objectPath(important));
    }
  });
});
