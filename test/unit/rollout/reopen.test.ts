import assert from "node:assert/strict";
import { reopenPool } from "../../../rollout/close.ts";
import { Abandoned } from "../../../rollout/errors.ts";
import { isCordonedByUs } from "../../../rollout/ownership.ts";
import { runHandover, smallWorld } from "../../simulated/handovers.ts";

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
});
