/** Evictions that are refused, or overtaken by others: each a trap of drains, on a real API server. */
import assert from "node:assert/strict";
import { Hold } from "../../rollout/errors.ts";
import { useSandbox } from "../support/sandbox.ts";
import { pauseControllers, useTraps } from "../support/traps.ts";
import { until } from "../support/until.ts";
import { EvictionWebhook } from "../support/webhook.ts";
import { budget, deployment, namespace, objectPath, statefulSet } from "../support/workloads.ts";
import type { Watcher } from "../watcher/watcher.ts";

describe("evictions that do not go as asked", function () {
  this.timeout(3 * 60_000);
  const sandbox = useSandbox();
  const set = useTraps(sandbox);

  /** PatchGuard's evictions, not rehearsed ones, that were answered with this code. */
  const answered = (watcher: Watcher, code: number): number =>
    watcher.recording.filter(
      (it) =>
        it.type === "request" &&
        it.actor.name === "patchguard" &&
        it.subresource === "eviction" &&
        it.code === code &&
        !/"dryRun"/.test(it.body ?? ""),
    ).length;

  it("a budget that is made in mid-drain is respected, and so is its change", async () => {
    const trap = await set("new-budget", 2);
    const { namespace: ns } = trap.at;
    const guard = budget({ name: "web", namespace: ns, maxUnavailable: 0 });
    await trap.putOn(
      trap.blue[0],
      deployment({ name: "first", replicas: 1, ...trap.at }),
      budget({ name: "first", namespace: ns, maxUnavailable: 0 }),
    );
    await trap.putOn(trap.blue[1], deployment({ name: "web", replicas: 2, ...trap.at }));
    await trap.addGreen();
    const summary = await sandbox().watched(async (watcher) => {
      watcher.exemptBudget(`${ns}/first`);
      const run = trap.start(trap.excepting("first"));
      await run.saw("evict-refused", ({ message }) => message.includes(`${ns}/first`));
      await trap.put(guard);
      await trap.setBudget("first", { maxUnavailable: 1 });
      const refused = await run.saw("evict-refused", ({ message }) => message.includes(`${ns}/web`));
      assert.match(
        refused.message,
        /Pod trap-new-budget\/web-\S+ on node new-budget-blue-2 has to wait: PodDisruptionBudget trap-new-budget\/web allows no disruption now/,
      );
      assert.equal(trap.podsOn(trap.blue[1]).length, 2, "not one of them was moved");
      await trap.setBudget("web", { maxUnavailable: 1 });
      await run.done;
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 3 });
    assert.equal(summary.budgets[`${ns}/web`]?.breaches, 0);
  });

  it("a budget that the disruption controller has not read yet is asked again, not overrun", async () => {
    const trap = await set("stale", 2);
    const { namespace: ns } = trap.at;
    await trap.putOn(trap.blue[0], deployment({ name: "first", replicas: 1, ...trap.at }));
    await trap.putOn(
      trap.blue[1],
      deployment({ name: "web", replicas: 2, ...trap.at }),
      budget({ name: "web", namespace: ns, maxUnavailable: 1 }),
    );
    await trap.addGreen();
    let goOn = (): void => undefined;
    try {
      await sandbox().watched(async (watcher) => {
        // while the first node is watched over, the second one's budget changes, and nobody works out its status
        const run = trap.start({ health: { windowSeconds: 5 } });
        await run.saw("health");
        goOn = await pauseControllers(sandbox());
        await trap.setBudget("web", { minAvailable: 1 });
        const refused = await run.saw("evict-refused");
        assert.match(
          refused.message,
          /Pod trap-stale\/web-\S+ on node stale-blue-2 has to wait: PodDisruptionBudget trap-stale\/web allows no disruption now \(.*still being processed by the server/,
        );
        goOn();
        await run.done;
        await watcher.settle();
        assert.ok(answered(watcher, 429) > 0);
        return trap.finished();
      });
    } finally {
      goOn();
    }
  });

  it("a second budget over a pod, made in mid-drain, holds and names both", async () => {
    const trap = await set("two-budgets");
    const { namespace: ns } = trap.at;
    await trap.put(
      deployment({ name: "web", replicas: 2, ...trap.at }),
      budget({ name: "web", namespace: ns, maxUnavailable: 0 }),
    );
    await trap.addGreen();
    const summary = await sandbox().watched(async (watcher) => {
      watcher.exemptBudget(`${ns}/web`);
      const run = trap.start(trap.excepting("web"));
      await run.saw("evict-refused");
      await trap.put(budget({ name: "web-too", namespace: ns, app: "web", maxUnavailable: 1 }));
      await assert.rejects(run.done, (error) => {
        assert.ok(error instanceof Hold, String(error));
        assert.match(
          error.message,
          /Pod trap-two-budgets\/web-\S+ on node two-budgets-blue-1 cannot be evicted: (web, web-too|web-too, web) all select it/,
        );
        assert.match(error.message, /To go on: leave one of them/);
        return true;
      });
      return trap.reopened();
    });
    assert.deepEqual(summary.evictions, {});
  });

  describe("a webhook that let the rehearsal pass and denies in mid-drain", () => {
    let webhook: EvictionWebhook | undefined;
    afterEach("the webhook goes", async () => {
      await webhook?.remove();
      webhook = undefined;
    });

    it("is named with its words, asked again, and obeyed until it allows", async () => {
      const trap = await set("webhook");
      await trap.put(deployment({ name: "web", replicas: 1, ...trap.at }));
      await trap.addGreen();
      const guard = await EvictionWebhook.over(sandbox(), "guard.example.com", trap.at.namespace);
      webhook = guard;
      guard.verdict = ({ dryRun }) =>
        dryRun ? { allowed: true } : { allowed: false, message: "a backup has begun" };
      const summary = await sandbox().watched(async () => {
        const run = trap.start();
        const { message } = await run.saw("evict-refused");
        assert.match(
          message,
          /Pod trap-webhook\/web-\S+ on node webhook-blue-1 has to wait: .*"guard\.example\.com" denied the request: a backup has begun/,
        );
        assert.ok(
          guard.asked.some(({ dryRun }) => dryRun),
          "it was rehearsed",
        );
        guard.verdict = () => ({ allowed: true });
        await run.done;
        return trap.finished();
      });
      assert.deepEqual(summary.evictions, { patchguard: 1 });
    });

    it("holds at the deadline, by its name, if it never allows", async () => {
      const trap = await set("denied");
      await trap.put(deployment({ name: "web", replicas: 1, ...trap.at }));
      await trap.addGreen();
      const guard = await EvictionWebhook.over(sandbox(), "guard.example.com", trap.at.namespace);
      webhook = guard;
      guard.verdict = ({ dryRun }) =>
        dryRun ? { allowed: true } : { allowed: false, message: "never on a Monday" };
      const summary = await sandbox().watched(async () => {
        await assert.rejects(trap.start({ drain: { budgetTimeoutSeconds: 8 } }).done, (error) => {
          assert.ok(error instanceof Hold, String(error));
          assert.match(
            error.message,
            /Pod trap-denied\/web-\S+ on node denied-blue-1 could not be evicted within 8 s .*"guard\.example\.com" denied the request: never on a Monday/,
          );
          return true;
        });
        return trap.reopened();
      });
      assert.deepEqual(summary.evictions, {});
      const calls = guard.asked.filter(({ dryRun }) => !dryRun).length;
      assert.ok(calls >= 2, `asked again, ${calls} times in all`);
      assert.ok(calls <= 4, `but not in a hot loop: ${calls} times in 8 s`);
    });
  });

  it("a namespace that is deleted in mid-drain: its pods are waited for, and its workloads no longer", async () => {
    const trap = await set("namespace");
    const { namespace: ns } = trap.at;
    await trap.put(
      deployment({ name: "web", replicas: 2, ...trap.at, terminationGracePeriodSeconds: 5 }),
      budget({ name: "web", namespace: ns, maxUnavailable: 0 }),
    );
    await trap.addGreen();
    let goOn = (): void => undefined;
    try {
      const summary = await sandbox().watched(async (watcher) => {
        watcher.exemptBudget(`${ns}/web`);
        const run = trap.start(trap.excepting("web"));
        await run.saw("evict-refused");
        goOn = await pauseControllers(sandbox()); // which would delete the pods at once
        await sandbox().kubectl.api.request("DELETE", objectPath(namespace(ns)));
        await until(
          "an eviction is refused since the namespace is on its way out",
          () => answered(watcher, 403) > 0,
        );
        goOn();
        await run.done;
        return trap.finished();
      });
      assert.deepEqual(summary.evictions, {});
      const others = Object.values(summary.otherDisruptions).reduce((sum, each) => sum + each, 0);
      assert.equal(others, 2, JSON.stringify(summary.otherDisruptions));
    } finally {
      goOn();
    }
  });

  it("a StatefulSet's pod that somebody deleted and that is back on green under its name is not evicted", async () => {
    const trap = await set("same-name");
    const { namespace: ns } = trap.at;
    await trap.put(
      statefulSet({ name: "db", replicas: 2, ...trap.at }),
      budget({ name: "db", namespace: ns, maxUnavailable: 0 }),
    );
    const old = await trap.pod("db-0");
    await trap.addGreen();
    let successor = "";
    const summary = await sandbox().watched(async (watcher) => {
      watcher.exemptBudget(`${ns}/db`);
      const run = trap.start(trap.excepting("db"));
      await run.saw("evict-refused");
      await sandbox().kubectl.deletePod(old);
      const back = await trap.pod(
        "db-0",
        ({ metadata, spec }) => metadata.uid !== old.metadata.uid && spec?.nodeName !== undefined,
      );
      assert.equal(back.spec?.nodeName, trap.green[0]);
      successor = back.metadata.uid;
      await trap.setBudget("db", { maxUnavailable: 1 });
      await run.done;
      assert.deepEqual(run.evicted(), ["db-1"]);
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 1 });
    assert.equal((await trap.pod("db-0")).metadata.uid, successor);
  });
});
