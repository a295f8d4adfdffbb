import { rolloutSchema } from "../../../../rollout/config/rollout.ts";
import type {
  Condition,
  ContainerStatus,
  DaemonSet,
  HorizontalPodAutoscaler,
  Kinds,
  OwnerReference,
  Pod,
  PodDisruptionBudget,
  PodSpec,
  ReplicaOwner,
} from "../../../../rollout/cluster/types.ts";
import { FixedPicture, type PictureKind } from "../../../../rollout/picture.ts";
import { budgets } from "../../../../rollout/preflight/budgets.ts";
import { sceneOf } from "../../../../rollout/preflight/question.ts";
import type { Finding } from "../../../../rollout/finding.ts";
import { matches } from "../../../../rollout/selectors.ts";
import { node } from "../builders.ts";

/** A namespace `shop` with a workload, its pods and a budget whose status is worked out as the disruption controller does. */

export const NOW = Date.parse("2026-11-20T12:00:00Z");
export const LONG_AGO = "2026-11-20T09:00:00Z";
const SPACE = "shop";

export type Lists = { [K in PictureKind]?: Kinds[K][] };

export const podOf = (
  name: string,
  change: {
    ready?: boolean;
    labels?: Record<string, string>;
    owner?: OwnerReference | null;
    phase?: string;
    created?: string;
    spec?: PodSpec;
    conditions?: Condition[];
    containers?: ContainerStatus[];
    init?: ContainerStatus[];
    metadata?: Partial<Pod["metadata"]>;
  } = {},
): Pod => {
  const { ready = true, owner = ref("ReplicaSet", "web-5d8"), created = LONG_AGO } = change;
  return {
    metadata: {
      name,
      namespace: SPACE,
      uid: `uid-${name}`,
      labels: { app: "web", ...change.labels },
      creationTimestamp: created,
      ...(owner === null ? {} : { ownerReferences: [owner] }),
      ...change.metadata,
    },
    spec: { nodeName: "n1", ...change.spec },
    status: {
      phase: change.phase ?? "Running",
      startTime: created,
      conditions: [
        { type: "Ready", status: ready ? "True" : "False", lastTransitionTime: "2026-11-20T10:30:00Z" },
        ...(change.conditions ?? []),
      ],
      containerStatuses: change.containers ?? [
        { name: "app", ready, restartCount: 0, state: { running: { startedAt: created } } },
      ],
      ...(change.init === undefined ? {} : { initContainerStatuses: change.init }),
    },
  };
};

export const ref = (kind: string, name: string, apiVersion = "apps/v1"): OwnerReference => ({
  apiVersion,
  kind,
  name,
  uid: `uid-${kind}-${name}`,
  controller: true,
});

export const workload = (
  kind: string,
  name: string,
  replicas: number,
  change: { owner?: OwnerReference; conditions?: Condition[]; metadata?: object; app?: string } = {},
): ReplicaOwner => ({
  metadata: {
    name,
    namespace: SPACE,
    uid: `uid-${kind}-${name}`,
    ...(change.owner === undefined ? {} : { ownerReferences: [change.owner] }),
    ...change.metadata,
  },
  spec: { replicas, template: { metadata: { labels: { app: change.app ?? "web" } } } },
  status: { conditions: change.conditions ?? [] },
});

/** Deployment `web` with its ReplicaSet `web-5d8`. */
export const web = (
  replicas: number,
  change: { conditions?: Condition[]; metadata?: object; setConditions?: Condition[] } = {},
): Lists => ({
  Deployment: [workload("Deployment", "web", replicas, change)],
  ReplicaSet: [
    workload("ReplicaSet", "web-5d8", replicas, {
      owner: ref("Deployment", "web"),
      conditions: change.setConditions ?? [],
    }),
  ],
});

export const hpa = (min: number, max: number, metadata = {}): HorizontalPodAutoscaler => ({
  metadata: { name: "web", namespace: SPACE, uid: "uid-hpa", ...metadata },
  spec: {
    minReplicas: min,
    maxReplicas: max,
    scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
  },
});

export const daemonSet = (name: string): DaemonSet => ({
  metadata: { name, namespace: SPACE, uid: `uid-DaemonSet-${name}` },
});

export const budgetOf = (
  spec: NonNullable<PodDisruptionBudget["spec"]>,
  change: { name?: string; metadata?: object; status?: PodDisruptionBudget["status"] | null } = {},
): PodDisruptionBudget => ({
  metadata: {
    name: change.name ?? "web",
    namespace: SPACE,
    uid: `uid-budget-${change.name ?? "web"}`,
    generation: 1,
    ...change.metadata,
  },
  spec: { selector: { matchLabels: { app: "web" } }, ...spec },
  ...(change.status === undefined || change.status === null ? {} : { status: change.status }),
});

/** The lists with the status of each budget that has none, as k8s.io/kubernetes pkg/controller/disruption works it out. */
export function withStatus(lists: Lists): Lists {
  const pods = lists.Pod ?? [];
  const scale = (pod: Pod): [string, number] | undefined => {
    const owner = pod.metadata.ownerReferences?.[0];
    if (owner === undefined) return undefined;
    const set = lists.ReplicaSet?.find(({ metadata }) => metadata.uid === owner.uid);
    const top = set?.metadata.ownerReferences?.[0] ?? owner;
    const object = [
      ...(lists.Deployment ?? []),
      ...(lists.StatefulSet ?? []),
      ...(lists.ReplicaSet ?? []),
    ].find(({ metadata }) => metadata.uid === top.uid);
    return [top.uid, object?.spec?.replicas ?? set?.spec?.replicas ?? 0];
  };
  return {
    ...lists,
    PodDisruptionBudget: (lists.PodDisruptionBudget ?? []).map((budget) => {
      if (budget.status !== undefined) return budget;
      const selected = pods.filter(({ metadata }) => matches(budget.spec?.selector, metadata.labels));
      const scales = new Map(selected.flatMap((pod) => [scale(pod)].filter((it) => it !== undefined)));
      const sum = [...scales.values()].reduce((a, b) => a + b, 0);
      const { minAvailable, maxUnavailable } = budget.spec ?? {};
      const share = (of: number, value: number | string): number =>
        typeof value === "number" ? value : Math.ceil((Number.parseInt(value, 10) * of) / 100);
      const expectedPods = typeof minAvailable === "number" ? selected.length : sum;
      const desiredHealthy =
        maxUnavailable === undefined
          ? share(sum, minAvailable ?? 0)
          : Math.max(0, sum - share(sum, maxUnavailable));
      const currentHealthy = selected.filter(
        ({ metadata, status }) =>
          metadata.deletionTimestamp === undefined &&
          status?.conditions?.some((it) => it.type === "Ready" && it.status === "True"),
      ).length;
      const disruptionsAllowed = expectedPods === 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy);
      return {
        ...budget,
        status: { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods, observedGeneration: 1 },
      };
    }),
  };
}

/** What pre-flight says about the budgets, with one blue node `n1`. */
export function judge(lists: Lists, config: object = {}): Finding[] {
  const ready = { status: { conditions: [{ type: "Ready", status: "True" }] } };
  return budgets(
    sceneOf({
      picture: new FixedPicture(withStatus({ Node: [node("n1", ready)], ...lists })),
      target: { pool: "workers", generation: "bbbbbbbb", image: { ami: "ami-1" }, groups: [] },
      config: rolloutSchema.parse(config),
      now: NOW,
    }),
  );
}
