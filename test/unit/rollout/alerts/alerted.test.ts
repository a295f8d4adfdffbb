import assert from "node:assert/strict";
import { alerted, type AlertedOptions } from "../../../../rollout/alerts/alerted.ts";
import type { Alert } from "../../../../rollout/alerts/alert.ts";
import { handover } from "../../../../rollout/handover.ts";
import { Interrupted } from "../../../../rollout/errors.ts";
import { alertsName } from "../../../../rollout/names.ts";
import {
  type Ended,
  GREEN,
  restartOne,
  runHandover,
  type RunOptions,
  smallWorld,
  story,
} from "../../../simulated/handovers.ts";
import type { World } from "../../../simulated/world.ts";
import { deadSink, Listener } from "./samples.ts";

const SEED = 7;
/** Kafka never becomes Ready on green: the run holds. */
const stuck = (on: World): void =>
  on.behave("StatefulSet", "kafka", {
    readyOn: (labels) => labels["patchguard.dev/generation"] !== GREEN.generation,
  });
const HOLDS: RunOptions = { rollout: { drain: { podTimeoutSeconds: 20 } } };

const run = (on: World, name: string, given: AlertedOptions, options: RunOptions = {}): Promise<Ended> =>
  runHandover(on, name, { ...options, work: (job) => alerted(job, handover, given) });

const seconds = ({ log }: Ended): number =>
  (Date.parse(log.at(-1)?.time ?? "") - Date.parse(log[0]?.time ?? "")) / 1000;
const open = (on: World): string =>
  on.store.get("ConfigMap", alertsName("workers"), "kube-system")?.data?.["open"] ?? "";
const only = (got: readonly Alert[], kind: string, status: string): Alert => {
  const found = got.filter((alert) => alert.kind === kind && alert.status === status);
  assert.equal(found.length, 1, `${status} ${kind}: ${found.length} times`);
  return found[0] as Alert;
};

