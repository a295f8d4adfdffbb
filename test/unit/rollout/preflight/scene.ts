import type { Kinds, Node, OwnerReference, Pod } from "../../../../rollout/cluster/types.ts";
import { rolloutSchema } from "../../../../rollout/config/rollout.ts";
import { sentence } from "../../../../rollout/finding.ts";
import { FixedPicture, type PictureKind, type Unread } from "../../../../rollout/picture.ts";
import { type Question, type Rule, sceneOf } from "../../../../rollout/preflight/question.ts";
import type { GreenSpec } from "../../../../rollout/targets.ts";

export const NOW = Date.parse("2026-11-20T12:00:00Z");
export const SINCE = "2026-11-20T09:00:00Z";

export type Lists = { [K in PictureKind]?: Kinds[K][] };

const READY = [{ type: "Ready", status: "True" }];

/** A node of the blue generation in us-east-1a; with `pool: null` one that is none of ours. */
export const nodeOf = (
  name: string,
  change: {
    pool?: string | null;
    generation?: string;
    zone?: string;
    labels?: Record<string, string>;
    ready?: string;
    kubelet?: string;
    os?: string;
    spec?: Node["spec"];
  } = {},
): Node => ({
  metadata: {
    name,
    uid: `uid-${name}`,
    labels: {
      ...(change.pool === null
        ? {}
        : { "patchguard.dev/pool": "workers", "patchguard.dev/generation": change.generation ?? "aaaaaaaa" }),
      "kubernetes.io/arch": "amd64",
      "kubernetes.io/hostname": name,
      "topology.kubernetes.io/zone": change.zone ?? "us-east-1a",
      ...change.labels,
    },
  },
  spec: change.spec ?? {},
  status: {
    conditions: change.ready === undefined ? READY : [{ type: "Ready", status: change.ready }],
    nodeInfo: { kubeletVersion: change.kubelet ?? "v1.34.1", osImage: change.os ?? "Amazon Linux 2023.9" },
  },
});

export const refTo = (kind: string, name: string, apiVersion = "apps/v1"): OwnerReference => ({
  apiVersion,
  kind,
  name,
  uid: `uid-${kind}-${name}`,
  controller: true,
});

/** A Ready pod of ReplicaSet shop/web-5d8 on node n1. */
export const podOf = (
  name: string,
  change: {
    node?: string;
    ready?: boolean;
    owner?: OwnerReference | null;
    labels?: Record<string, string>;
    spec?: Pod["spec"];
    status?: Pod["status"];
    metadata?: Partial<Pod["metadata"]>;
  } = {},
): Pod => ({
  metadata: {
    name,
    namespace: "shop",
    uid: `uid-${name}`,
    labels: { app: "web", ...change.labels },
    creationTimestamp: SINCE,
    ...(change.owner === null ? {} : { ownerReferences: [change.owner ?? refTo("ReplicaSet", "web-5d8")] }),
    ...change.metadata,
  },
  spec: { nodeName: change.node ?? "n1", ...change.spec },
  status: change.status ?? {
    phase: "Running",
    conditions: [{ type: "Ready", status: (change.ready ?? true) ? "True" : "False" }],
  },
});

export const named = (kind: string, name: string, namespace = "shop"): Kinds["ConfigMap"]["metadata"] => ({
  name,
  namespace,
  uid: `uid-${kind}-${name}`,
  creationTimestamp: SINCE,
});

export const GREEN: GreenSpec = {
  kind: "eks-managed",
  instanceTypes: ["m7i.xlarge"],
  capacityType: "ON_DEMAND",
  labels: {},
  taints: [],
  zones: [{ zone: "us-east-1a", subnet: "subnet-a", min: 1, max: 5 }],
};

export interface Asked extends Partial<Omit<Question, "config" | "picture">> {
  config?: object;
  unread?: Unread[];
  serverVersion?: string;
}

/** What a rule says, as sentences with the rule's name before them. One blue node `n1` unless the lists have others. */
export function says(
  rule: Rule,
  lists: Lists,
  { config = {}, unread = [], serverVersion, ...asked }: Asked = {},
): string[] {
  const picture = new FixedPicture({ Node: [nodeOf("n1")], ...lists }, unread, serverVersion);
  const target = { pool: "workers", generation: "bbbbbbbb", image: { ami: "ami-1" }, groups: [] };
  return rule(
    sceneOf({ picture, target, now: NOW, green: GREEN, ...asked, config: rolloutSchema.parse(config) }),
  ).map((found) => `${found.severity} ${found.rule}: ${sentence(found)}`);
}
