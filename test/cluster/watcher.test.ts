import assert from "node:assert/strict";
import type { Actor } from "../support/actors.ts";
import { addFakeNodes, removeFakeNodes } from "../support/nodes.ts";
import { useSandbox } from "../support/sandbox.ts";
import {
  apply,
  budget,
  deployment,
  namespace,
  objectPath,
  statefulSet,
  type Manifest,
} from "../support/workloads.ts";
import type { Expectation } from "../watcher/end.ts";
import type { Pod } from "../watcher/objects.ts";
import type { Violation } from "../watcher/observation.ts";
import type { Watcher } from "../watcher/watcher.ts";

const HANDOVER = { key: "patchguard.dev/handover", value: "bbbbbbbb", effect: "NoSchedule" };
const FAST = { start: "200ms", stop: "500ms" };

/** The watcher on a real API server: each promise broken on purpose, by a client that calls itself PatchGuard. */
describe("watcher on a real API server", function () {
  this.timeout(120_000);
  const sandbox = useSandbox();
  // another run may have left its names in a shared sandbox
  const run = Date.now().toString(36);
  let count = 0;
  let nodes: { blue1: string; blue2: string; green: string };
  let space: string;
  /** Keeps a workload on the test's own nodes. */
  let own: { nodeSelector: Record<string, string> };

  beforeEach("three nodes and a namespace of the test's own", async function () {
    const { test, view } = sandbox();
    count += 1;
    const suffix = `${run}-${count}`;
    space = `shop-${suffix}`;
    own = { nodeSelector: { "test.example.com/set": suffix } };
    nodes = { blue1: `blue1-${suffix}`, blue2: `blue2-${suffix}`, green: `green-${suffix}` };
    await addFakeNodes(test.api, [
      {
        name: nodes.blue1,
        pool: "workers",
        generation: "aaaaaaaa",
        labels: { "test.example.com/set": suffix },
      },
      {
        name: nodes.blue2,
        pool: "workers",
        generation: "aaaaaaaa",
        labels: { "test.example.com/set": suffix },
      },
      {
        name: nodes.green,
        pool: "workers",
        generation: "bbbbbbbb",
        labels: { "test.example.com/set": suffix },
      },
    ]);
    await view.nodesReady(Object.values(nodes));
    await apply(test.api, namespace(space));
  });

  afterEach("take them away", async function () {
    const { test, view } = sandbox();
    for (const kind of ["deployments", "statefulsets"]) {
      await test.api.request(
        "DELETE",
        `/apis/apps/v1/namespaces/${space}/${kind}?propagationPolicy=Background`,
      );
    }
    // the next test's watcher must not see the end of these
    await view.eventually(() => !view.pods().some((pod) => pod.metadata.namespace === space), {
      timeoutSeconds: 90,
      describe: `the pods of ${space} are gone`,
    });
    await test.api.request("DELETE", `/api/v1/namespaces/${space}`);
    await removeFakeNodes(test.api, Object.values(nodes));
  });

  /** Runs `body` under a watcher and returns `kind object` of what it saw. */
  async function seen(
    body: (watcher: Watcher) => Promise<Expectation | void>,
  ): Promise<{ told: string[]; violations: Violation[]; watcher: Watcher }> {
    const watcher = await sandbox().watch({ requireLease: false });
    try {
      const expectation = await body(watcher);
      const violations = await watcher.finish(expectation ?? undefined);
      return { told: violations.map((v) => `${v.kind} ${v.object}`).sort(), violations, watcher };
    } finally {
      watcher.stop();
    }
  }

  /** Runs three web pods under a budget, all on blue1 at first. */
  async function web(
    limits: { minAvailable?: number; maxUnavailable?: number } = { minAvailable: 2 },
  ): Promise<Pod[]> {
    const { test, view } = sandbox();
    for (const node of [nodes.blue2, nodes.green]) await test.cordon(node);
    await apply(
      test.api,
      deployment({ name: "web", namespace: space, replicas: 3, ...FAST, ...own }),
      budget({ name: "web", namespace: space, ...limits }),
    );
    const pods = await view.ready("web", 3, 60, space);
    await view.eventually(() => view.get("PodDisruptionBudget", `${space}/web`)?.status?.expectedPods === 3, {
      timeoutSeconds: 30,
      describe: "the budget has counted its pods",
    });
    for (const node of [nodes.blue2, nodes.green]) await test.cordon(node, false);
    return pods;
  }

  const pod = (pods: Pod[], index: number): Pod => {
    const found = pods[index];
    if (found === undefined) throw new Error(`there is no pod ${index}`);
    return found;
  };

  const named = (found: Pod): string => `pod ${space}/${found.metadata.name}`;

  /** Evicts as soon as the budget lets it. */
  async function evictWhenAllowed(actor: Actor, victim: Pod): Promise<void> {
    await sandbox().view.budgetAllows(`${space}/web`, 1);
    await actor.evict(victim);
  }

  it("finds nothing in an orderly move, and counts it", async function () {
    const { patchguard, view } = sandbox();
    const pods = await web();
    const { told, watcher } = await seen(async () => {
      for (const node of [nodes.blue1, nodes.blue2]) await patchguard.taint(node, [HANDOVER]);
      await patchguard.cordon(nodes.blue1);
      for (const each of pods) {
        await evictWhenAllowed(patchguard, each);
        await view.eventually(() => !view.pods().some((p) => p.metadata.uid === each.metadata.uid), {
          timeoutSeconds: 30,
          describe: `${each.metadata.name} is gone`,
        });
        await view.ready("web", 3, 30, space);
      }
      for (const node of [nodes.blue1, nodes.blue2]) await patchguard.taint(node, []);
      await patchguard.cordon(nodes.blue1, false);
      return { outcome: "reopened" };
    });
    assert.deepEqual(told, []);
    const summary = watcher.summary();
    assert.deepEqual(summary.evictions, { patchguard: 3 });
    assert.deepEqual(summary.otherDisruptions, {});
    assert.deepEqual(summary.budgets[`${space}/web`], { maxUnavailable: 1, minHealthy: 2, breaches: 0 });
    assert.deepEqual(
      Object.values(summary.moves),
      [1, 1, 1].map((total) => ({ total, mostInOneLeg: 1 })),
    );
  });

  it("a pod deleted in place of evicted, below its budget", async function () {
    const { patchguard } = sandbox();
    const pods = await web({ minAvailable: 3 });
    const { told, violations } = await seen(async (watcher) => {
      watcher.preflightPassed();
      await patchguard.deletePod(pod(pods, 0));
    });
    assert.deepEqual(told, [`budget budget ${space}/web`, `not-an-eviction ${named(pod(pods, 0))}`]);
    assert.deepEqual([...new Set(violations.map((v) => v.who))], ["patchguard"]);
  });

  it("tells a person's delete and a crash from PatchGuard's doing", async function () {
    const { kubectl, test, view } = sandbox();
    const pods = await web({ minAvailable: 3 });
    const { told, watcher } = await seen(async () => {
      // the crash lasts: the delete after it falls into the same breach
      await test.api.request("PATCH", `/api/v1/namespaces/${space}/pods/${pod(pods, 1).metadata.name}`, {
        metadata: { annotations: { "sandbox.patchguard.dev/fail": "crash" } },
      });
      await view.eventually(
        () =>
          view
            .podsOf("web", space)
            .some((p) => p.status?.conditions?.some((c) => c.type === "Ready" && c.status === "False")),
        { timeoutSeconds: 30, describe: "a pod crashes" },
      );
      await kubectl.deletePod(pod(pods, 0));
    });
    assert.deepEqual(told, []);
    assert.deepEqual(watcher.summary().otherDisruptions, { kubectl: 1 });
    assert.equal(watcher.summary().budgets[`${space}/web`]?.breaches, 1);
  });

  it("an eviction with less grace, and one by name alone", async function () {
    const { patchguard } = sandbox();
    const pods = await web({ minAvailable: 0 });
    const { told } = await seen(async () => {
      await patchguard.evict(pod(pods, 0), { gracePeriodSeconds: 1 });
      await patchguard.evict(pod(pods, 1), { preconditions: {} });
    });
    assert.deepEqual(told, [
      `grace-shortened ${named(pod(pods, 0))}`,
      `no-precondition ${named(pod(pods, 1))}`,
    ]);
  });

  it("a finalizer stripped", async function () {
    const { patchguard, test } = sandbox();
    const pods = await web();
    const path = `/api/v1/namespaces/${space}/pods/${pod(pods, 0).metadata.name}`;
    const { told } = await seen(async () => {
      await test.api.request("PATCH", path, { metadata: { finalizers: ["example.com/keep"] } });
      await patchguard.api.request("PATCH", path, { metadata: { finalizers: null } });
    });
    assert.deepEqual(told, [`finalizer-stripped ${named(pod(pods, 0))}`]);
  });

  it("a cordon, a taint and evictions, granted or refused, while a budget is at zero", async function () {
    const { patchguard, test } = sandbox();
    const pods = await web({ minAvailable: 3 });
    await apply(test.api, deployment({ name: "free", namespace: space, replicas: 1, ...FAST, ...own }));
    const [free] = await sandbox().view.ready("free", 1, 30, space);
    const { told } = await seen(async (watcher) => {
      watcher.preflightBlocked(`${space}/web`);
      await patchguard.cordon(nodes.blue1);
      await patchguard.taint(nodes.blue2, [HANDOVER]);
      await assert.rejects(patchguard.evict(pod(pods, 0)), { code: 429 });
      if (free !== undefined) await patchguard.evict(free);
    });
    assert.deepEqual(
      told,
      [
        `before-preflight node ${nodes.blue1}`,
        `before-preflight node ${nodes.blue2}`,
        `before-preflight ${named(pod(pods, 0))}`,
        `before-preflight pod ${space}/${free?.metadata.name ?? ""}`,
      ].sort(),
    );
  });

  it("lets PatchGuard rehearse, and begin once the budget allows it", async function () {
    const { patchguard, test } = sandbox();
    const pods = await web({ minAvailable: 3 });
    const { told } = await seen(async (watcher) => {
      watcher.preflightBlocked(`${space}/web`);
      await assert.rejects(patchguard.evict(pod(pods, 0), { dryRun: ["All"] }), { code: 429 });
      const allowing: Manifest = budget({ name: "web", namespace: space, minAvailable: 2 });
      await test.api.request("PATCH", objectPath(allowing), { spec: { minAvailable: 2 } });
      await evictWhenAllowed(patchguard, pod(pods, 0));
    });
    assert.deepEqual(told, []);
  });

  it("a first act while a budget has long been at zero, nothing declared", async function () {
    const { patchguard, view } = sandbox();
    await web({ minAvailable: 3 });
    const { told } = await seen(async () => {
      const since = Date.now();
      await view.eventually(() => Date.now() - since > 4000, { timeoutSeconds: 10, describe: "time passes" });
      await patchguard.cordon(nodes.blue1);
    });
    assert.deepEqual(told, [`before-preflight node ${nodes.blue1}`]);
  });

  it("a node deleted under its pods, by the cloud", async function () {
    const { cloud } = sandbox();
    const pods = await web();
    const { told, violations } = await seen(async () => {
      await cloud.deleteNode(nodes.blue1);
    });
    assert.deepEqual(told, pods.map((each) => `pod-lost ${named(each)}`).sort());
    assert.deepEqual([...new Set(violations.map((v) => v.who))], ["machine-room"]);
  });

  it("a node lost as declared", async function () {
    const { cloud } = sandbox();
    await web();
    const { told, watcher } = await seen(async (watching) => {
      watching.declareLoss([nodes.blue1], "spot");
      await cloud.deleteNode(nodes.blue1);
    });
    assert.deepEqual(told, []);
    assert.match(watcher.summary().notes.join(), /lost with 3 workload pods, as declared: spot/);
  });

  it("a cordon, a taint and marks that leak, beside a foreign cordon that must stay", async function () {
    const { patchguard, kubectl } = sandbox();
    const { told } = await seen(async () => {
      await kubectl.cordon(nodes.green);
      await patchguard.cordon(nodes.blue1);
      await patchguard.taint(nodes.blue2, [HANDOVER]);
      await patchguard.annotateNode(nodes.blue2, { "patchguard.dev/closed-by": "{}" });
      return { outcome: "reopened" };
    });
    assert.deepEqual(told, [
      `leak node ${nodes.blue1}`,
      `leak node ${nodes.blue2}`,
      `leak node ${nodes.blue2}`,
    ]);
  });

  it("a foreign cordon taken away", async function () {
    const { patchguard, kubectl } = sandbox();
    await kubectl.cordon(nodes.blue1);
    const { told } = await seen(async () => {
      await patchguard.cordon(nodes.blue1, false);
    });
    assert.deepEqual(told, [`foreign-state-removed node ${nodes.blue1}`]);
  });

  it("a node closed by PatchGuard that is still there after a success", async function () {
    const { patchguard } = sandbox();
    const { told } = await seen(async () => {
      await patchguard.cordon(nodes.blue1);
      await patchguard.cordon(nodes.blue1, false);
      return { outcome: "finished" };
    });
    assert.deepEqual(told, [`not-finished node ${nodes.blue1}`]);
  });

  it("a pod moved twice", async function () {
    const { patchguard, view } = sandbox();
    const pods = await web({ minAvailable: 0 });
    const { told } = await seen(async () => {
      await patchguard.evict(pod(pods, 0));
      const known = new Set(pods.map((each) => each.metadata.uid));
      const next = await view.eventually(
        () => view.podsOf("web", space).find((each) => !known.has(each.metadata.uid)),
        { timeoutSeconds: 30, describe: "the replacement is there" },
      );
      await patchguard.evict(next);
    });
    assert.equal(told.length, 1);
    assert.match(told[0] ?? "", /^moved-twice pod /);
  });

  it("evictions long after a kill", async function () {
    const { patchguard, view } = sandbox();
    const pods = await web({ minAvailable: 0 });
    const { told } = await seen(async (watcher) => {
      watcher.killed();
      await patchguard.evict(pod(pods, 0));
      const since = Date.now();
      await view.eventually(() => Date.now() - since > 6000, { timeoutSeconds: 10, describe: "six seconds" });
      await patchguard.evict(pod(pods, 1));
      watcher.resumed();
      await patchguard.evict(pod(pods, 2));
    });
    assert.deepEqual(told, [`evicted-after-kill ${named(pod(pods, 1))}`]);
  });

  it("two pods of a StatefulSet with volumes at once, and the next only after the hand-over", async function () {
    const { patchguard, test, view } = sandbox();
    await test.cordon(nodes.green);
    await apply(
      test.api,
      statefulSet({ name: "kafka", namespace: space, replicas: 3, storage: "zonal", ...FAST, ...own }),
      budget({ name: "kafka", namespace: space, minAvailable: 0 }),
    );
    const pods = await view.ready("kafka", 3, 90, space);
    const of = (name: string): Pod =>
      pod(
        pods.filter((each) => each.metadata.name === name),
        0,
      );
    await test.cordon(nodes.green, false);
    const { told, violations } = await seen(async () => {
      for (const node of [nodes.blue1, nodes.blue2]) await patchguard.cordon(node);
      await patchguard.evict(of("kafka-0"));
      const moved = await view.eventually(
        () =>
          view
            .podsOf("kafka", space)
            .find((p) => p.metadata.name === "kafka-0" && p.spec?.nodeName === nodes.green),
        { timeoutSeconds: 60, describe: "kafka-0 is on green" },
      );
      await view.ready("kafka", 3, 90, space);
      const volume = view.get("PersistentVolumeClaim", `${space}/data-kafka-0`)?.spec?.volumeName;
      await view.eventually(
        () => view.attachments().filter((a) => a.spec?.source?.persistentVolumeName === volume).length === 1,
        { timeoutSeconds: 60, describe: `the old attachment of ${volume ?? ""} is gone` },
      );
      assert.notEqual(moved.metadata.uid, of("kafka-0").metadata.uid);
      await patchguard.evict(of("kafka-1"));
      await patchguard.evict(of("kafka-2"));
    });
    assert.deepEqual(told, [`statefulset-overlap statefulset ${space}/kafka`]);
    assert.match(violations[0]?.what ?? "", /^kafka-2 was disrupted while/);
  });

  it("two pods at once that no budget guards", async function () {
    const { patchguard, test, view } = sandbox();
    await apply(test.api, deployment({ name: "free", namespace: space, replicas: 3, ...FAST, ...own }));
    const pods = await view.ready("free", 3, 60, space);
    const { told, violations } = await seen(async () => {
      await patchguard.evict(pod(pods, 0));
      await view.eventually(() => !view.pods().some((p) => p.metadata.uid === pods[0]?.metadata.uid), {
        timeoutSeconds: 30,
        describe: "the first is gone",
      });
      await view.ready("free", 3, 60, space);
      await patchguard.evict(pod(pods, 1));
      await patchguard.evict(pod(pods, 2));
    });
    assert.deepEqual(told, [`unguarded-overlap deployment ${space}/free`]);
    assert.match(violations[0]?.what ?? "", /, which no budget guards, while .* was not replaced/);
  });

  it("a taint that evicts by itself, a budget edited, a node deleted by PatchGuard", async function () {
    const { patchguard, test } = sandbox();
    await apply(test.api, budget({ name: "web", namespace: space, minAvailable: 1 }));
    const { told } = await seen(async () => {
      await patchguard.taint(nodes.blue1, [{ ...HANDOVER, effect: "NoExecute" }]);
      await patchguard.api.request("PATCH", `/apis/policy/v1/namespaces/${space}/poddisruptionbudgets/web`, {
        spec: { minAvailable: 0 },
      });
      await patchguard.deleteNode(nodes.blue2);
    });
    assert.deepEqual(
      told,
      [
        `bypass node ${nodes.blue1}`,
        `bypass node ${nodes.blue2}`,
        `bypass poddisruptionbudget ${space}/web`,
      ].sort(),
    );
  });
});
