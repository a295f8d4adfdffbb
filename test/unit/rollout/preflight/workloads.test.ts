import assert from "node:assert/strict";
import type { DaemonSet, ReplicaOwner } from "../../../../rollout/cluster/types.ts";
import { workloads } from "../../../../rollout/preflight/workloads.ts";
import { named, nodeOf, podOf, refTo, says, type Lists } from "./scene.ts";

const set = (replicas: number, status: ReplicaOwner["status"] = {}): ReplicaOwner => ({
  metadata: named("StatefulSet", "db"),
  spec: { replicas, selector: { matchLabels: { app: "db" } } },
  status,
});
const db = (ordinal: number, change: Parameters<typeof podOf>[1] = {}) =>
  podOf(`db-${ordinal}`, { owner: refTo("StatefulSet", "db"), ...change });
const ABOUT_SETS = /statefulset/;
const aboutSets = (lists: Lists, asked = {}): string[] =>
  says(workloads, lists, asked).filter((text) => ABOUT_SETS.test(text));

const deployment = (replicas: number): Lists => ({
  Deployment: [
    {
      metadata: named("Deployment", "web"),
      spec: { replicas, selector: { matchLabels: { app: "web", tier: "front" } } },
    },
  ],
  ReplicaSet: [
    {
      metadata: { ...named("ReplicaSet", "web-5d8"), ownerReferences: [refTo("Deployment", "web")] },
      spec: { replicas },
    },
  ],
});

describe("StatefulSets that are not whole", () => {
  it("block when they have pods that move, and name pod and state", () => {
    assert.deepEqual(aboutSets({ StatefulSet: [set(3)], Pod: [db(0), db(1), db(2, { ready: false })] }), [
      "block statefulset-not-whole: StatefulSet shop/db: 2 of 3 replicas are Ready: pod shop/db-2 Running, not Ready on node n1; none of its pods is moved before it is whole, so that two are never away at once. " +
        "To go on: bring it back to 3 Ready, or scale it to what it is: `kubectl -n shop describe pod db-2` says why",
    ]);
  });
  it("say when a pod was not created at all", () => {
    assert.deepEqual(aboutSets({ StatefulSet: [set(2)], Pod: [db(0)] }), [
      "block statefulset-not-whole: StatefulSet shop/db: 1 of 2 replicas is Ready: 1 pod not created yet; none of its pods is moved before it is whole, so that two are never away at once. " +
        "To go on: bring it back to 2 Ready, or scale it to what it is: `kubectl -n shop describe statefulset db` says why its pods are not created",
    ]);
  });
  it("are to be waited for in the middle of a roll-out", () => {
    const rolling = set(2, { currentRevision: "db-1", updateRevision: "db-2" });
    const leaving = db(1, { metadata: { deletionTimestamp: "2026-11-20T11:59:50Z" } });
    assert.deepEqual(aboutSets({ StatefulSet: [rolling], Pod: [db(0), leaving] }), [
      "block statefulset-not-whole: StatefulSet shop/db: 1 of 2 replicas is Ready in the middle of a roll-out: pod shop/db-1 terminating; none of its pods is moved before it is whole, so that two are never away at once. " +
        "To go on: wait until the roll-out is through: `kubectl -n shop rollout status statefulset/db`; if it does not end, `kubectl -n shop describe pod db-1` says why",
    ]);
  });
  it("only warn when none of their pods moves", () => {
    const lists: Lists = {
      Node: [nodeOf("n1"), nodeOf("other", { pool: null })],
      StatefulSet: [set(1)],
      Pod: [db(0, { node: "other", ready: false })],
    };
    assert.deepEqual(aboutSets(lists), [
      "warning statefulset-not-whole-elsewhere: StatefulSet shop/db: 0 of 1 replica is Ready: pod shop/db-0 Running, not Ready on node other; it has no pod on a node of this pool. " +
        "To go on: nothing for this handover; `kubectl -n shop describe pod db-0` says why",
    ]);
  });
  it("are waited for quietly while an interrupted run has their pods in hand", () => {
    const resumed = {
      version: 1,
      stack: "s",
      generation: "bbbbbbbb",
      phase: "moving",
      startedAt: "",
      missingBefore: {},
      nodes: { n1: { phase: "in-hand", moved: [], owners: ["uid-StatefulSet-db"] } },
    } as const;
    const lists: Lists = { StatefulSet: [set(2)], Pod: [db(0), db(1, { ready: false })] };
    const [found] = aboutSets(lists, { resumed: structuredClone(resumed) });
    assert.match(found ?? "", /^wait statefulset-not-whole/);
  });
  it("are whole when scaled to 0, while scaling down, and with an update that waits for OnDelete", () => {
    const pending = set(2, { currentRevision: "db-1", updateRevision: "db-2" });
    const leaving = db(2, { metadata: { deletionTimestamp: "2026-11-20T11:59:50Z" } });
    assert.deepEqual(aboutSets({ StatefulSet: [set(0)], Pod: [] }), []);
    assert.deepEqual(aboutSets({ StatefulSet: [pending], Pod: [db(0), db(1), leaving] }), []);
  });
  it("of another API group are not mistaken for these", () => {
    const owner = refTo("StatefulSet", "db", "apps.kruise.io/v1beta1");
    assert.deepEqual(aboutSets({ Pod: [podOf("db-0", { owner, ready: false })] }), []);
  });
});

