import type { Problem } from "./error.ts";
import type { Taint } from "./pool-common.ts";

/** Prefix of everything that PatchGuard writes on nodes and groups. */
const RESERVED_PREFIX = "patchguard.dev/";

/** Labels of the Kubernetes domains that a kubelet may put on its own node (plugin NodeRestriction). */
const KUBELET_MAY_SET = new Set([
  "kubernetes.io/hostname",
  "kubernetes.io/instance-type",
  "kubernetes.io/os",
  "kubernetes.io/arch",
  "beta.kubernetes.io/instance-type",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/arch",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
]);

function refusedByKubelet(key: string): boolean {
  const prefix = key.includes("/") ? key.slice(0, key.indexOf("/")) : "";
  if (!/(^|\.)(kubernetes|k8s)\.io$/.test(prefix)) return false;
  return !KUBELET_MAY_SET.has(key) && !/(^|\.)(node|kubelet)\.kubernetes\.io$/.test(prefix);
}

export function checkLabels(labels: Record<string, string>, path: string): Problem[] {
  return Object.keys(labels).flatMap((key) => {
    const at = `${path}["${key}"]`;
    if (key.startsWith(RESERVED_PREFIX))
      return [{ path: at, reason: "labels patchguard.dev/* are PatchGuard's own" }];
    if (key.startsWith("eks.amazonaws.com/"))
      return [{ path: at, reason: "labels eks.amazonaws.com/* are set by EKS" }];
    if (refusedByKubelet(key))
      return [
        {
          path: at,
          reason:
            "a kubelet may not set this label of a Kubernetes domain; use a domain of your own, or node.kubernetes.io/",
        },
      ];
    return [];
  });
}

export function checkTaints(taints: Taint[], path: string): Problem[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, index) => {
    const problems: Problem[] = [];
    const id = `${taint.key}:${taint.effect}`;
    if (taint.key.startsWith(RESERVED_PREFIX))
      problems.push({
        path: `${path}[${index}].key`,
        reason: "taints patchguard.dev/* are PatchGuard's own",
      });
    if (seen.has(id)) problems.push({ path: `${path}[${index}]`, reason: `${id} stands here twice` });
    seen.add(id);
    return problems;
  });
}
