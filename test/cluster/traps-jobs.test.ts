/** Jobs that are still running when their node's turn comes, on a real API server. */
import assert from "node:assert/strict";
import { Hold } from "../../rollout/errors.ts";
import { useSandbox } from "../support/sandbox.ts";
import { type Trap, useTraps } from "../support/traps.ts";
import { COMPLETE, deployment, job } from "../support/workloads.ts";
import type { Pod } from "../watcher/objects.ts";

describe("Jobs that run while their node is drained", function () {
  this.timeout(3 * 60_000);
  const sandbox = useSandbox();
  const set = useTraps(sandbox);

  /** A Job that runs on beside an app. @returns its pod */
  const running = async (trap: Trap): Promise<Pod> => {
    await trap.put(job({ name: "report", ...trap.at }), deployment({ name: "web", replicas: 1, ...trap.at }));
    const pod = await sandbox().view.eventually(
      () => trap.pods("report").find(({ status }) => status?.phase === "Running"),
      { timeoutSeconds: 60, describe: "the Job runs" },
    );
    await trap.addGreen();
    return pod;
  };
  const apps = (evicted: string[]): string[] => evicted.map((name) => name.split("-")[0] ?? "").toSorted();

  it("by default they are evicted like others, and their Job starts them again on green", async () => {
    const trap = await set("job");
    const old = await running(trap);
    const { view, watched } = sandbox();
    const summary = await watched(async () => {
      const handover = trap.start();
      await handover.done;
      assert.deepEqual(apps(handover.evicted()), ["report", "web"]);
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 2 });
    await view.eventually(
      () =>
        trap
          .pods("report")
          .find(
            ({ metadata, spec }) => metadata.uid !== old.metadata.uid && spec?.nodeName === trap.green[0],
          ),
      { timeoutSeconds: 60, describe: "the Job has started again on green" },
    );
  });

  it("given time they finish on blue, and are not evicted", async () => {
    const trap = await set("job-done");
    const { metadata } = await running(trap);
    const { test, watched } = sandbox();
    const summary = await watched(async () => {
      const handover = trap.start({ drain: { jobs: { waitSeconds: 120 } } });
      await handover.saw("pod-moved"); // the app's: the drain waits for the Job alone
      assert.ok(handover.lines.every(({ event }) => event !== "node-moved"));
      await test.api.request("PATCH", trap.podPath(metadata.name), {
        metadata: { annotations: { [COMPLETE]: "100ms" } },
      });
      await handover.done;
      assert.deepEqual(apps(handover.evicted()), ["web"]);
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 1 });
    const after = await trap.pod(metadata.name);
    assert.deepEqual([after.metadata.uid, after.status?.phase], [metadata.uid, "Succeeded"]);
  });

  it("that are not done in time are evicted then", async () => {
    const trap = await set("job-late");
    await running(trap);
    const summary = await sandbox().watched(async () => {
      const handover = trap.start({ drain: { jobs: { waitSeconds: 4 } } });
      await handover.done;
      const order = handover.evicted().map((name) => name.split("-")[0]);
      assert.deepEqual(order, ["web", "report"], "the app does not wait for the Job");
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 2 });
  });

  it("that are not done in time hold, by name, where the operator says so, and run on", async () => {
    const trap = await set("job-hold");
    const { metadata } = await running(trap);
    const summary = await sandbox().watched(async () => {
      const handover = trap.start({ drain: { jobs: { waitSeconds: 4, afterwards: "hold" } } });
      await assert.rejects(handover.done, (error) => {
        assert.ok(error instanceof Hold, String(error));
        assert.match(
          error.message,
          new RegExp(
            `Pod trap-job-hold/${metadata.name} on node job-hold-blue-1 of Job trap-job-hold/report was still running after 4 s \\(rollout\\.drain\\.jobs\\.waitSeconds\\)`,
          ),
        );
        assert.match(
          error.message,
          /To go on: let it finish, or set rollout\.drain\.jobs\.afterwards: evict/,
        );
        return true;
      });
      return trap.reopened();
    });
    assert.deepEqual(summary.evictions, { patchguard: 1 });
    const after = await trap.pod(metadata.name);
    assert.deepEqual([after.metadata.uid, after.status?.phase], [metadata.uid, "Running"]);
  });
});
