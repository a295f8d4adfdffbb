import type { InstanceType } from "../../../../rollout/cloud/facts.ts";
import type {
  DaemonSet,
  Node,
  Pod,
  PodSpec,
  Resources,
  TopologySpreadConstraint,
} from "../../../../rollout/cluster/types.ts";
import { rolloutSchema } from "../../../../rollout/config/rollout.ts";
import { LABEL_GENERATION, LABEL_POOL } from "../../../../rollout/names.ts";
import { FixedPicture, type Unread } from "../../../../rollout/picture.ts";
import { type Scene, sceneOf } from "../../../../rollout/preflight/question.ts";
import type { GreenSpec } from "../../../../rollout/targets.ts";
import { type Lists, nodeAt, on, podWith } from "./world.ts";

/** A pool `workers` with blue nodes, and what green will be. */

export const ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"];
export const TYPE = "m7i.xlarge";

export const READY: Node["status"] = { conditions: [{ type: "Ready", status: "True" }] };

export function blueNode(
  name: string,
  zone = "us-east-1a",
  change: { labels?: Record<string, string>; allocatable?: Record<string, string> } = {},
): Node {
  const node = nodeAt(name, {
    zone,
    labels: {
      [LABEL_POOL]: "workers",
      [LABEL_GENERATION]: "aaaaaaaa",
      "node.kubernetes.io/instance-type": TYPE,
      ...change.labels,
    },
    allocatable: change.allocatable ?? {},
  });
  return { ...node, status: { ...READY, ...node.status } };
}

export const otherNode = (name: string, change: Parameters<typeof nodeAt>[1] = {}): Node => {
  const node = nodeAt(name, change);
  return { ...node, status: { ...READY, ...node.status } };
};

/** A pod of a Deployment (its ReplicaSet is `<app>-1`). */
export const podOf = (
  app: string,
  number: number,
  node: string,
  spec: PodSpec & { requests?: Resources["requests"] } = {},
): Pod => {
  const pod = podWith(`${app}-1-${number}`, spec, {
    labels: { app },
    ownerReferences: [
      { apiVersion: "apps/v1", kind: "ReplicaSet", name: `${app}-1`, uid: `rs-${app}`, controller: true },
    ],
  });
  return { ...on(node, pod), status: { phase: "Running" } };
};

/** The ReplicaSets and Deployments of these pods. */
export function ownersOf(pods: readonly Pod[]): Lists {
  const apps = [...new Set(pods.map(({ metadata }) => metadata.labels?.["app"] ?? ""))];
  const meta = (name: string, uid: string) => ({ name, namespace: "shop", uid });
  return {
    ReplicaSet: apps.map((app) => ({
      metadata: {
        ...meta(`${app}-1`, `rs-${app}`),
        ownerReferences: [
          { apiVersion: "apps/v1", kind: "Deployment", name: app, uid: `d-${app}`, controller: true },
        ],
      },
    })),
    Deployment: apps.map((app) => ({ metadata: meta(app, `d-${app}`) })),
  };
}

export const GREEN: GreenSpec = {
  kind: "eks-managed",
  instanceTypes: [TYPE],
  capacityType: "ON_DEMAND",
  labels: { [LABEL_POOL]: "workers", [LABEL_GENERATION]: "bbbbbbbb" },
  taints: [],
  zones: ZONES.map((zone) => ({ zone, subnet: `subnet-${zone}`, min: 0, max: 5 })),
};

export const sceneWith = (
  lists: Lists,
  change: {
    green?: Partial<GreenSpec> | null;
    types?: Record<string, InstanceType>;
    config?: object;
    unread?: Unread[];
  } = {},
): Scene =>
  sceneOf({
    picture: new FixedPicture({ ...ownersOf(lists.Pod ?? []), ...lists }, change.unread),
    target: {
      pool: "workers",
      generation: "bbbbbbbb",
      image: { ami: "ami-1" },
      groups: ZONES.map((zone) => ({ kind: "eks-managed", name: `workers-${zone}`, zone })),
    },
    config: rolloutSchema.parse(change.config ?? {}),
    now: 0,
    green: change.green === null ? undefined : { ...GREEN, ...change.green },
    ...(change.types === undefined
      ? {}
      : { cloud: { notAsked: [], instanceTypes: new Map(Object.entries(change.types)) } }),
  });

export const hostSpread = (app: string, change: Partial<TopologySpreadConstraint> = {}): PodSpec => ({
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: "kubernetes.io/hostname",
      whenUnsatisfiable: "DoNotSchedule",
      labelSelector: { matchLabels: { app } },
      ...change,
    },
  ],
});

export const daemons = (name: string, spec: PodSpec & { requests?: Resources["requests"] }): DaemonSet => ({
  metadata: { name, namespace: "kube-system", uid: `ds-${name}` },
  spec: { template: { metadata: { labels: { app: name } }, spec: podWith(name, spec).spec ?? {} } },
});
