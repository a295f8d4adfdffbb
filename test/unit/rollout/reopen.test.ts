import assert from "node:assert/strict";
import { reopenPool } from "../../../rollout/close.ts";
import { ApiError } from "../../../rollout/cluster/cluster.ts";
import { Abandoned } from "../../../rollout/errors.ts";
import { isCordonedByUs } from "../../../rollout/ownership.ts";
import { runHandover, smallWorld, story } from "../../simulated/handovers.ts";

describe("reopening", () => {
  it("opens the nodes although the cloud cannot be asked for the groups", async () => {
    const on = await smallWorld(5);
    await runHandover(on, "first", { crashAfterWrite: 30 });
    assert.ok(on.nodes().some(isCordonedByUs));
    const groups = (): Promise<never> => Promise.reject(new Error("the AWS credentials have expired"));
    const reopening = reopenPool(on.client("second"), on.nodes(), groups);
    await assert.rejects(on.run(reopening, 60), /groups are perhaps still closed: the AWS credentials have/);
    assert.deepEqual(on.nodes().filter(isCordonedByUs), []);
  });

  it("writes nothing more once the Lease is lost", async () => {
    const on = await smallWorld(5);
    await runHandover(on, "first", { crashAfterWrite: 30 });
    const client = on.client("second");
    const mayWrite = (): void => {
      throw new Abandoned("the Lease was taken");
    };
    const reopening = reopenPool({ ...client, mayWrite }, on.nodes(), () => Promise.resolve([]));
    await assert.rejects(on.run(reopening, 60), Abandoned);
    assert.equal(client.session.writes, 0);
  });

  it("opens the nodes that the watch knows where they cannot be listed, and says so", async () => {
    const on = await smallWorld(5);
    let failing = false;
    const run = await runHandover(on, "only", {
      rollout: { drain: { podTimeoutSeconds: 20 } },
      onClient: ({ cluster }) => {
        const list = cluster.list.bind(cluster);
        cluster.list = (kind, selection) =>
          failing && kind === "Node"
            ? Promise.reject(new ApiError(500, "InternalError", "etcdserver: request timed out"))
            : list(kind, selection);
      },
      onLine: ({ event }) => {
        if (event !== "evict") return;
        failing = true;
        for (const kind of ["ReplicaSet", "StatefulSet"] as const)
          for (const { metadata } of on.store.all(kind))
            on.behave(kind, metadata.name, { readyOn: () => false });
      },
    });
    assert.equal(run.error?.name, "Hold", story(on, run));
    assert.deepEqual(
      on.nodes().filter(({ metadata }) => metadata.annotations?.["patchguard.dev/closed-by"] !== undefined),
      [],
    );
    assert.ok(run.log.some(({ message }) => message.startsWith("the nodes could not be listed")));
  });
});