describe("alerts of a handover", () => {
  it("a budget that blocks fires with namespace, numbers and what to do, and is resolved when it clears", async () => {
    const on = await smallWorld(SEED);
    const name = "web";
    const room = (minAvailable: number): void => {
      on.store.patch(
        "PodDisruptionBudget",
        name,
        "default",
        { spec: { minAvailable, maxUnavailable: null } },
        "team",
      );
    };
    room(4);
    await on.settled();
    on.clock.after(120_000, "team", () => room(3));
    const sink = new Listener();
    const ended = await run(on, "first", { sinks: [sink], file: "x.evidence.json" });
    assert.ok(ended.outcome, story(on, ended));
    assert.deepEqual(sink.said, ["firing blocked", "resolved blocked", "resolved success"]);
    const fired = only(sink.got, "blocked", "firing");
    const cleared = only(sink.got, "blocked", "resolved");
    assert.deepEqual(fired.object, { kind: "PodDisruptionBudget", namespace: "default", name });
    assert.deepEqual([fired.namespace, fired.needs, fired.has], ["default", 4, 4]);
    assert.match(fired.rule ?? "", /^budget-/);
    assert.match(fired.fix ?? "", /minAvailable/);
    assert.deepEqual([fired.stack, fired.pool, fired.run], ["shop/prod", "workers", "first"]);
    assert.deepEqual(fired.evidence, {
      configMap: "kube-system/patchguard-workers-evidence",
      file: "x.evidence.json",
    });
    assert.equal(cleared.key, fired.key);
    assert.equal(cleared.since, fired.since);
    assert.ok(Date.parse(cleared.time) - Date.parse(cleared.since) >= 100_000);
    assert.match(cleared.summary, /no longer blocks/);
    assert.notEqual(cleared.id, fired.id);
  });

  it("a block that one run ends with is told once, and resolved by the run that finds it gone", async () => {
    const on = await smallWorld(SEED);
    on.store.patch(
      "PodDisruptionBudget",
      "web",
      "default",
      { spec: { minAvailable: 4, maxUnavailable: null } },
      "team",
    );
    const sink = new Listener();
    const quick = { rollout: { preflight: { timeoutSeconds: 20 } } };
    const first = await run(on, "first", { sinks: [sink] }, quick);
    assert.equal(first.error?.name, "Blocked", story(on, first));
    await run(on, "second", { sinks: [sink] }, quick);
    assert.deepEqual(sink.said, ["firing blocked"]);
    on.store.patch("PodDisruptionBudget", "web", "default", { spec: { minAvailable: 3 } }, "team");
    await on.settled();
    const third = await run(on, "third", { sinks: [sink] }, quick);
    assert.ok(third.outcome, story(on, third));
    assert.deepEqual(sink.said, ["firing blocked", "resolved blocked", "resolved success"]);
    assert.equal(sink.got[1]?.key, sink.got[0]?.key);
    assert.deepEqual(JSON.parse(open(on)), { version: 1, alerts: [] });
  });

  it("a hold fires once, and a later run's success resolves it", async () => {
    const on = await smallWorld(SEED);
    stuck(on);
    const sink = new Listener();
    const first = await run(on, "first", { sinks: [sink] }, HOLDS);
    assert.equal(first.error?.name, "Hold", story(on, first));
    assert.deepEqual(sink.said, ["firing hold"]);
    const fired = only(sink.got, "hold", "firing");
    assert.match(fired.summary, /handover of pool workers holds: .*kafka/);
    on.behave("StatefulSet", "kafka", { readyOn: () => true });
    for (const pod of on.store.all("Pod").filter(({ metadata }) => metadata.name.startsWith("kafka")))
      if (pod.status?.conditions?.every(({ type, status }) => type !== "Ready" || status !== "True"))
        on.store.remove("Pod", pod, "operator");
    await on.clock.pass(120);
    const second = await run(on, "second", { sinks: [sink] });
    assert.ok(second.outcome, story(on, second));
    assert.deepEqual(sink.said, ["firing hold", "resolved hold", "resolved success"]);
    assert.equal(only(sink.got, "hold", "resolved").key, fired.key);
    assert.equal(only(sink.got, "hold", "resolved").run, "second");
  });

  it("a hold for a budget that never lets go names it, with its namespace, pod, node and numbers", async () => {
    const on = await smallWorld(SEED);
    const sink = new Listener();
    let spent = false;
    const ended = await run(
      on,
      "first",
      { sinks: [sink] },
      {
        rollout: { drain: { budgetTimeoutSeconds: 20 } },
        onLine: ({ event }) => {
          if (event !== "node-start" || spent) return;
          spent = true;
          const spec = { minAvailable: 4, maxUnavailable: null };
          on.store.patch("PodDisruptionBudget", "web", "default", { spec }, "team");
        },
      },
    );
    assert.equal(ended.error?.name, "Hold", story(on, ended));
    const fired = only(sink.got, "hold", "firing");
    assert.match(fired.summary, /PodDisruptionBudget default\/web allows no disruption now/);
    assert.deepEqual(fired.object, { kind: "PodDisruptionBudget", namespace: "default", name: "web" });
    assert.deepEqual([fired.namespace, fired.needs, fired.has], ["default", 4, 4]);
    assert.match(fired.pod ?? "", /^default\/web-/);
    assert.ok(fired.nodes?.length === 1 && fired.summary.includes(`node ${fired.nodes[0]} `));
    assert.match(fired.workload ?? "", /^ReplicaSet default\/web|^Deployment default\/web/);
    assert.equal(fired.key, "patchguard/shop/prod/workers/hold", "the same for every reason to hold");
  });

  it("a hold for a workload that does not come back names it and the node", async () => {
    const on = await smallWorld(SEED);
    stuck(on);
    const sink = new Listener();
    await run(on, "first", { sinks: [sink] }, HOLDS);
    const fired = only(sink.got, "hold", "firing");
    assert.deepEqual(fired.object, { kind: "StatefulSet", namespace: "default", name: "kafka" });
    assert.equal(fired.workload, "StatefulSet default/kafka");
    assert.equal(fired.nodes?.length, 1);
  });

  it("a breach fires when it is found, the rollback when it is done", async () => {
    const on = await smallWorld(SEED);
    let broken = false;
    const sink = new Listener();
    const ended = await run(
      on,
      "first",
      { sinks: [sink] },
      {
        onLine: ({ event, message }) => {
          if (event !== "health" || !message.includes("window of") || broken) return;
          broken = true;
          on.clock.after(1000, "kubelet", () => restartOne(on));
        },
      },
    );
    assert.equal(ended.error?.name, "Breach", story(on, ended));
    assert.deepEqual(sink.said, ["firing breach", "firing rollback"]);
    const breach = only(sink.got, "breach", "firing");
    assert.equal(breach.severity, "critical");
    assert.equal(breach.nodes?.length, 1);
    assert.match(breach.summary, /rolling pool workers back to blue: health window after node/);
  });

  it("a sink that is dead delays neither hold nor success; what it missed is in the log", async () => {
    for (const holds of [true, false]) {
      const times: number[] = [];
      for (const sinks of [[new Listener()], [deadSink]]) {
        const on = await smallWorld(SEED);
        if (holds) stuck(on);
        let done = 0;
        const ended = await run(
          on,
          "first",
          { sinks },
          {
            ...HOLDS,
            onLine: ({ event, time }) => {
              if (event === "hold" || event === "finish") done = Date.parse(time);
            },
          },
        );
        assert.equal(ended.error?.name, holds ? "Hold" : undefined, story(on, ended));
        times.push(done - Date.parse(ended.log[0]?.time ?? ""));
        const lost = ended.log.filter(({ event }) => event === "alert-lost");
        assert.equal(lost.length > 0, sinks[0] === deadSink, JSON.stringify(lost));
        assert.ok(
          Date.parse(ended.log.at(-1)?.time ?? "") - done <= 20_000,
          "the end waits some seconds at most",
        );
      }
      assert.equal(times[0], times[1]);
    }
  });

  it("an interrupt leaves sinks the time that the engine leaves, and no more", async () => {
    const on = await smallWorld(SEED);
    const stop = new AbortController();
    let at = 0;
    const ended = await run(
      on,
      "first",
      { sinks: [deadSink, new Listener()] },
      {
        signal: stop.signal,
        onLine: ({ event, time }) => {
          if (event !== "evict" || at > 0) return;
          at = Date.parse(time);
          stop.abort(new Interrupted("interrupted by the operator"));
        },
      },
    );
    assert.equal(ended.error?.name, "Interrupted", story(on, ended));
    const lost = ended.log.find(({ event }) => event === "alert-lost");
    assert.match(lost?.message ?? "", /"interrupted, firing" did not reach the dead sink/);
    assert.ok(Date.parse(lost?.time ?? "") - at <= 4500, `${Date.parse(lost?.time ?? "") - at} ms`);
  });

  it("without a sink nothing is written down", async () => {
    const on = await smallWorld(SEED);
    const ended = await run(on, "first", {});
    assert.ok(ended.outcome, story(on, ended));
    assert.equal(open(on), "");
    assert.ok(seconds(ended) > 0);
  });

  it("a missing secret is told at once by its name, and the run goes on without that sink", async () => {
    const on = await smallWorld(SEED);
    const alerts = { webhook: { urlFrom: "PATCHGUARD_URL", secretFrom: "PATCHGUARD_SECRET" } };
    const ended = await run(
      on,
      "first",
      { env: { PATCHGUARD_URL: "https://canary.example.com" } },
      { rollout: { alerts } },
    );
    assert.ok(ended.outcome, story(on, ended));
    const [lost] = ended.log.filter(({ event }) => event === "alert-lost");
    assert.match(
      lost?.message ?? "",
      /no alerts to rollout\.alerts\.webhook: PATCHGUARD_SECRET is not in the environment/,
    );
    assert.ok(!JSON.stringify(ended.log).includes("canary"));
  });
});
