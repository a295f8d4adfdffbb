import assert from "node:assert/strict";
import type { Pod, PodDisruptionBudget } from "../../../rollout/cluster/types.ts";
import { VirtualClock } from "../../simulated/clock.ts";
import { budgetStatus, startDisruptionController } from "../../simulated/disruption.ts";
import { evict, type EvictionStatus } from "../../simulated/eviction.ts";
import { Store } from "../../simulated/store.ts";

type Status = NonNullable<PodDisruptionBudget["status"]>;

interface Case {
  name: string;
  pod?: Partial<Pod["status"]> & { ready?: boolean; going?: boolean };
  budgets?: { spec?: PodDisruptionBudget["spec"]; status?: Status }[];
  request?: { uid?: string; dryRun?: boolean };
  noPod?: boolean;
  terminating?: boolean;
  expect: {
    code: number;
    message?: RegExp;
    cause?: RegExp;
    retryAfter?: number;
    deleted: boolean;
    decremented?: boolean;
  };
}

const room: Status = {
  disruptionsAllowed: 1,
  currentHealthy: 3,
  desiredHealthy: 2,
  expectedPods: 3,
  observedGeneration: 1,
};
const spent: Status = { ...room, disruptionsAllowed: 0, desiredHealthy: 3 };

/** The rules of the Eviction API, one line each (Kubernetes 1.34, pkg/registry/core/pod/storage/eviction.go). */
const CASES: Case[] = [
  { name: "no budget", expect: { code: 201, deleted: true } },
  {
    name: "room in the budget",
    budgets: [{ status: room }],
    expect: { code: 201, deleted: true, decremented: true },
  },
  {
    name: "budget spent",
    budgets: [{ status: spent }],
    expect: {
      code: 429,
      cause: /^The disruption budget budget-0 needs 3 healthy pods and has 3 currently$/,
      deleted: false,
    },
  },
  {
    name: "budget just changed",
    budgets: [{ status: { ...room, observedGeneration: 0 } }],
    expect: { code: 429, cause: /still being processed by the server/, retryAfter: 10, deleted: false },
  },
  {
    name: "budget without a status yet",
    budgets: [{}],
    expect: { code: 429, cause: /still being processed/, retryAfter: 10, deleted: false },
  },
  {
    name: "negative allowance",
    budgets: [{ status: { ...room, disruptionsAllowed: -1 } }],
    expect: { code: 403, message: /negative/, deleted: false },
  },
  {
    name: "too many disrupted pods",
    budgets: [
      {
        status: {
          ...room,
          disruptedPods: Object.fromEntries(
            Array.from({ length: 2001 }, (_, i) => [`p${i}`, "2026-01-01T00:00:00Z"]),
          ),
        },
      },
    ],
    expect: { code: 403, message: /too big/, deleted: false },
  },
  {
    name: "several budgets",
    budgets: [{ status: room }, { status: room }],
    expect: { code: 500, message: /more than one PodDisruptionBudget/, deleted: false },
  },
  {
    name: "several budgets, pod pending",
    pod: { phase: "Pending" },
    budgets: [{ status: spent }, { status: spent }],
    expect: { code: 201, deleted: true },
  },
  {
    name: "pod finished",
    pod: { phase: "Succeeded" },
    budgets: [{ status: spent }],
    expect: { code: 201, deleted: true },
  },
  {
    name: "pod failed",
    pod: { phase: "Failed" },
    budgets: [{ status: spent }],
    expect: { code: 201, deleted: true },
  },
  {
    name: "pod terminating already",
    pod: { going: true },
    budgets: [{ status: spent }],
    expect: { code: 201, deleted: true },
  },
  {
    name: "pod unready, budget disrupted",
    pod: { ready: false },
    budgets: [{ status: { ...spent, currentHealthy: 2 } }],
    expect: { code: 429, cause: /needs 3 healthy pods and has 2/, deleted: false },
  },
  {
    name: "pod unready, others healthy",
    pod: { ready: false },
    budgets: [{ status: spent }],
    expect: { code: 201, deleted: true, decremented: false },
  },
  {
    name: "pod unready, nothing desired, none allowed",
    pod: { ready: false },
    budgets: [{ status: { ...spent, desiredHealthy: 0, currentHealthy: 0 } }],
    expect: { code: 429, deleted: false },
  },
  {
    name: "pod unready, AlwaysAllow",
    pod: { ready: false },
    budgets: [
      { spec: { unhealthyPodEvictionPolicy: "AlwaysAllow" }, status: { ...spent, currentHealthy: 1 } },
    ],
    expect: { code: 201, deleted: true, decremented: false },
  },
  {
    name: "UID of another pod",
    request: { uid: "uid-other" },
    expect: { code: 409, message: /UID in the precondition/, deleted: false },
  },
  { name: "pod gone", noPod: true, expect: { code: 404, deleted: false } },
  {
    name: "namespace terminating",
    terminating: true,
    expect: { code: 403, cause: /is being terminated/, deleted: false },
  },
  {
    name: "dry run with room",
    budgets: [{ status: room }],
    request: { dryRun: true },
    expect: { code: 201, deleted: false, decremented: false },
  },
  {
    name: "dry run, budget spent",
    budgets: [{ status: spent }],
    request: { dryRun: true },
    expect: { code: 429, cause: /needs 3/, deleted: false },
  },
];

