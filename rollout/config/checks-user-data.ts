import type { ClusterConfig } from "./cluster.ts";
import type { Problem } from "./error.ts";
import type { AwsPoolConfig } from "./pool-aws.ts";
import type { Al2023UserData, BottlerocketUserData } from "./pool-common.ts";

/** Placeholders of custom user data (docs/configuration.md explains each). */
export const PLACEHOLDERS = [
  "pool",
  "generation",
  "clusterName",
  "apiServer",
  "certificateAuthority",
  "serviceCidr",
  "labels",
  "taints",
  "maxPods",
] as const;
export type Placeholder = (typeof PLACEHOLDERS)[number];

type Pool = Partial<AwsPoolConfig> & Pick<AwsPoolConfig, "kind">;

/** Which user data goes with which image, cluster and settings. */
export function checkUserData(pool: Pool, path: string, cluster: Partial<ClusterConfig>): Problem[] {
  const { userData } = pool;
  const at = `${path}.userData`;
  if (userData === undefined) {
    const pinsAmi = pool.image !== undefined && "ami" in pool.image;
    // a self-managed pool's schema asks for it by itself
    if (pool.kind === "eks-managed" && pinsAmi)
      return [
        {
          path: at,
          reason:
            "is needed with image.ami: EKS adds nothing of its own to a custom AMI (family: al2023, bottlerocket or custom)",
        },
      ];
    return [];
  }
  const problems: Problem[] = [];
  if (cluster.kind === "kubernetes" && userData.family !== "custom")
    problems.push({
      path: `${at}.family`,
      reason: `${userData.family} joins EKS clusters only; write custom user data for this cluster`,
    });
  if (pool.kind === "eks-managed" && pool.amiType !== undefined)
    problems.push(...checkFamily(pool.amiType, userData.family, at));
  switch (userData.family) {
    case "al2023":
      return [...problems, ...checkAl2023(userData, at, pool)];
    case "bottlerocket":
      return [...problems, ...checkBottlerocket(userData, at, pool)];
    case "custom":
      return [...problems, ...checkCustom(userData.text, at, pool, cluster)];
  }
}

function checkFamily(amiType: string, family: string, at: string): Problem[] {
  const wanted = amiType.startsWith("BOTTLEROCKET") ? "bottlerocket" : "al2023";
  if (family === wanted) return [];
  return [
    { path: `${at}.family`, reason: `must be ${wanted} with amiType ${amiType}: EKS merges it with its own` },
  ];
}

function checkAl2023(userData: Al2023UserData, at: string, pool: Pool): Problem[] {
  const problems: Problem[] = [];
  if (pool.maxPods !== undefined && "maxPods" in userData.kubelet)
    problems.push({
      path: `${at}.kubelet.maxPods`,
      reason: "stands beside the pool's maxPods; leave one out",
    });
  if ("registerWithTaints" in userData.kubelet)
    problems.push({ path: `${at}.kubelet.registerWithTaints`, reason: "is set from the pool's taints" });
  for (const [index, text] of userData.kubeletFlags.entries())
    if (/^--(node-labels|register-with-taints)\b/.test(text))
      problems.push({
        path: `${at}.kubeletFlags[${index}]`,
        reason: "is set from the pool's labels and taints",
      });
  return problems;
}

const BOTTLEROCKET_OURS = ["cluster-name", "api-server", "cluster-certificate", "node-labels", "node-taints"];

function checkBottlerocket(userData: BottlerocketUserData, at: string, pool: Pool): Problem[] {
  const { kubernetes } = userData.settings;
  if (typeof kubernetes !== "object" || Array.isArray(kubernetes)) return [];
  const problems = BOTTLEROCKET_OURS.filter((key) => key in kubernetes).map((key) => ({
    path: `${at}.settings.kubernetes.${key}`,
    reason: "is set by PatchGuard from the cluster, the pool's labels and its taints",
  }));
  if (pool.maxPods !== undefined && "max-pods" in kubernetes)
    problems.push({
      path: `${at}.settings.kubernetes.max-pods`,
      reason: "stands beside the pool's maxPods; leave one out",
    });
  return problems;
}

function checkCustom(text: string, at: string, pool: Pool, cluster: Partial<ClusterConfig>): Problem[] {
  const used = new Set(Array.from(text.matchAll(/\{\{([A-Za-z]+)\}\}/g), (match) => match[1] ?? ""));
  const problems: Problem[] = [];
  const path = `${at}.text`;
  for (const name of used)
    if (!PLACEHOLDERS.some((known) => known === name))
      problems.push({
        path,
        reason: `{{${name}}} is not a placeholder; there are ${PLACEHOLDERS.join(", ")}`,
      });
  if (pool.kind === "self-managed" && !used.has("labels"))
    problems.push({
      path,
      reason: "must hand {{labels}} to the kubelet (--node-labels): without them nodes cannot be told apart",
    });
  if (pool.kind === "self-managed" && (pool.taints?.length ?? 0) > 0 && !used.has("taints"))
    problems.push({
      path,
      reason: "must hand {{taints}} to the kubelet (--register-with-taints), as the pool has taints",
    });
  if (pool.maxPods !== undefined && !used.has("maxPods"))
    problems.push({
      path,
      reason: "does not use {{maxPods}}, so that the pool's maxPods would have no effect",
    });
  if (cluster.kind === "kubernetes")
    for (const name of ["clusterName", "apiServer", "certificateAuthority", "serviceCidr"])
      if (used.has(name)) problems.push({ path, reason: `{{${name}}} is known for EKS clusters only` });
  return problems;
}