describe("DaemonSets that are not whole", () => {
  const daemon = (ready: number): DaemonSet => ({
    metadata: named("DaemonSet", "logs"),
    status: { desiredNumberScheduled: 2, numberReady: ready },
  });
  it("warn, with the pods that are missing", () => {
    const owner = refTo("DaemonSet", "logs");
    const status = {
      phase: "Running",
      containerStatuses: [{ name: "a", state: { waiting: { reason: "CrashLoopBackOff" } } }],
    };
    assert.deepEqual(says(workloads, { DaemonSet: [daemon(1)], Pod: [podOf("logs-x", { owner, status })] }), [
      "warning daemonset-not-whole: DaemonSet shop/logs: 1 of 2 pods is Ready: pod shop/logs-x on node n1 CrashLoopBackOff. " +
        "To go on: `kubectl -n shop describe daemonset logs`; green's nodes need it Ready before anything moves there",
    ]);
  });
  it("are whole with as many as are wanted", () =>
    assert.deepEqual(says(workloads, { DaemonSet: [daemon(2)] }), []));
});

describe("workloads without a budget", () => {
  const budget = {
    metadata: named("PodDisruptionBudget", "web"),
    spec: { selector: { matchLabels: { app: "web" } } },
  };
  it("are named once, with the command that guards them", () => {
    assert.deepEqual(says(workloads, { ...deployment(3), Pod: [podOf("web-1"), podOf("web-2")] }), [
      "warning no-budget: Deployment shop/web: it wants 3 replicas, 2 of them move, and no PodDisruptionBudget selects them: PatchGuard moves one at a time, other evictors (autoscalers, kubectl drain) need not. " +
        "To go on: `kubectl -n shop create pdb web --selector=app=web,tier=front --max-unavailable=1`",
    ]);
  });
  it("are not single replicas, and not those with a budget", () => {
    assert.deepEqual(says(workloads, { ...deployment(1), Pod: [podOf("web-1"), podOf("web-2")] }), []);
    const guarded: Lists = { ...deployment(3), PodDisruptionBudget: [budget], Pod: [podOf("web-1")] };
    assert.deepEqual(says(workloads, guarded), []);
  });
  it("are an Argo Rollout by its own name", () => {
    const sets = [{ ...deployment(2).ReplicaSet?.[0] }] as ReplicaOwner[];
    const [first] = sets;
    assert.ok(first);
    first.metadata.ownerReferences = [refTo("Rollout", "web", "argoproj.io/v1alpha1")];
    const pods = [podOf("web-1"), podOf("web-2")].map((pod) => ({
      ...pod,
      spec: { ...pod.spec, restartPolicy: "Always" },
    }));
    const [found] = says(workloads, { ReplicaSet: sets, Pod: pods });
    assert.match(found ?? "", /^warning no-budget: Rollout shop\/web: it wants 2 replicas/);
  });
  it("are not Jobs, DaemonSets, nor pods of an unknown kind that end by themselves", () => {
    const owners = [
      refTo("Job", "j", "batch/v1"),
      refTo("DaemonSet", "d"),
      refTo("Run", "r", "tekton.dev/v1"),
    ];
    const Pod = owners.flatMap((owner) =>
      ["a", "b"].map((suffix) =>
        podOf(`${owner.kind}-${suffix}`, { owner, spec: { restartPolicy: "Never" }, node: "n1" }),
      ),
    );
    for (const pod of Pod) pod.spec = { ...pod.spec, nodeName: "n1" };
    assert.deepEqual(says(workloads, { Pod }), []);
  });
});