function attempt(it: Case): {
  answer: EvictionStatus;
  pod: Pod | undefined;
  budget: PodDisruptionBudget | undefined;
} {
  const store = new Store(new VirtualClock());
  const { ready = true, phase = "Running", going = false } = it.pod ?? {};
  if (!it.noPod) {
    const conditions = [{ type: "Ready", status: ready && phase === "Running" ? "True" : "False" }];
    const pod = store.create(
      "Pod",
      {
        metadata: { name: "web-1", labels: { app: "web" } },
        spec: { nodeName: "n" },
        status: { phase, conditions },
      },
      "test",
    );
    if (going) store.remove("Pod", pod, "test");
  }
  for (const [i, { spec, status }] of (it.budgets ?? []).entries()) {
    store.create(
      "PodDisruptionBudget",
      {
        metadata: { name: `budget-${i}` },
        spec: { selector: { matchLabels: { app: "web" } }, ...spec },
        ...(status && { status }),
      },
      "test",
    );
  }
  const answer = evict(
    store,
    { name: "web-1", namespace: "default", ...it.request },
    "us",
    new Set(it.terminating ? ["default"] : []),
  );
  return {
    answer,
    pod: store.get("Pod", "web-1", "default"),
    budget: store.get("PodDisruptionBudget", "budget-0", "default"),
  };
}

describe("simulated Eviction API", () => {
  for (const it_ of CASES) {
    it(it_.name, () => {
      const { answer, pod, budget } = attempt(it_);
      const { code, message, cause, retryAfter, deleted, decremented } = it_.expect;
      assert.equal(answer.code, code, answer.message);
      if (message) assert.match(answer.message, message);
      if (cause) assert.match(answer.cause?.message ?? "", cause);
      assert.equal(answer.retryAfterSeconds, retryAfter);
      assert.equal(
        pod === undefined || pod.metadata.deletionTimestamp !== undefined,
        deleted || it_.noPod === true,
      );
      const before = it_.budgets?.[0]?.status?.disruptionsAllowed ?? 0;
      if (decremented !== undefined)
        assert.equal(budget?.status?.disruptionsAllowed, before - Number(decremented));
      if (decremented) assert.deepEqual(Object.keys(budget?.status?.disruptedPods ?? {}), ["web-1"]);
    });
  }

  it("a second eviction at the same instant meets the spent budget, and has room again once the replacement is Ready", async () => {
    const store = new Store(new VirtualClock());
    startDisruptionController(store, () => 50);
    const owner = store.create("ReplicaSet", { metadata: { name: "web" }, spec: { replicas: 2 } }, "test");
    const ownerReferences = [
      { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: owner.metadata.uid, controller: true },
    ];
    const make = (name: string): Pod =>
      store.create(
        "Pod",
        {
          metadata: { name, labels: { app: "web" }, ownerReferences },
          spec: { nodeName: "n" },
          status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
        },
        "test",
      );
    make("a");
    make("b");
    store.create(
      "PodDisruptionBudget",
      { metadata: { name: "web" }, spec: { maxUnavailable: 1, selector: {} } },
      "test",
    );
    await store.clock.pass(1);
    const ask = (name: string): number => evict(store, { name, namespace: "default" }, "us", new Set()).code;
    assert.equal(ask("a"), 201);
    assert.equal(ask("b"), 429);
    await store.clock.pass(1);
    assert.equal(ask("b"), 429, "a is still missing");
    make("c");
    await store.clock.pass(1);
    assert.equal(ask("b"), 201);
  });
});

describe("simulated disruption controller", () => {
  const table: [
    spec: NonNullable<PodDisruptionBudget["spec"]>,
    replicas: number,
    ready: number,
    expected: [allowed: number, desired: number, expectedPods: number],
  ][] = [
    [{ minAvailable: 2 }, 3, 3, [1, 2, 3]],
    [{ minAvailable: 3 }, 3, 3, [0, 3, 3]],
    [{ minAvailable: "50%" }, 3, 3, [1, 2, 3]], // rounded up
    [{ minAvailable: "100%" }, 3, 3, [0, 3, 3]],
    [{ maxUnavailable: 1 }, 3, 3, [1, 2, 3]],
    [{ maxUnavailable: 1 }, 3, 2, [0, 2, 3]],
    [{ maxUnavailable: 0 }, 3, 3, [0, 3, 3]],
    [{ maxUnavailable: "10%" }, 3, 3, [1, 2, 3]], // rounded up
    [{ maxUnavailable: "100%" }, 3, 3, [3, 0, 3]],
    [{ maxUnavailable: 5 }, 3, 3, [3, 0, 3]],
    [{ minAvailable: 0 }, 0, 0, [0, 0, 0]], // no pods: nothing is allowed
  ];
  for (const [spec, replicas, ready, expected] of table) {
    it(`${JSON.stringify(spec)}: ${ready} of ${replicas} Ready`, () => {
      const store = new Store(new VirtualClock());
      const owner = store.create("ReplicaSet", { metadata: { name: "web" }, spec: { replicas } }, "test");
      const ownerReferences = [
        { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: owner.metadata.uid, controller: true },
      ];
      for (let i = 0; i < replicas; i++) {
        const conditions = [{ type: "Ready", status: i < ready ? "True" : "False" }];
        store.create(
          "Pod",
          {
            metadata: { name: `web-${i}`, ownerReferences },
            spec: { nodeName: "n" },
            status: { phase: "Running", conditions },
          },
          "test",
        );
      }
      const budget = store.create(
        "PodDisruptionBudget",
        { metadata: { name: "b" }, spec: { ...spec, selector: {} } },
        "test",
      );
      const { disruptionsAllowed, desiredHealthy, expectedPods } = budgetStatus(store, budget);
      assert.deepEqual([disruptionsAllowed, desiredHealthy, expectedPods], expected);
    });
  }
});
