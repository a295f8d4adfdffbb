import assert from "node:assert/strict";
import fc from "fast-check";
import type { ContainerStatus, Pod } from "../../../../rollout/cluster/types.ts";
import { sentence } from "../../../../rollout/finding.ts";
import { isSpent, zeroByDesign } from "../../../../rollout/preflight/budget-state.ts";
import { node } from "../builders.ts";
import {
  budgetOf,
  daemonSet,
  hpa,
  judge,
  type Lists,
  LONG_AGO,
  podOf,
  ref,
  web,
  withStatus,
  workload,
} from "./budget-world.ts";

const two = [podOf("web-1"), podOf("web-2")];
const three = [...two, podOf("web-3")];
const scaled = (manager: string, subresource?: string) => ({
  metadata: {
    managedFields: [
      {
        manager: "helm",
        operation: "Update",
        time: "2026-11-01T08:00:00Z",
        fieldsV1: { "f:spec": { "f:replicas": {}, "f:template": {} } },
      },
      {
        manager,
        operation: "Update",
        // the API server gives entries of the scale subresource no time
        ...(subresource === undefined ? { time: "2026-11-19T17:02:11Z" } : { subresource }),
        fieldsV1: { "f:spec": { "f:replicas": {} } },
      },
    ],
  },
});

const crashing: ContainerStatus = {
  name: "app",
  ready: false,
  restartCount: 7,
  state: { waiting: { reason: "CrashLoopBackOff", message: "back-off 5m0s restarting failed container" } },
  lastState: { terminated: { exitCode: 1, reason: "Error", finishedAt: "2026-11-20T11:58:00Z" } },
};
const oom: ContainerStatus = {
  ...crashing,
  lastState: { terminated: { exitCode: 137, reason: "OOMKilled", finishedAt: "2026-11-20T11:57:00Z" } },
};
const pull = (reason: string, message: string): ContainerStatus => ({
  name: "app",
  ready: false,
  restartCount: 0,
  state: { waiting: { reason, message } },
});
const ill = (name: string, status: ContainerStatus, change: object = {}): Pod =>
  podOf(name, { ready: false, containers: [status], ...change });
const pending = (name: string, reason: string, message: string): Pod =>
  podOf(name, {
    ready: false,
    phase: "Pending",
    spec: {},
    containers: [],
    conditions: [
      { type: "PodScheduled", status: "False", reason, message, lastTransitionTime: "2026-11-20T10:00:00Z" },
    ],
  });
const leaving = (name: string, change: object): Pod =>
  podOf(name, { metadata: { labels: { app: "web" }, ...change } });
const database = (replicas: number): Lists => ({
  StatefulSet: [workload("StatefulSet", "web", replicas)],
});
const ofSet = (name: string, change: object = {}): Pod =>
  podOf(name, { owner: ref("StatefulSet", "web"), ...change });

/** CloudNativePG's labels, as its operator sets them. */
const instance = (name: string, role: string, change: object = {}): Pod =>
  podOf(name, {
    owner: ref("Cluster", "db", "postgresql.cnpg.io/v1"),
    metadata: { labels: { "cnpg.io/cluster": "db", "cnpg.io/instanceRole": role } },
    ...change,
  });
const primary = (change: object = {}): Pod => instance("db-1", "primary", change);
const replica = (): Pod => instance("db-2", "replica");
const primaryBudget = () =>
  budgetOf(
    {
      minAvailable: 1,
      selector: { matchLabels: { "cnpg.io/cluster": "db", "cnpg.io/instanceRole": "primary" } },
    },
    {
      name: "db-primary",
      metadata: {
        labels: { "cnpg.io/cluster": "db" },
        ownerReferences: [ref("Cluster", "db", "postgresql.cnpg.io/v1")],
      },
    },
  );
