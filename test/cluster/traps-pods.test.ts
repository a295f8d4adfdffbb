/** Pods that a drain leaves alone, asks consent for, or waits for: each a trap of drains, on a real API server. */
import assert from "node:assert/strict";
import { Blocked, Hold } from "../../rollout/errors.ts";
import { useSandbox } from "../support/sandbox.ts";
import { timesAsked, type Trap, useTraps } from "../support/traps.ts";
import { daemonSet, deployment, job, type Manifest } from "../support/workloads.ts";

const MIRROR = "kubernetes.io/config.mirror";

describe("pods that a drain has to tell apart", function () {
  this.timeout(3 * 60_000);
  const sandbox = useSandbox();
  const set = useTraps(sandbox);

  /** A pod that somebody has bound to a node by hand. */
  const barePod = (
    { at }: Trap,
    name: string,
    nodeName: string | undefined,
    more: { labels?: Record<string, string>; annotations?: Record<string, string>; spec?: object } = {},
  ): Manifest => {
    const { labels = {}, annotations = {}, spec } = more;
    const quick = {
      "sandbox.patchguard.dev/start": at.start,
      "sandbox.patchguard.dev/stop": at.stop,
      ...annotations,
    };
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: at.namespace, labels, annotations: quick },
      spec: { nodeName, containers: [{ name: "main", image: "example.com/main:1" }], ...spec },
    };
  };
  const isRunning = ({ status }: { status?: { phase?: string } }): boolean => status?.phase === "Running";

  it("a static pod's mirror stays, is not even asked, and does not hold up its node", async () => {
    const trap = await set("mirror");
    const [node] = trap.blue;
    await trap.put(
      barePod(trap, "kube-proxy", node, { annotations: { [MIRROR]: "7f3a" } }),
      deployment({ name: "web", replicas: 1, ...trap.at }),
    );
    const mirror = await trap.pod("kube-proxy", isRunning);
    await trap.addGreen();
    await sandbox().watched(async (watcher) => {
      const { pods } = await trap.start().done;
      assert.equal(pods, 1, "the mirror pod is none of those that were moved");
      await watcher.settle();
      assert.equal(timesAsked(watcher, mirror), 0);
      return trap.finished();
    });
    const after = await trap.pod("kube-proxy");
    assert.equal(after.metadata.uid, mirror.metadata.uid);
    assert.equal(after.metadata.deletionTimestamp, undefined);
  });

  it("a DaemonSet's pod stays on blue, and blue is touched only when the one on green is Ready", async () => {
    const trap = await set("daemon");
    const { name: _name, ...agent } = { name: "agent", ...trap.at, start: "4s" };
    await trap.put(
      daemonSet({ name: "agent", ...agent }),
      deployment({ name: "web", replicas: 1, ...trap.at }),
    );
    const { view, watched } = sandbox();
    const [onBlue] = await view.ready("agent", 1, 60, trap.at.namespace);
    assert.ok(onBlue);
    await trap.addGreen();
    const summary = await watched(async (watcher) => {
      const run = trap.start();
      await run.done;
      const closed = run.lines.find(({ event }) => event === "close");
      const onGreen = trap.podsOn(trap.green[0]).find(({ metadata }) => metadata.labels?.["app"] === "agent");
      const ready = onGreen?.status?.conditions?.find(({ type }) => type === "Ready") as
        { status: string; lastTransitionTime: string } | undefined;
      assert.equal(ready?.status, "True");
      assert.ok(
        Date.parse(ready.lastTransitionTime) <= Date.parse(closed?.time ?? ""),
        `Ready at ${ready.lastTransitionTime}, blue was closed at ${closed?.time}`,
      );
      await watcher.settle();
      assert.equal(timesAsked(watcher, onBlue), 0);
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 1 });
    const after = await trap.pod(onBlue.metadata.name);
    assert.equal(after.metadata.uid, onBlue.metadata.uid);
  });

  it("a Job's pod that has completed stays with its logs, and does not hold up its node", async () => {
    const trap = await set("completed");
    await trap.put(
      job({ name: "report", ...trap.at, completeAfter: "200ms" }),
      deployment({ name: "web", replicas: 1, ...trap.at }),
    );
    const { view, watched } = sandbox();
    const done = await view.eventually(
      () => trap.pods("report").find(({ status }) => status?.phase === "Succeeded"),
      { timeoutSeconds: 60, describe: "the Job's pod has completed" },
    );
    await trap.addGreen();
    await watched(async (watcher) => {
      const { pods } = await trap.start().done;
      assert.equal(pods, 1);
      await watcher.settle();
      assert.equal(timesAsked(watcher, done), 0);
      return trap.finished();
    });
    assert.deepEqual(
      trap.pods("report").map(({ metadata }) => metadata.uid),
      [done.metadata.uid],
      "neither gone nor run once more",
    );
  });

  it("a pod without a controller that comes in mid-drain holds, by name, and stays", async () => {
    const trap = await set("bare");
    // its end takes a while: the node stays in hand
    await trap.put(deployment({ name: "web", replicas: 1, ...trap.at, stop: "8s" }));
    await trap.addGreen();
    const { test, view, watched } = sandbox();
    await watched(async () => {
      const run = trap.start();
      await run.saw("evict");
      await trap.put(barePod(trap, "debug", trap.blue[0]));
      await assert.rejects(run.done, (error) => {
        assert.ok(error instanceof Hold, String(error));
        assert.match(
          error.message,
          /Pod trap-bare\/debug on node bare-blue-1 came after pre-flight and may not be evicted: no controller would start this pod again/,
        );
        assert.match(
          error.message,
          /To go on: delete or move it yourself, or name it in rollout\.drain\.unmanagedPods/,
        );
        return true;
      });
      return trap.reopened();
    });
    const left = view.get("Pod", `${trap.at.namespace}/debug`);
    assert.ok(left !== undefined && left.metadata.deletionTimestamp === undefined);
    await test.api.request("DELETE", trap.podPath("debug"));
  });

  it("a pod without a controller is evicted once the operator names it", async () => {
    const trap = await set("named");
    await trap.put(
      barePod(trap, "debug", trap.blue[0], { labels: { team: "tools" } }),
      deployment({ name: "web", replicas: 1, ...trap.at }),
    );
    await trap.pod("debug", isRunning);
    await trap.addGreen();
    const { view, watched } = sandbox();
    const summary = await watched(async () => {
      const run = trap.start({ drain: { unmanagedPods: "team=tools" } });
      await run.done;
      assert.deepEqual(
        run.evicted().filter((name) => name === "debug"),
        ["debug"],
      );
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 2 });
    assert.equal(view.get("Pod", `${trap.at.namespace}/debug`), undefined);
  });

  it("a pod that keeps data in an emptyDir blocks, named with its volume, until the operator consents", async () => {
    const trap = await set("scratch");
    const spec = {
      volumes: [
        { name: "cache", emptyDir: { sizeLimit: "2Gi" } },
        { name: "settings", configMap: { name: "kube-root-ca.crt" } },
      ],
    };
    await trap.put(deployment({ name: "web", replicas: 1, ...trap.at, spec }));
    const [before] = trap.pods("web");
    await trap.addGreen();
    const { watched } = sandbox();
    const summary = await watched(async (watcher) => {
      watcher.preflightBlocked();
      await assert.rejects(trap.start({ preflight: { timeoutSeconds: 1 } }).done, (error) => {
        assert.ok(error instanceof Blocked, String(error));
        assert.match(
          error.message,
          new RegExp(
            `Pod trap-scratch/${before?.metadata.name}: its emptyDir volume cache \\(up to 2Gi\\) is lost when it moves`,
          ),
        );
        assert.match(error.message, /rollout\.drain\.deleteEmptyDirData: true/);
        return true;
      });
      await watcher.expectReopened();
      assert.deepEqual(
        trap.pods("web").map(({ metadata }) => metadata.uid),
        [before?.metadata.uid],
      );
      watcher.preflightPassed();
      await trap.start({ drain: { deleteEmptyDirData: true } }).done;
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 1 });
  });

  it("a long grace period is granted whole and waited for, beyond podTimeoutSeconds", async () => {
    const trap = await set("patience");
    const slow = { stop: "12s", terminationGracePeriodSeconds: 60 };
    await trap.put(deployment({ name: "queue", replicas: 1, ...trap.at, ...slow }));
    const [old] = trap.pods("queue");
    assert.ok(old);
    await trap.addGreen();
    const { view, watched } = sandbox();
    await watched(async () => {
      const run = trap.start({ drain: { podTimeoutSeconds: 3, terminationSlackSeconds: 1 } });
      const leaving = await trap.pod(
        old.metadata.name,
        ({ metadata }) => metadata.deletionTimestamp !== undefined,
      );
      assert.equal(leaving.metadata.deletionGracePeriodSeconds, 60);
      await run.saw("node-moved");
      assert.ok(view.get("Pod", `${trap.at.namespace}/${old.metadata.name}`), "replaced, and still ending");
      await run.done;
      const told = run.lines.map(({ event }) => event);
      assert.ok(
        told.indexOf("pod-gone") < told.indexOf("node-drained"),
        "drained is a node that it has left",
      );
      return trap.finished();
    });
  });
});
