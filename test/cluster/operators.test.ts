/** Primaries that an operator moves by itself: a stand-in for CloudNativePG on a real API server. */
import assert from "node:assert/strict";
import { Hold } from "../../rollout/errors.ts";
import { Postgres, type PostgresOptions, roleOf } from "../support/postgres-operator.ts";
import { useSandbox } from "../support/sandbox.ts";
import { type Trap, useTraps } from "../support/traps.ts";
import type { Pod } from "../watcher/objects.ts";
import { isTerminating } from "../watcher/objects.ts";
import type { Watcher } from "../watcher/watcher.ts";

const ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"];

describe("primaries that an operator runs", function () {
  this.timeout(3 * 60_000);
  const sandbox = useSandbox();
  let operators: Postgres[] = [];

  afterEach("stop the operators", async () => {
    const over = operators;
    operators = [];
    for (const operator of over) await operator.stop();
  });
  const set = useTraps(sandbox); // its own hook clears away the pods, which nobody must make again

  async function postgres(trap: Trap, options: Partial<PostgresOptions> = {}): Promise<Postgres> {
    const { namespace, nodeSelector, start, stop } = trap.at;
    const settings = { name: "pg", namespace, nodeSelector, start, stop, ...options };
    const operator = new Postgres(sandbox(), settings);
    operators.push(operator);
    await operator.run();
    return operator;
  }

  /** A node in each of these zones, of the old generation or the new one. */
  async function zonal(add: Trap["addBlue"], zones = ZONES): Promise<void> {
    for (const zone of zones) await add(1, { zone });
  }

  /** The pods as they were when they began to end, in that order, as the API server told it. */
  function ended(watcher: Watcher): Pod[] {
    const seen = new Map<string, Pod>();
    for (const it of watcher.recording)
      if (it.type === "object" && it.object.kind === "Pod" && isTerminating(it.object))
        if (!seen.has(it.object.metadata.uid)) seen.set(it.object.metadata.uid, it.object);
    return [...seen.values()];
  }

  const onGreen = (pg: Postgres): boolean =>
    pg.instances().every(({ spec }) => spec?.nodeName?.includes("-green-"));

  it("the primary's node is drained after its replicas', and waits for the operator's switch-over", async () => {
    const trap = await set("switchover", 0);
    await zonal(trap.addBlue);
    const pg = await postgres(trap, { apart: true, switchOverMs: 3000 });
    const first = pg.instanceOn(trap.blue[0])?.metadata.name;
    await pg.promote(pg.instanceOn(trap.blue[0])); // on the node that would be the first by name
    await zonal(trap.addGreen);
    const summary = await sandbox().watched(async (watcher) => {
      watcher.exemptBudget(`${trap.at.namespace}/pg-primary`);
      const run = trap.start();
      const refused = await run.saw("evict-refused");
      assert.match(
        refused.message,
        new RegExp(
          `Pod trap-switchover/${first} on node switchover-blue-1 has to wait: PodDisruptionBudget trap-switchover/pg-primary allows no disruption now .*: CloudNativePG switches the primary over by itself`,
        ),
      );
      await run.done;
      await watcher.settle();
      const gone = ended(watcher);
      assert.deepEqual(
        gone.map(({ spec }) => spec?.nodeName),
        [trap.blue[1], trap.blue[2], trap.blue[0]],
      );
      assert.deepEqual(gone.map(roleOf), ["replica", "replica", "replica"], "the old primary, too, by then");
      assert.equal(gone[2]?.metadata.name, first);
      return trap.finished();
    });
    assert.equal(pg.promotions.length, 1, "the primary changed once");
    assert.equal(pg.promotions[0]?.from, first);
    assert.ok(onGreen(pg));
    assert.deepEqual(summary.evictions, { patchguard: 3 });
    assert.deepEqual(
      Object.values(summary.moves).map(({ total }) => total),
      [1, 1, 1],
    );
    assert.equal(summary.budgets[`${trap.at.namespace}/pg`]?.breaches, 0);
  });

  it("an operator that never switches over: holds, names the budget, and reopens everything", async () => {
    const trap = await set("stubborn", 0);
    await zonal(trap.addBlue, ["us-east-1a", "us-east-1a", "us-east-1a"]);
    const pg = await postgres(trap, { apart: true, switchesOver: false });
    const stays = pg.instances().find((pod) => roleOf(pod) === "primary");
    assert.ok(stays !== undefined);
    await zonal(trap.addGreen, ["us-east-1a", "us-east-1a", "us-east-1a"]);
    await sandbox().watched(async (watcher) => {
      watcher.exemptBudget(`${trap.at.namespace}/pg-primary`);
      await assert.rejects(trap.start({ drain: { budgetTimeoutSeconds: 8 } }).done, (error) => {
        assert.ok(error instanceof Hold, String(error));
        const { name } = stays.metadata;
        assert.match(
          error.message,
          new RegExp(
            `^Pod trap-stubborn/${name} on node ${stays.spec?.nodeName} could not be evicted within 8 s`,
          ),
        );
        assert.match(error.message, /PodDisruptionBudget trap-stubborn\/pg-primary allows no disruption now/);
        assert.match(error.message, /CloudNativePG switches the primary over by itself/);
        assert.match(
          error.message,
          /To go on: .*`kubectl cnpg promote pg <instance>`, then run `pulumi up` again/,
        );
        return true;
      });
      await watcher.expectReopened();
      watcher.held();
      assert.equal(
        pg.instanceOn(stays.spec?.nodeName)?.metadata.uid,
        stays.metadata.uid,
        "it was left alone",
      );
      assert.equal(ended(watcher).length, 2, "its replicas have moved");
      // what the message asks for
      await pg.promote(pg.instances().find(({ spec }) => spec?.nodeName?.includes("-green-")));
      await trap.start().done;
      return trap.finished();
    });
    assert.ok(onGreen(pg));
  });

  it("replicas that must move first, off the primary's own node: it is given time until they are on green", async () => {
    const trap = await set("together", 1);
    const pg = await postgres(trap, { meanwhile: "unhealthy" });
    await trap.addGreen();
    pg.start = "8s"; // both of them together take longer than the budget's time
    const summary = await sandbox().watched(async (watcher) => {
      watcher.exemptBudget(`${trap.at.namespace}/pg-primary`);
      await trap.start({ drain: { budgetTimeoutSeconds: 15 } }).done;
      await watcher.settle();
      const gone = ended(watcher);
      assert.deepEqual(gone.slice(0, 2).map(roleOf), ["replica", "replica"]);
      assert.equal(gone[2]?.metadata.name, pg.promotions[0]?.from);
      assert.notEqual(gone.map(roleOf)[2], "primary");
      return trap.finished();
    });
    assert.equal(pg.promotions.length, 1);
    assert.ok(onGreen(pg));
    assert.deepEqual(summary.evictions, { patchguard: 3 });
  });

  it("primaries on each other's replicas' nodes: blue nodes whose turn has not come count as schedulable", async () => {
    const trap = await set("crossed", 0);
    await zonal(trap.addBlue, ["us-east-1a", "us-east-1a"]);
    const one = await postgres(trap, { name: "one", instances: 2, apart: true });
    const two = await postgres(trap, { name: "two", instances: 2, apart: true });
    await one.promote(one.instanceOn(trap.blue[0]));
    await two.promote(two.instanceOn(trap.blue[1]));
    await zonal(trap.addGreen, ["us-east-1a", "us-east-1a"]);
    const summary = await sandbox().watched(async (watcher) => {
      for (const name of ["one", "two"]) watcher.exemptBudget(`${trap.at.namespace}/${name}-primary`);
      await trap.start({ drain: { budgetTimeoutSeconds: 45 } }).done;
      return trap.finished();
    });
    // the first one's new primary was on the node that came next
    assert.deepEqual([one.promotions.length, two.promotions.length], [2, 1]);
    assert.ok(onGreen(one) && onGreen(two));
    assert.deepEqual(summary.evictions, { patchguard: 4 });
  });

  it("a health window over an operator's pods that was cut off is begun again by the next run", async () => {
    const trap = await set("resumed", 0);
    await zonal(trap.addBlue, ["us-east-1a", "us-east-1a"]);
    const pg = await postgres(trap, { instances: 2, apart: true });
    const first = pg.instances().find((pod) => roleOf(pod) === "replica")?.spec?.nodeName;
    await zonal(trap.addGreen, ["us-east-1a", "us-east-1a"]);
    await sandbox().watched(async (watcher) => {
      watcher.exemptBudget(`${trap.at.namespace}/pg-primary`);
      const cut = trap.start({ health: { windowSeconds: 60 } });
      await cut.saw("health");
      await cut.end();
      watcher.held();
      const run = trap.start({ health: { windowSeconds: 2 } });
      await run.done;
      const begun = run.lines.filter(
        ({ event, message }) => event === "health" && !message.endsWith("passed"),
      );
      const windows = begun.map(({ nodes, workloads }) => ({ nodes, workloads }));
      assert.deepEqual(windows[0], { nodes: [first], workloads: [`Cluster ${trap.at.namespace}/pg`] });
      assert.equal(windows.length, 2);
      return trap.finished();
    });
  });
});