const failedCreate = (message: string) => ({
  type: "ReplicaFailure",
  status: "True",
  reason: "FailedCreate",
  message,
});
const gated = (): Pod => {
  const pod = podOf("web-3", {
    containers: [{ name: "app", ready: true, restartCount: 0, state: { running: {} } }],
  });
  pod.status = {
    ...pod.status,
    conditions: [
      {
        type: "Ready",
        status: "False",
        reason: "ReadinessGatesNotReady",
        message: 'corresponding condition of pod readiness gate "target-health" does not exist.',
        lastTransitionTime: LONG_AGO,
      },
    ],
  };
  return pod;
};
/** What an operator reads: the rule, then the sentence in full. */
const GOLDEN: [what: string, lists: Lists, rule: string, text: string][] = [
  [
    "scaled down with kubectl scale",
    {
      ...web(1, scaled("kubectl", "scale")),
      Pod: [podOf("web-1")],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-scaled-down",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 1 of 1; minAvailable 2 is more than the replicas that are wanted: Deployment shop/web wants 1 replica (last scaled by kubectl). To go on: scale up: `kubectl -n shop scale deployment/web --replicas=3`, or ask for less: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":0}}\'`',
  ],
  [
    "scaled down by a write of the object",
    {
      ...web(1, scaled("argocd-controller")),
      Pod: [podOf("web-1")],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-scaled-down",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 1 of 1; minAvailable 2 is more than the replicas that are wanted: Deployment shop/web wants 1 replica (set by argocd-controller at 2026-11-19T17:02:11Z). To go on: scale up: `kubectl -n shop scale deployment/web --replicas=3`, or ask for less: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":0}}\'`',
  ],
  [
    "an autoscaler at its minimum",
    {
      ...web(1, scaled("kube-controller-manager", "scale")),
      HorizontalPodAutoscaler: [hpa(1, 10)],
      Pod: [podOf("web-1")],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-scaled-down",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 1 of 1; minAvailable 2 is more than the replicas that are wanted: Deployment shop/web wants 1 replica (HorizontalPodAutoscaler shop/web is at its minimum of 1). To go on: raise the minimum: `kubectl -n shop patch hpa web --type merge -p \'{"spec":{"minReplicas":3}}\'`, or ask for less: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":0}}\'`',
  ],
  [
    "an autoscaler of KEDA above its minimum",
    {
      ...web(2),
      HorizontalPodAutoscaler: [
        hpa(1, 10, { ownerReferences: [ref("ScaledObject", "web-scaler", "keda.sh/v1alpha1")] }),
      ],
      Pod: two,
      PodDisruptionBudget: [budgetOf({ minAvailable: 3 })],
    },
    "budget-scaled-down",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 3 healthy and has 2 of 2; minAvailable 3 is more than the replicas that are wanted: Deployment shop/web wants 2 replicas (HorizontalPodAutoscaler shop/web decides (minimum 1, maximum 10)). To go on: raise the minimum: `kubectl -n shop patch scaledobject web-scaler --type merge -p \'{"spec":{"minReplicaCount":4}}\'`, or ask for less: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":1}}\'`',
  ],
  [
    "several workloads under one budget",
    {
      Deployment: [workload("Deployment", "web", 1), workload("Deployment", "web-canary", 0)],
      ReplicaSet: web(1).ReplicaSet ?? [],
      Pod: [podOf("web-1")],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-scaled-down",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 1 of 1; minAvailable 2 is more than the replicas that are wanted: Deployment shop/web wants 1 replica, Deployment shop/web-canary wants 0 replicas. To go on: scale Deployment shop/web, Deployment shop/web-canary up to 3 replicas together, or ask for less: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":0}}\'`',
  ],
  [
    "a Deployment that may not be read, known by its ReplicaSet",
    {
      ReplicaSet: web(1).ReplicaSet ?? [],
      Pod: [podOf("web-1")],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-scaled-down",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 1 of 1; minAvailable 2 is more than the replicas that are wanted: Deployment shop/web wants 1 replica. To go on: scale up: `kubectl -n shop scale deployment/web --replicas=3`, or ask for less: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":0}}\'`',
  ],
  [
    "minAvailable equals the replicas",
    { ...web(2), Pod: two, PodDisruptionBudget: [budgetOf({ minAvailable: 2 })] },
    "budget-min-available-all",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 2; minAvailable 2 is as many replicas as are wanted: Deployment shop/web wants 2 replicas. To go on: allow one at a time: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":null,"maxUnavailable":1}}\'`, or scale up: `kubectl -n shop scale deployment/web --replicas=3`',
  ],
  [
    "minAvailable 1 over one replica",
    { ...web(1), Pod: [podOf("web-1")], PodDisruptionBudget: [budgetOf({ minAvailable: 1 })] },
    "budget-min-available-all",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 1 healthy and has 1 of 1; minAvailable 1 is as many replicas as are wanted: Deployment shop/web wants 1 replica. To go on: scale up: `kubectl -n shop scale deployment/web --replicas=2`, or allow one at a time: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":null,"maxUnavailable":1}}\'` (its only replica is then down for the time of its move)',
  ],
  [
    "minAvailable 100%",
    { ...web(3), Pod: three, PodDisruptionBudget: [budgetOf({ minAvailable: "100%" })] },
    "budget-min-available-all",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 3 healthy and has 3 of 3; minAvailable 100% asks for every replica: Deployment shop/web wants 3 replicas. To go on: allow one at a time: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":null,"maxUnavailable":1}}\'`',
  ],
  [
    "a percentage that rounds up to all",
    { ...web(3), Pod: three, PodDisruptionBudget: [budgetOf({ minAvailable: "80%" })] },
    "budget-min-available-all",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 3 healthy and has 3 of 3; minAvailable 80% of 3 rounds up to 3, which is every replica: Deployment shop/web wants 3 replicas. To go on: allow one at a time: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":null,"maxUnavailable":1}}\'`, or scale up: `kubectl -n shop scale deployment/web --replicas=5`',
  ],
  [
    "a percentage of one replica, with an autoscaler",
    {
      ...web(1),
      HorizontalPodAutoscaler: [hpa(1, 4)],
      Pod: [podOf("web-1")],
      PodDisruptionBudget: [budgetOf({ minAvailable: "50%" })],
    },
    "budget-min-available-all",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 1 healthy and has 1 of 1; minAvailable 50% of 1 rounds up to 1, which is every replica: Deployment shop/web wants 1 replica (HorizontalPodAutoscaler shop/web is at its minimum of 1). To go on: raise the minimum: `kubectl -n shop patch hpa web --type merge -p \'{"spec":{"minReplicas":2}}\'`, or allow one at a time: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":null,"maxUnavailable":1}}\'` (its only replica is then down for the time of its move)',
  ],
  [
    "minAvailable equals the replicas, and a pod crashes besides",
    {
      ...web(2),
      Pod: [podOf("web-1"), ill("web-2", crashing)],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-min-available-all",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 1 of 2; minAvailable 2 is as many replicas as are wanted: Deployment shop/web wants 2 replicas; besides, container app of pod shop/web-2 is in CrashLoopBackOff: last ended with exit code 1 (Error) at 2026-11-20T11:58:00Z, 7 restarts, not Ready since 2026-11-20T10:30:00Z. To go on: allow one at a time: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":null,"maxUnavailable":1}}\'`, or scale up: `kubectl -n shop scale deployment/web --replicas=3`; and read why: `kubectl -n shop logs web-2 -c app --previous`, then mend Deployment shop/web, or go back to the revision before: `kubectl -n shop rollout undo deployment/web`; until then even the broken pods cannot be evicted, unless the budget says so: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}\'`',
  ],
  [
    "pods of an operator's own kind, all of them asked for",
    {
      Pod: ["a", "b"].map((name) =>
        podOf(name, { owner: ref("RedisCluster", "web", "redis.example.com/v1") }),
      ),
      PodDisruptionBudget: [
        budgetOf(
          { minAvailable: 2 },
          { metadata: { ownerReferences: [ref("RedisCluster", "web", "redis.example.com/v1")] } },
        ),
      ],
    },
    "budget-min-available-all",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 2; minAvailable 2 is as many pods as there are: RedisCluster shop/web has 2 pods (how many it wants cannot be read here). To go on: see whether RedisCluster shop/web lacks pods, and give it 3: `kubectl -n shop describe rediscluster web`, or allow one at a time: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"minAvailable":1}}\'` (RedisCluster web owns the budget and may write it back: change it there)',
  ],
  [
    "a CloudNativePG primary without a replica",
    { Pod: [primary()], PodDisruptionBudget: [primaryBudget()] },
    "budget-min-available-all",
    'PodDisruptionBudget shop/db-primary: it allows 0 disruptions: needs 1 healthy and has 1 of 1; minAvailable 1 guards the primary shop/db-1 of cluster db, which has no replica that could take over. To go on: add one: `kubectl -n shop patch cluster db --type merge -p \'{"spec":{"instances":2}}\'`, or accept the interruption: `kubectl -n shop patch cluster db --type merge -p \'{"spec":{"enablePDB":false}}\'`',
  ],
  [
    "maxUnavailable 0",
    { ...web(3), Pod: three, PodDisruptionBudget: [budgetOf({ maxUnavailable: 0 })] },
    "budget-max-unavailable-zero",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 3 healthy and has 3 of 3; maxUnavailable 0 never allows one, however many pods are healthy. To go on: allow one at a time: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"maxUnavailable":1}}\'`; if zero is on purpose, list it in rollout.preflight.byDesign',
  ],
  [
    "maxUnavailable 0%",
    { ...web(3), Pod: three, PodDisruptionBudget: [budgetOf({ maxUnavailable: "0%" })] },
    "budget-max-unavailable-zero",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 3 healthy and has 3 of 3; maxUnavailable 0% never allows one, however many pods are healthy. To go on: allow one at a time: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"maxUnavailable":1}}\'`; if zero is on purpose, list it in rollout.preflight.byDesign',
  ],
  [
    "a crash loop",
    {
      ...web(3),
      Pod: [podOf("web-1"), podOf("web-2"), ill("web-3", crashing)],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-crash-loop",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; container app of pod shop/web-3 is in CrashLoopBackOff: last ended with exit code 1 (Error) at 2026-11-20T11:58:00Z, 7 restarts, not Ready since 2026-11-20T10:30:00Z. To go on: read why: `kubectl -n shop logs web-3 -c app --previous`, then mend Deployment shop/web, or go back to the revision before: `kubectl -n shop rollout undo deployment/web`",
  ],
  [
    "a crash loop below the budget, with others that are ill",
    {
      ...web(4),
      Pod: [podOf("web-1"), ill("web-2", crashing), ill("web-3", crashing), podOf("web-4", { ready: false })],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-crash-loop",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 1 of 4; container app of pod shop/web-2 is in CrashLoopBackOff: last ended with exit code 1 (Error) at 2026-11-20T11:58:00Z, 7 restarts, not Ready since 2026-11-20T10:30:00Z; container app of pod shop/web-3 is in CrashLoopBackOff: last ended with exit code 1 (Error) at 2026-11-20T11:58:00Z, 7 restarts, not Ready since 2026-11-20T10:30:00Z; also not Ready: pod shop/web-4. To go on: read why: `kubectl -n shop logs web-2 -c app --previous`, then mend Deployment shop/web, or go back to the revision before: `kubectl -n shop rollout undo deployment/web`; until then even the broken pods cannot be evicted, unless the budget says so: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}\'`',
  ],
  [
    "a crash loop seen in one of its short runs",
    {
      ...web(3),
      Pod: [...two, ill("web-3", { ...crashing, state: { running: { startedAt: "2026-11-20T11:59:50Z" } } })],
      PodDisruptionBudget: [budgetOf({ maxUnavailable: 1 })],
    },
    "budget-crash-loop",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; container app of pod shop/web-3 is in CrashLoopBackOff: last ended with exit code 1 (Error) at 2026-11-20T11:58:00Z, 7 restarts, not Ready since 2026-11-20T10:30:00Z. To go on: read why: `kubectl -n shop logs web-3 -c app --previous`, then mend Deployment shop/web, or go back to the revision before: `kubectl -n shop rollout undo deployment/web`",
  ],
  [
    "a crash loop of an init container",
    {
      ...web(3),
      Pod: [
        ...two,
        podOf("web-3", {
          ready: false,
          phase: "Pending",
          init: [{ ...crashing, name: "migrate" }],
          containers: [
            { name: "app", ready: false, restartCount: 0, state: { waiting: { reason: "PodInitializing" } } },
          ],
        }),
      ],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-crash-loop",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; init container migrate of pod shop/web-3 is in CrashLoopBackOff: last ended with exit code 1 (Error) at 2026-11-20T11:58:00Z, 7 restarts, not Ready since 2026-11-20T10:30:00Z. To go on: read why: `kubectl -n shop logs web-3 -c migrate --previous`, then mend Deployment shop/web, or go back to the revision before: `kubectl -n shop rollout undo deployment/web`",
  ],
  [
    "a crash loop in a StatefulSet",
    {
      ...database(3),
      Pod: [ofSet("web-0"), ofSet("web-1"), ofSet("web-2", { ready: false, containers: [crashing] })],
      PodDisruptionBudget: [budgetOf({ maxUnavailable: 1 })],
    },
    "budget-crash-loop",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; container app of pod shop/web-2 is in CrashLoopBackOff: last ended with exit code 1 (Error) at 2026-11-20T11:58:00Z, 7 restarts, not Ready since 2026-11-20T10:30:00Z. To go on: read why: `kubectl -n shop logs web-2 -c app --previous`, then mend StatefulSet shop/web, or go back to the revision before: `kubectl -n shop rollout undo statefulset/web`",
  ],
  [
    "a CloudNativePG primary that crashes",
    {
      Pod: [primary({ ready: false, containers: [{ ...crashing, name: "postgres" }] }), replica()],
      PodDisruptionBudget: [primaryBudget()],
    },
    "budget-crash-loop",
    'PodDisruptionBudget shop/db-primary: it allows 0 disruptions: needs 1 healthy and has 0 of 1; container postgres of pod shop/db-1 is in CrashLoopBackOff: last ended with exit code 1 (Error) at 2026-11-20T11:58:00Z, 7 restarts, not Ready since 2026-11-20T10:30:00Z. To go on: read why: `kubectl -n shop logs db-1 -c postgres --previous`, then mend Cluster shop/db; until then even the broken pods cannot be evicted, unless the budget says so: `kubectl -n shop patch pdb db-primary --type merge -p \'{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}\'`',
  ],
  [
    "out of memory at a limit",
    {
      ...web(3),
      Pod: [
        ...two,
        ill("web-3", oom, {
          spec: { nodeName: "n1", containers: [{ name: "app", resources: { limits: { memory: "64Mi" } } }] },
        }),
      ],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-oom-killed",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; container app of pod shop/web-3 was OOMKilled at 2026-11-20T11:57:00Z at its memory limit of 64Mi, 7 restarts, not Ready since 2026-11-20T10:30:00Z. To go on: raise the memory limit of container app above 64Mi in Deployment shop/web, or find what it fills memory with",
  ],
  [
    "out of memory without a limit",
    { ...web(3), Pod: [...two, ill("web-3", oom)], PodDisruptionBudget: [budgetOf({ minAvailable: 2 })] },
    "budget-oom-killed",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; container app of pod shop/web-3 was OOMKilled at 2026-11-20T11:57:00Z (the container has no memory limit of its own), 7 restarts, not Ready since 2026-11-20T10:30:00Z. To go on: give it a memory request and limit in Deployment shop/web, or find what it fills memory with",
  ],
  [
    "an image that cannot be pulled",
    {
      ...web(3),
      Pod: [
        ...two,
        ill("web-3", pull("ImagePullBackOff", 'Back-off pulling image "registry.example.com/web:2"'), {
          phase: "Pending",
          spec: { nodeName: "n1", containers: [{ name: "app", image: "registry.example.com/web:2" }] },
        }),
      ],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-image-pull",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; container app of pod shop/web-3 is in ImagePullBackOff with image registry.example.com/web:2 ("Back-off pulling image "registry.example.com/web:2""), not Ready since 2026-11-20T10:30:00Z. To go on: correct the image or the pull secret of container app in Deployment shop/web, or go back to the revision before: `kubectl -n shop rollout undo deployment/web`',
  ],
  [
    "unschedulable pods",
    {
      ...web(3),
      Pod: [...two, pending("web-3", "Unschedulable", "0/6 nodes are available: 6 Insufficient cpu.")],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-unschedulable",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; pod shop/web-3 is Pending, Unschedulable since 2026-11-20T10:00:00Z: "0/6 nodes are available: 6 Insufficient cpu.". To go on: give it room: clear what the scheduler names (add nodes, or mend the pod\'s requests, selectors, taints or volumes): `kubectl -n shop describe pod web-3`',
  ],
  [
    "a pod behind a scheduling gate",
    {
      ...web(3),
      Pod: [
        ...two,
        pending("web-3", "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"),
      ],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-unschedulable",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; pod shop/web-3 is Pending, SchedulingGated since 2026-11-20T10:00:00Z: "Scheduling is blocked due to non-empty scheduling gates". To go on: find out who is to remove the scheduling gates: `kubectl -n shop get pod web-3 -o jsonpath={.spec.schedulingGates}`',
  ],
  [
    "a quota keeps pods from being created",
    {
      ...web(3, {
        conditions: [
          failedCreate(
            'pods "web-5d8-x" is forbidden: exceeded quota: team, requested: cpu=1, used: cpu=4, limited: cpu=4',
          ),
        ],
      }),
      Pod: two,
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-pods-not-created",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 2; Deployment shop/web has 2 of 3 pods and cannot create the others: "pods "web-5d8-x" is forbidden: exceeded quota: team, requested: cpu=1, used: cpu=4, limited: cpu=4". To go on: raise ResourceQuota shop/team, or free what it counts: `kubectl -n shop describe quota team`; it then creates them by itself',
  ],
  [
    "a webhook keeps pods from being created",
    {
      ...web(3, {
        conditions: [
          failedCreate('admission webhook "images.example.com" denied the request: image is not signed'),
        ],
      }),
      Pod: two,
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-pods-not-created",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 2; Deployment shop/web has 2 of 3 pods and cannot create the others: "admission webhook "images.example.com" denied the request: image is not signed". To go on: make the pods pass admission webhook images.example.com, or ask its owner for an exemption; it then creates them by itself',
  ],
  [
    "a StatefulSet that lacks pods without a word",
    {
      ...database(3),
      Pod: [ofSet("web-0"), ofSet("web-1")],
      PodDisruptionBudget: [budgetOf({ maxUnavailable: 1 })],
    },
    "budget-pods-not-created",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; StatefulSet shop/web has 2 of 3 pods, all of them healthy, and none of the others has been created. To go on: see what stops it (a quota, a webhook, its controller) in the events: `kubectl -n shop describe statefulset web`",
  ],
  [
    "an app that is down already",
    {
      ...web(3),
      Pod: ["web-1", "web-2", "web-3"].map((name) => podOf(name, { ready: false })),
      PodDisruptionBudget: [budgetOf({ minAvailable: 1 })],
    },
    "budget-already-down",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 1 healthy and has 0 of 3; none of its 3 pods is Ready, so the app is down already, and unhealthyPodEvictionPolicy IfHealthyBudget (the default) keeps even the broken ones from being evicted: container app of pod shop/web-1 runs, but its readiness probe does not pass, not Ready since 2026-11-20T10:30:00Z; container app of pod shop/web-2 runs, but its readiness probe does not pass, not Ready since 2026-11-20T10:30:00Z and 1 more. To go on: bring the app back: `kubectl -n shop describe pods -l app=web`; or let its broken pods be moved as they are: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}\'` with an entry in rollout.preflight.exceptions',
  ],
  [
    "minAvailable 0 guards the pods of an app that is down, too",
    {
      ...web(1),
      Pod: [podOf("web-1", { ready: false })],
      PodDisruptionBudget: [budgetOf({ minAvailable: 0, unhealthyPodEvictionPolicy: "IfHealthyBudget" })],
    },
    "budget-already-down",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 0 healthy and has 0 of 1; its only pod is not Ready, so the app is down already, and unhealthyPodEvictionPolicy IfHealthyBudget keeps even the broken ones from being evicted: container app of pod shop/web-1 runs, but its readiness probe does not pass, not Ready since 2026-11-20T10:30:00Z. To go on: bring the app back: `kubectl -n shop describe pods -l app=web`; or let its broken pods be moved as they are: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}\'` with an entry in rollout.preflight.exceptions',
  ],
  [
    "a readiness probe that does not pass",
    {
      ...web(3),
      Pod: [...two, podOf("web-3", { ready: false })],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-pods-not-ready",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; container app of pod shop/web-3 runs, but its readiness probe does not pass, not Ready since 2026-11-20T10:30:00Z. To go on: make it Ready: `kubectl -n shop describe pod web-3` shows its probes and events",
  ],
  [
    "a readiness gate that has not passed",
    { ...web(3), Pod: [...two, gated()], PodDisruptionBudget: [budgetOf({ minAvailable: 2 })] },
    "budget-pods-not-ready",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; pod shop/web-3 runs, but a readiness gate has not passed ("corresponding condition of pod readiness gate "target-health" does not exist."), not Ready since 2026-11-20T09:00:00Z. To go on: make it Ready: `kubectl -n shop describe pod web-3` shows its probes and events',
  ],
  [
    "a node that is not Ready",
    {
      Node: [node("n1"), node("n2", { status: { conditions: [{ type: "Ready", status: "Unknown" }] } })],
      ...web(3),
      Pod: [...two, podOf("web-3", { ready: false, spec: { nodeName: "n2" } })],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-pods-not-ready",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; pod shop/web-3 is on node n2, which is not Ready. To go on: bring node n2 back, or end its instance: `kubectl describe node n2`",
  ],
  [
    "an init container that does not end",
    {
      ...web(3),
      Pod: [
        ...two,
        podOf("web-3", {
          ready: false,
          phase: "Pending",
          init: [
            {
              name: "wait-for-db",
              ready: false,
              restartCount: 0,
              state: { running: { startedAt: LONG_AGO } },
            },
          ],
          containers: [
            { name: "app", ready: false, restartCount: 0, state: { waiting: { reason: "PodInitializing" } } },
          ],
        }),
      ],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-pods-not-ready",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; init container wait-for-db of pod shop/web-3 has not finished since 2026-11-20T09:00:00Z. To go on: make it Ready: `kubectl -n shop describe pod web-3` shows its probes and events",
  ],
  [
    "a container that the kubelet refuses to make",
    {
      ...web(3),
      Pod: [...two, ill("web-3", pull("CreateContainerConfigError", 'configmap "web" not found'))],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-pods-not-ready",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; container app of pod shop/web-3 is in CreateContainerConfigError ("configmap "web" not found"), not Ready since 2026-11-20T10:30:00Z. To go on: make it Ready: `kubectl -n shop describe pod web-3` shows its probes and events',
  ],
  [
    "a pod that a finalizer holds",
    {
      ...web(3),
      Pod: [
        ...two,
        leaving("web-3", { deletionTimestamp: "2026-11-20T11:00:00Z", finalizers: ["example.com/hold"] }),
      ],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-pods-not-ready",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; pod shop/web-3 is still terminating, past its grace period that ended at 2026-11-20T11:00:00Z, held by finalizer example.com/hold. To go on: help the controller that set the finalizer: `kubectl -n shop describe pod web-3`",
  ],
  [
    "a pod that has just been started",
    {
      ...web(3),
      Pod: [...two, podOf("web-3", { ready: false, created: "2026-11-20T11:59:30Z" })],
      PodDisruptionBudget: [budgetOf({ minAvailable: 2 })],
    },
    "budget-pods-starting",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; its pods are on their way: pod shop/web-3 was started at 2026-11-20T11:59:30Z. To go on: wait until they are Ready: `kubectl -n shop get pods -l app=web -w`",
  ],
  [
    "a pod that is being replaced",
    {
      ...database(3),
      Pod: [
        ofSet("web-0"),
        ofSet("web-1"),
        ofSet("web-2", {
          metadata: {
            labels: { app: "web" },
            deletionTimestamp: "2026-11-20T12:00:20Z",
            ownerReferences: [ref("StatefulSet", "web")],
          },
        }),
      ],
      PodDisruptionBudget: [budgetOf({ maxUnavailable: 1 })],
    },
    "budget-pods-starting",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; its pods are on their way: pod shop/web-2 is ending. To go on: wait until they are Ready: `kubectl -n shop get pods -l app=web -w`",
  ],
  [
    "somebody else's eviction",
    {
      ...web(3),
      Pod: three,
      PodDisruptionBudget: [
        budgetOf(
          { minAvailable: 2 },
          {
            status: {
              disruptionsAllowed: 0,
              currentHealthy: 2,
              desiredHealthy: 2,
              expectedPods: 3,
              observedGeneration: 1,
              disruptedPods: { "web-2": "2026-11-20T11:59:59Z" },
            },
          },
        ),
      ],
    },
    "budget-pods-starting",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; its pods are on their way: an eviction of web-2 is under way. To go on: wait until they are Ready: `kubectl -n shop get pods -l app=web -w`",
  ],
  [
    "a stale status",
    {
      ...web(3),
      Pod: three,
      PodDisruptionBudget: [
        budgetOf(
          { minAvailable: 2 },
          {
            metadata: { generation: 3 },
            status: {
              disruptionsAllowed: 1,
              currentHealthy: 3,
              desiredHealthy: 2,
              expectedPods: 3,
              observedGeneration: 2,
            },
          },
        ),
      ],
    },
    "budget-stale",
    "PodDisruptionBudget shop/web: its status is older than its spec (generation 3, seen by the disruption controller: 2), so every eviction is refused until it has caught up. To go on: wait a few seconds; if this lasts, look at kube-controller-manager (`kubectl -n kube-system logs -l component=kube-controller-manager`), whose disruption controller is down or far behind",
  ],
  [
    "no status yet",
    { ...web(3), Pod: three, PodDisruptionBudget: [budgetOf({ minAvailable: 2 }, { status: {} })] },
    "budget-stale",
    "PodDisruptionBudget shop/web: its status is older than its spec (generation 1, seen by the disruption controller: none), so every eviction is refused until it has caught up. To go on: wait a few seconds; if this lasts, look at kube-controller-manager (`kubectl -n kube-system logs -l component=kube-controller-manager`), whose disruption controller is down or far behind",
  ],
  [
    "a Job's pod under a percentage",
    {
      ...web(3),
      Pod: [...three, podOf("migrate-x", { owner: ref("Job", "migrate", "batch/v1") })],
      PodDisruptionBudget: [
        budgetOf(
          { maxUnavailable: 1 },
          {
            status: {
              disruptionsAllowed: 0,
              currentHealthy: 3,
              desiredHealthy: 2,
              expectedPods: 3,
              observedGeneration: 1,
              conditions: [
                {
                  type: "DisruptionAllowed",
                  status: "False",
                  reason: "SyncFailed",
                  message: "jobs.batch does not implement the scale subresource",
                },
              ],
            },
          },
        ),
      ],
    },
    "budget-sync-failed",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 3 of 3; the disruption controller cannot work it out: "jobs.batch does not implement the scale subresource"; it selects pod shop/migrate-x of Job migrate. To go on: narrow its selector to pods of Deployments, StatefulSets and the like, or give minAvailable as a number: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"maxUnavailable":null,"minAvailable":3}}\'`',
  ],
  [
    "bare pods under maxUnavailable",
    {
      Pod: [podOf("a", { owner: null }), podOf("b", { owner: null })],
      PodDisruptionBudget: [budgetOf({ maxUnavailable: 1 })],
    },
    "budget-unmanaged-pods",
    'PodDisruptionBudget shop/web: it allows 0 disruptions: needs 0 healthy and has 2 of 0; maxUnavailable 1 counts only pods with a controller, and pod shop/a, pod shop/b have none. To go on: give minAvailable as a number, which counts every pod: `kubectl -n shop patch pdb web --type merge -p \'{"spec":{"maxUnavailable":null,"minAvailable":1}}\'`, or run the pods under a controller',
  ],
  [
    "nothing that can be read explains it",
    {
      PodDisruptionBudget: [
        budgetOf(
          { minAvailable: 2 },
          {
            status: {
              disruptionsAllowed: 0,
              currentHealthy: 2,
              desiredHealthy: 2,
              expectedPods: 3,
              observedGeneration: 1,
            },
          },
        ),
      ],
    },
    "budget-spent",
    "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 2 healthy and has 2 of 3; minAvailable 2; 0 pods are selected, 0 of them not Ready, and nothing that can be read says why. To go on: look at the pods and the budget: `kubectl -n shop get pods -l app=web` and `kubectl -n shop describe pdb web`",
  ],
];

describe("the root cause of a budget that blocks", () => {
  for (const [what, lists, rule, text] of GOLDEN) {
    it(`${what}: ${rule}`, () => {
      const found = judge(lists);
      assert.deepEqual(
        found.map((it) => [it.rule, it.severity, sentence(it)]),
        [[rule, "block", text]],
      );
    });
  }
  it("a budget that the disruption controller never worked out expects no pods, and allows none all the same", () => {
    const condition = {
      type: "DisruptionAllowed",
      status: "False",
      reason: "SyncFailed",
      message: "no scale",
    };
    const never = budgetOf(
      { maxUnavailable: "50%" },
      { status: { disruptionsAllowed: 0, expectedPods: 0, observedGeneration: 1, conditions: [condition] } },
    );
    const found = judge({ ...web(2), Pod: two, PodDisruptionBudget: [never] });
    assert.deepEqual(
      found.map(({ rule }) => rule),
      ["budget-sync-failed"],
    );
  });
  it("no two causes share a message, once the names and numbers are taken away", () => {
    const causes = new Map<string, Set<string>>();
    for (const [, , rule, text] of GOLDEN) {
      const why = /; (.*?)\. To go on: /.exec(text)?.[1] ?? text;
      const bare = why.replace(/"[^"]*"|\d\S*|\b(?:pod|container) \S+/g, "…").slice(0, 60);
      causes.set(bare, (causes.get(bare) ?? new Set()).add(rule));
    }
    for (const [message, rules] of causes) assert.equal(rules.size, 1, `${message}: ${[...rules].join()}`);
  });
  it("every message names the next step as a command or a setting", () => {
    for (const [what, , , text] of GOLDEN)
      assert.match(text, /To go on: .*(`kubectl .+`|raise|correct|give|make)/, what);
  });
  it("does not change when the objects come in another order", () => {
    for (const [what, lists] of GOLDEN) {
      const turned = Object.fromEntries(
        Object.entries(withStatus(lists)).map(([kind, list]) => [kind, list.toReversed()]),
      ) as Lists;
      assert.deepEqual(judge(turned), judge(lists), what);
    }
  });
});

describe("what decides between causes", () => {
  const rules = (lists: Lists): string[] => judge(lists).map(({ rule }) => rule);
  const fix = (lists: Lists): string => judge(lists)[0]?.fix ?? "";
  it("70 % leaves one over from 4 replicas on", () => {
    const lists = { ...web(3), Pod: three, PodDisruptionBudget: [budgetOf({ minAvailable: "70%" })] };
    assert.match(fix(lists), /--replicas=4`$/);
  });
  it("a budget that lets broken pods be evicted is not told to do so", () => {
    const sick = [ill("web-1", crashing), ill("web-2", crashing)];
    const policy = (unhealthyPodEvictionPolicy?: string): Lists => ({
      ...web(2),
      Pod: sick,
      PodDisruptionBudget: [
        budgetOf({
          minAvailable: 1,
          ...(unhealthyPodEvictionPolicy === undefined ? {} : { unhealthyPodEvictionPolicy }),
        }),
      ],
    });
    assert.match(fix(policy()), /AlwaysAllow/);
    assert.match(fix(policy("IfHealthyBudget")), /AlwaysAllow/);
    assert.doesNotMatch(fix(policy("AlwaysAllow")), /AlwaysAllow/);
  });
  it("a young pod that has lost its readiness is not starting", () => {
    const at = (since: string): Lists => {
      const pod = podOf("web-3", { ready: false, created: "2026-11-20T11:59:00Z" });
      pod.status = {
        ...pod.status,
        conditions: [{ type: "Ready", status: "False", lastTransitionTime: since }],
      };
      return { ...web(3), Pod: [...two, pod], PodDisruptionBudget: [budgetOf({ minAvailable: 2 })] };
    };
    assert.deepEqual(rules(at("2026-11-20T11:59:02Z")), ["budget-pods-starting"]);
    assert.deepEqual(rules(at("2026-11-20T11:59:40Z")), ["budget-pods-not-ready"]);
  });
  it("a StatefulSet's pod that has ended and cannot go is named, not the one that is not there", () => {
    const held = ofSet("web-2", {
      ready: false,
      phase: "Failed",
      metadata: {
        labels: { app: "web" },
        ownerReferences: [ref("StatefulSet", "web")],
        deletionTimestamp: "2026-11-20T11:00:00Z",
        finalizers: ["example.com/hold"],
      },
    });
    const lists = {
      ...database(3),
      Pod: [ofSet("web-0"), ofSet("web-1"), held],
      PodDisruptionBudget: [budgetOf({ maxUnavailable: 1 })],
    };
    assert.deepEqual(rules(lists), ["budget-pods-not-ready"]);
  });
  it("of two budgets over the same pods one is not kept up to date: that is its cause", () => {
    const counts = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 1, expectedPods: 2 };
    const forgotten = budgetOf({ minAvailable: 1 }, { status: { ...counts, observedGeneration: 1 } });
    const kept = budgetOf({ maxUnavailable: 1 }, { name: "web-new" });
    const [found, ...others] = judge({ ...web(2), Pod: two, PodDisruptionBudget: [forgotten, kept] });
    assert.deepEqual(others, []);
    assert.equal(
      sentence(found ?? assert.fail("no finding")),
      "PodDisruptionBudget shop/web: it allows 0 disruptions: needs 1 healthy and has 0 of 2; PodDisruptionBudget shop/web-new selects the same pods, and of several budgets the disruption controller keeps only one up to date: this one still counts 0 healthy where 2 are. To go on: leave one PodDisruptionBudget per pod: narrow the others' selectors or delete them",
    );
    assert.deepEqual([found?.rule, found?.severity], ["several-budgets", "block"]);
  });
  it("CloudNativePG's budget of the replicas is an ordinary one", () => {
    const replicas = budgetOf(
      { minAvailable: 1, selector: { matchLabels: { "cnpg.io/instanceRole": "replica" } } },
      { name: "db", metadata: { labels: { "cnpg.io/cluster": "db" } } },
    );
    assert.deepEqual(rules({ Pod: [primary(), replica()], PodDisruptionBudget: [replicas] }), [
      "budget-min-available-all",
    ]);
  });
});

describe("budgets that do not block", () => {
  const quiet: [what: string, lists: Lists][] = [
    ["room for one", { ...web(3), Pod: three, PodDisruptionBudget: [budgetOf({ minAvailable: 2 })] }],
    [
      "a percentage with room",
      { ...web(3), Pod: three, PodDisruptionBudget: [budgetOf({ minAvailable: "50%" })] },
    ],
    [
      "maxUnavailable 1 % rounds up to one",
      { ...web(3), Pod: three, PodDisruptionBudget: [budgetOf({ maxUnavailable: "1%" })] },
    ],
    [
      "a broken pod beyond what the budget needs",
      {
        ...web(3),
        Pod: [...two, ill("web-3", crashing)],
        PodDisruptionBudget: [budgetOf({ minAvailable: 1 })],
      },
    ],
    [
      "a budget over bare pods with a number",
      {
        Pod: [podOf("a", { owner: null }), podOf("b", { owner: null })],
        PodDisruptionBudget: [budgetOf({ minAvailable: 1 })],
      },
    ],
    [
      "a workload at 0 replicas on purpose",
      { ...web(0), PodDisruptionBudget: [budgetOf({ minAvailable: 1 })] },
    ],
    [
      "finished pods of its Job alone, and no status",
      {
        ...web(0),
        Pod: [podOf("run-1", { owner: ref("Job", "run", "batch/v1"), phase: "Succeeded", ready: false })],
        PodDisruptionBudget: [budgetOf({ maxUnavailable: 1 }, { status: {} })],
      },
    ],
  ];
  for (const [what, lists] of quiet) it(what, () => assert.deepEqual(judge(lists), []));

  it("pods of a DaemonSet are asked nothing: a warning at most", () => {
    const found = judge({
      DaemonSet: [daemonSet("agent")],
      Pod: [podOf("agent-1", { owner: ref("DaemonSet", "agent") })],
      PodDisruptionBudget: [
        budgetOf(
          { minAvailable: 1 },
          {
            status: {
              disruptionsAllowed: 0,
              currentHealthy: 1,
              desiredHealthy: 1,
              expectedPods: 1,
              observedGeneration: 1,
            },
          },
        ),
      ],
    });
    assert.deepEqual(
      found.map((it) => [it.rule, it.severity]),
      [["budget-selects-nothing", "warning"]],
    );
    assert.match(found[0]?.why ?? "", /selects only pods that no drain evicts .*: pod shop\/agent-1$/);
  });
});

describe("zero by design", () => {
  const labels = (more: Record<string, string>) => ({ metadata: { labels: more } });
  const own = (kind: string, apiVersion: string) => ref(kind, "x", apiVersion);
  const kafka = (name: string, change: object = {}): Pod =>
    podOf(name, {
      owner: own("StrimziPodSet", "core.strimzi.io/v1beta2"),
      metadata: { labels: { "strimzi.io/cluster": "k", "strimzi.io/name": "k-kafka" } },
      ...change,
    });
  const kafkaBudget = budgetOf(
    { minAvailable: 2, selector: { matchLabels: { "strimzi.io/name": "k-kafka" } } },
    { name: "k-kafka", ...labels({ "strimzi.io/cluster": "k" }) },
  );
  const cases: [what: string, lists: Lists, words: RegExp][] = [
    [
      "a CloudNativePG primary with a replica",
      { Pod: [primary(), replica()], PodDisruptionBudget: [primaryBudget()] },
      /^it allows 0 disruptions by design \(CloudNativePG switches the primary over by itself\); needs 1 healthy and has 1 of 1$/,
    ],
    [
      "Strimzi's maxUnavailable 0, which it writes as minAvailable = all",
      { Pod: [kafka("k-0"), kafka("k-1")], PodDisruptionBudget: [kafkaBudget] },
      /Strimzi's drain cleaner/,
    ],
    [
      "the master of Zalando's postgres-operator",
      {
        StatefulSet: [workload("StatefulSet", "pg", 2, { app: "pg" })],
        Pod: [
          podOf("pg-0", {
            owner: ref("StatefulSet", "pg"),
            metadata: { labels: { application: "spilo", "cluster-name": "pg", "spilo-role": "master" } },
          }),
        ],
        PodDisruptionBudget: [
          budgetOf({
            minAvailable: 1,
            selector: {
              matchLabels: { application: "spilo", "cluster-name": "pg", "spilo-role": "master" },
            },
          }),
        ],
      },
      /Zalando's postgres-operator/,
    ],
    [
      "a Longhorn instance manager",
      {
        Pod: [
          podOf("im", {
            owner: own("InstanceManager", "longhorn.io/v1beta2"),
            metadata: { labels: { "longhorn.io/component": "instance-manager" } },
          }),
        ],
        PodDisruptionBudget: [
          budgetOf({
            minAvailable: 1,
            selector: { matchLabels: { "longhorn.io/component": "instance-manager" } },
          }),
        ],
      },
      /Longhorn removes it/,
    ],
    [
      "a virtual machine of KubeVirt",
      {
        Pod: [
          podOf("virt-launcher", {
            owner: own("VirtualMachineInstance", "kubevirt.io/v1"),
            metadata: { labels: { "kubevirt.io/created-by": "u1" } },
          }),
        ],
        PodDisruptionBudget: [
          budgetOf(
            { minAvailable: 1, selector: { matchLabels: { "kubevirt.io/created-by": "u1" } } },
            { metadata: { ownerReferences: [own("VirtualMachineInstance", "kubevirt.io/v1")] } },
          ),
        ],
      },
      /KubeVirt migrates/,
    ],
  ];
  for (const [what, lists, words] of cases) {
    it(`${what}: a warning while its pods are healthy`, () => {
      const [found, ...others] = judge(lists);
      assert.deepEqual([found?.rule, found?.severity, others], ["budget-by-design", "warning", []]);
      assert.match(found?.why ?? "", words);
    });
    it(`${what}: a block when its pod crashes`, () => {
      const [first, ...rest] = lists.Pod ?? [];
      assert.ok(first);
      const sick: Pod = {
        ...first,
        status: {
          phase: "Running",
          conditions: [{ type: "Ready", status: "False" }],
          containerStatuses: [crashing],
        },
      };
      assert.deepEqual(
        judge({ ...lists, Pod: [sick, ...rest] }).map((it) => [it.rule, it.severity]),
        [["budget-crash-loop", "block"]],
      );
    });
  }
  it("says so where Strimzi's drain cleaner has no webhook", () => {
    const lists = { Pod: [kafka("k-0"), kafka("k-1")], PodDisruptionBudget: [kafkaBudget] };
    const webhook = { metadata: { name: "strimzi-drain-cleaner", uid: "w" } };
    assert.match(
      judge(lists)[0]?.fix ?? "",
      /no ValidatingWebhookConfiguration whose name contains drain-cleaner/,
    );
    assert.match(
      judge({ ...lists, ValidatingWebhookConfiguration: [webhook] })[0]?.fix ?? "",
      /^nothing: its node is drained late/,
    );
  });
  it("Strimzi's default, which leaves one over, is an ordinary budget", () => {
    const one = budgetOf(
      { minAvailable: 1, selector: kafkaBudget.spec?.selector },
      { ...labels({ "strimzi.io/cluster": "k" }) },
    );
    assert.deepEqual(
      judge({
        Pod: [kafka("k-0"), kafka("k-1", { ready: false, containers: [crashing] })],
        PodDisruptionBudget: [one],
      }).map((it) => it.rule),
      ["budget-crash-loop"],
    );
  });
  it("a name alone proves nothing", () => {
    const named = budgetOf({ minAvailable: 2 }, { name: "db-primary" });
    assert.equal(zeroByDesign(named, []), undefined);
    assert.deepEqual(
      judge({ ...web(2), Pod: two, PodDisruptionBudget: [named] }).map((it) => it.rule),
      ["budget-min-available-all"],
    );
  });
  it("declared in the config", () => {
    const lists = { ...web(2), Pod: two, PodDisruptionBudget: [budgetOf({ minAvailable: 2 })] };
    const [found] = judge(lists, { preflight: { byDesign: [{ namespace: "shop", name: "web" }] } });
    assert.deepEqual([found?.rule, found?.severity], ["budget-by-design", "warning"]);
    assert.match(found?.why ?? "", /declared in rollout.preflight.byDesign/);
  });
});

describe("exceptions and scope", () => {
  const lists = { ...web(2), Pod: two, PodDisruptionBudget: [budgetOf({ minAvailable: 2 })] };
  const except = (until: string) => ({
    preflight: { exceptions: [{ namespace: "shop", name: "web", reason: "frozen for the audit", until }] },
  });
  it("an exception warns until its day is over, with the cause, reason and date", () => {
    const [found] = judge(lists, except("2026-11-20"));
    assert.deepEqual([found?.rule, found?.severity], ["budget-excepted", "warning"]);
    assert.match(
      found?.why ?? "",
      /as many replicas as are wanted.*; accepted until 2026-11-20: frozen for the audit$/,
    );
    assert.equal(judge(lists, except("2026-11-19"))[0]?.severity, "block");
  });
  it("scope pool leaves out budgets of pods that do not move", () => {
    const elsewhere = two.map((pod) => ({ ...pod, spec: { nodeName: "other" } }));
    const pool = { preflight: { scope: "pool" } };
    assert.equal(judge(lists, pool).length, 1);
    assert.equal(judge({ ...lists, Pod: elsewhere }, pool).length, 0);
    assert.equal(judge({ ...lists, Pod: elsewhere }).length, 1);
  });
});

describe("budgets that protect nothing, or overlap", () => {
  const lost = budgetOf({ minAvailable: 1, selector: { matchLabels: { app: "wbe" } } });
  it("a budget whose selector fits nothing", () => {
    const [found, ...others] = judge({ ...web(3), Pod: three, PodDisruptionBudget: [lost] });
    assert.deepEqual(others, []);
    assert.equal(
      sentence(found ?? assert.fail("no finding")),
      "PodDisruptionBudget shop/web: it selects no pod and no workload of its namespace (selector app=wbe), so it protects nothing. To go on: compare its selector with the pods' labels: `kubectl -n shop get pods --show-labels`; if its workload is gone: `kubectl -n shop delete pdb web`",
    );
    assert.equal(found?.severity, "warning");
  });
  it("not said of an operator's own budget, nor of the one for Zalando's critical operations", () => {
    const owned = {
      ...lost,
      metadata: { ...lost.metadata, ownerReferences: [ref("Redis", "r", "redis/v1")] },
    };
    const critical = budgetOf({
      minAvailable: 2,
      selector: { matchLabels: { application: "spilo", "critical-operation": "true" } },
    });
    assert.deepEqual(judge({ PodDisruptionBudget: [owned] }), []);
    assert.deepEqual(judge({ PodDisruptionBudget: [critical] }), []);
  });
  it("two budgets over pods that stay: one warning for the pair", () => {
    const stay = three.map((pod) => ({ ...pod, spec: { nodeName: "other" } }));
    const second = budgetOf({ maxUnavailable: 1 }, { name: "web-old" });
    const lists = { ...web(3), PodDisruptionBudget: [second, budgetOf({ minAvailable: 1 })] };
    const [found, ...others] = judge({ ...lists, Pod: stay });
    assert.deepEqual([found?.rule, found?.severity, others], ["budget-overlaps", "warning", []]);
    assert.match(
      sentence(found ?? assert.fail("no finding")),
      /^PodDisruptionBudget shop\/web: it and PodDisruptionBudget shop\/web-old select the same pods \(pod shop\/web-1, pod shop\/web-2, pod shop\/web-3\); none of them moves now/,
    );
    assert.deepEqual(judge({ ...lists, Pod: three }), [], "of pods that move, several-budgets speaks");
  });
});

describe("any budget", () => {
  const state = fc.constantFrom("ready", "crash", "oom", "pull", "pending", "young", "probe", "leaving");
  const make = (kind: string, index: number): Pod => {
    const name = `web-${index}`;
    if (kind === "crash") return ill(name, crashing);
    if (kind === "oom") return ill(name, oom);
    if (kind === "pull") return ill(name, pull("ErrImagePull", "not found"));
    if (kind === "pending") return pending(name, "Unschedulable", "0/1 nodes are available");
    if (kind === "young") return podOf(name, { ready: false, created: "2026-11-20T11:59:50Z" });
    if (kind === "leaving")
      return podOf(name, {
        metadata: {
          labels: { app: "web" },
          ownerReferences: [ref("ReplicaSet", "web-5d8")],
          deletionTimestamp: "2026-11-20T12:00:10Z",
        },
      });
    return podOf(name, { ready: kind === "ready" });
  };
  const limit = fc.oneof(
    fc.record({
      minAvailable: fc.oneof(
        fc.nat({ max: 6 }),
        fc.integer({ min: 0, max: 100 }).map((it) => `${it}%`),
      ),
    }),
    fc.record({
      maxUnavailable: fc.oneof(
        fc.nat({ max: 6 }),
        fc.integer({ min: 0, max: 100 }).map((it) => `${it}%`),
      ),
    }),
  );
  const policy = fc.constantFrom(undefined, "IfHealthyBudget", "AlwaysAllow");
  it("blocks exactly when it has no room, with exactly one cause; by exception it only warns", () => {
    fc.assert(
      fc.property(
        fc.array(state, { maxLength: 6 }),
        fc.nat({ max: 6 }),
        limit,
        policy,
        (states, replicas, spec, p) => {
          const budget = budgetOf({ ...spec, ...(p === undefined ? {} : { unhealthyPodEvictionPolicy: p }) });
          const lists = withStatus({
            ...web(replicas),
            Pod: states.map(make),
            PodDisruptionBudget: [budget],
          });
          const spent = isSpent(lists.PodDisruptionBudget?.[0] ?? assert.fail());
          const found = judge(lists);
          assert.deepEqual(
            found.map(({ severity }) => severity),
            spent ? ["block"] : [],
          );
          assert.notEqual(found[0]?.rule, "budget-stale");
          const exceptions = [{ namespace: "shop", name: "web", reason: "r", until: "2026-11-20" }];
          const excepted = judge(lists, { preflight: { exceptions } });
          assert.deepEqual(
            excepted.map(({ rule }) => rule),
            spent ? ["budget-excepted"] : [],
          );
        },
      ),
      { numRuns: 500 },
    );
  });
  it("has a proven cause wherever its pods, owner and status are those of one moment", () => {
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 6 }), limit, (states, spec) => {
        const leavers = states.filter((it) => it === "leaving").length;
        const lists = {
          ...web(states.length - leavers),
          Pod: states.map(make),
          PodDisruptionBudget: [budgetOf(spec)],
        };
        for (const { rule } of judge(lists)) assert.notEqual(rule, "budget-spent");
      }),
      { numRuns: 500 },
    );
  });
});
