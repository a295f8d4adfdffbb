import type { Node, Pod, PodDisruptionBudget } from "../../../rollout/cluster/types.ts";
import { LABEL_GENERATION, LABEL_POOL } from "../../../rollout/names.ts";

/** Plain objects for tables: only what a rule looks at. */
export const node = (
  name: string,
  change: Partial<Node> & { labels?: Record<string, string> } = {},
): Node => {
  const { labels, ...rest } = change;
  return {
    metadata: {
      name,
      uid: `uid-${name}`,
      labels: { [LABEL_POOL]: "workers", [LABEL_GENERATION]: "aaaaaaaa", ...labels },
    },
    ...rest,
  };
};

export const pod = (
  name: string,
  change: Partial<Pod> & { owner?: string; labels?: Record<string, string> } = {},
): Pod => {
  const { owner = "ReplicaSet", labels = {}, metadata, ...rest } = change;
  const ownerReferences =
    owner === ""
      ? []
      : [{ apiVersion: "apps/v1", kind: owner, name: "web", uid: "uid-web", controller: true }];
  return {
    metadata: { name, namespace: "shop", uid: `uid-${name}`, labels, ownerReferences, ...metadata },
    status: { phase: "Running" },
    ...rest,
  };
};

export const budget = (
  name: string,
  change: Partial<PodDisruptionBudget> & { labels?: Record<string, string> } = {},
): PodDisruptionBudget => {
  const { labels = {}, ...rest } = change;
  return {
    metadata: { name, namespace: "shop", uid: `uid-${name}`, generation: 1, labels },
    spec: { minAvailable: 2, selector: { matchLabels: { app: "web" } } },
    status: {
      disruptionsAllowed: 0,
      currentHealthy: 2,
      desiredHealthy: 2,
      expectedPods: 3,
      observedGeneration: 1,
    },
    ...rest,
  };
};
