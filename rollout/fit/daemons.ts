import type { DaemonSet, Node, Pod, Toleration } from "../cluster/types.ts";
import { controllerOf, type Picture } from "../picture.ts";
import { isFinished } from "../pods.ts";
import { stopAtNode } from "./node-rules.ts";

/** What the DaemonSet controller adds to each of its pods (https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations). */
const TOLERATED: Toleration[] = [
  ["not-ready", "NoExecute"],
  ["unreachable", "NoExecute"],
  ["disk-pressure", "NoSchedule"],
  ["memory-pressure", "NoSchedule"],
  ["pid-pressure", "NoSchedule"],
  ["unschedulable", "NoSchedule"],
].map(([name, effect]) => ({
  key: `node.kubernetes.io/${name}`,
  operator: "Exists",
  ...(effect && { effect }),
}));
const HOST_NETWORK: Toleration = {
  key: "node.kubernetes.io/network-unavailable",
  operator: "Exists",
  effect: "NoSchedule",
};

/** The pods of DaemonSets that will run on a node and do not yet. */
export function daemonPodsOf(node: Node, picture: Picture): Pod[] {
  const there = new Set(picture.podsOn(node.metadata.name).map((pod) => controllerOf(pod)?.uid));
  return picture.all("DaemonSet").flatMap((set) => {
    const pod = there.has(set.metadata.uid) ? undefined : daemonPod(set, picture);
    return pod !== undefined && stopAtNode(pod, node) === undefined ? [pod] : [];
  });
}

/** By the set's template; containers as in a pod that runs, with the requests that admission may have filled in. */
function daemonPod(set: DaemonSet, picture: Picture): Pod | undefined {
  const template = set.spec?.template;
  if (template?.spec === undefined) return undefined;
  const { nodeName: _, ...spec } = template.spec;
  const live = picture.podsOf(set.metadata.uid).find((pod) => !isFinished(pod))?.spec;
  const { containers, initContainers } = live ?? spec;
  return {
    metadata: {
      name: set.metadata.name,
      namespace: set.metadata.namespace ?? "default",
      uid: `${set.metadata.uid}-planned`,
      labels: template.metadata?.labels ?? {},
    },
    spec: {
      ...spec,
      ...(containers && { containers }),
      ...(initContainers && { initContainers }),
      tolerations: [
        ...(spec.tolerations ?? []),
        ...TOLERATED,
        ...(spec.hostNetwork === true ? [HOST_NETWORK] : []),
      ],
    },
  };
}
