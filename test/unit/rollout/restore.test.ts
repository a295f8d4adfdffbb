import assert from "node:assert/strict";
import { restore } from "../../../rollout/restore.ts";
import { leftovers } from "../../simulated/aftermath.ts";
import { runHandover, smallWorld } from "../../simulated/handovers.ts";
import type { World } from "../../simulated/world.ts";

const SEED = 11;

let runs = 0;

/** What is still closed; the Lease of the run that died is not restore's to give back. */
const closed = (on: World, foreignCordons: string[] = []): string[] =>
  leftovers(on, { foreignCordons }).filter((problem) => !problem.startsWith("the Lease"));

/** Break-glass, as somebody else's process. */
const breakGlass = (on: World, force = false): Promise<{ nodes: string[]; groups: string[] }> =>
  on.run(restore(on.client(`restore-${++runs}`), ["workers"], { force }), 600);

describe("restore", () => {
  it("reopens everything after a crash at any write, and has nothing to do the second time", async function () {
    this.timeout(120_000);
    const whole = await runHandover(await smallWorld(SEED), "only");
    const failures: string[] = [];
    for (let n = 1; n <= whole.client.session.writes; n++) {
      const on = await smallWorld(SEED);
      await runHandover(on, "first", { crashAfterWrite: n });
      await on.clock.pass(60); // the dead run's Lease runs out
      await breakGlass(on);
      failures.push(...closed(on).map((problem) => `after write ${n}: ${problem}`));
      const again = await breakGlass(on);
      if (again.nodes.length + again.groups.length > 0)
        failures.push(`after write ${n}: a second restore found something`);
    }
    assert.deepEqual(failures, []);
  });

  it("refuses while a live run holds the Lease, naming it, unless forced", async () => {
    const on = await smallWorld(SEED);
    await runHandover(on, "first", { crashAfterWrite: 30 });
    await assert.rejects(breakGlass(on), /a handover is running \(Lease holder shop\/prod\/first\)/);
    const { nodes } = await breakGlass(on, true);
    assert.ok(nodes.length > 0);
    await on.clock.pass(60); // pods that were on their way arrive
    assert.deepEqual(closed(on), []);
  });

  it("leaves the cordon of somebody else alone", async () => {
    const on = await smallWorld(SEED);
    const theirs = on.store
      .all("Node")
      .find(({ metadata }) => metadata.labels?.["patchguard.dev/generation"] === "aaaaaaaa");
    assert.ok(theirs);
    on.store.update(
      "Node",
      theirs,
      (draft) => (draft.spec = { ...draft.spec, unschedulable: true }),
      "somebody",
    );
    await runHandover(on, "first", { crashAfterWrite: 40 });
    await on.clock.pass(60);
    await breakGlass(on);
    assert.deepEqual(closed(on, [theirs.metadata.name]), []);
    assert.equal(on.store.get("Node", theirs.metadata.name)?.spec?.unschedulable, true);
  });
});
