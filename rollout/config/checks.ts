import { checkAwsPool } from "./checks-aws.ts";
import { checkLabels, checkTaints } from "./checks-labels.ts";
import type { ClusterConfig } from "./cluster.ts";
import type { DestroyConfig } from "./destroy.ts";
import type { Problem } from "./error.ts";
import type { PoolConfig, PoolKind } from "./pool.ts";
import { METRICS_API_FLOOR_SECONDS } from "./health.ts";
import type { RolloutConfig } from "./rollout.ts";

/**
 * What the parts of a config say to one another. Everything comes in as far as it could be read: a field that is wrong in
 * itself is missing here, and already reported, so that one run finds all mistakes and none twice.
 */
export interface Readable {
  cluster: Partial<ClusterConfig>;
  /** Pools whose kind could be read, with their place in the list. */
  pools: { path: string; pool: Partial<PoolConfig> & Pick<PoolConfig, "kind"> }[];
  rollout: Partial<RolloutConfig>;
  destroy: Partial<DestroyConfig> | undefined;
}

export function checkTogether({ cluster, pools, rollout, destroy }: Readable): Problem[] {
  return [
    ...pools.flatMap(({ pool, path }) => checkPool(pool, path, cluster)),
    ...checkNames(pools),
    ...checkRollout(rollout),
    ...checkDestroy(destroy, cluster),
  ];
}

const FITTING_IMAGES: Record<PoolKind, string[]> = {
  "eks-managed": ["ami", "releaseVersion"],
  "self-managed": ["ami"],
  aks: ["snapshot", "nodeImageVersion"],
};

const FITTING_POOLS: Record<ClusterConfig["kind"], PoolKind[]> = {
  eks: ["eks-managed", "self-managed"],
  kubernetes: ["self-managed"],
  aks: ["aks"],
};

function checkPool(
  pool: Readable["pools"][number]["pool"],
  path: string,
  cluster: Partial<ClusterConfig>,
): Problem[] {
  const problems: Problem[] = [];
  if (cluster.kind !== undefined && !FITTING_POOLS[cluster.kind].includes(pool.kind))
    problems.push({
      path: `${path}.kind`,
      reason: `a cluster of kind ${cluster.kind} has pools of kind ${FITTING_POOLS[cluster.kind].join(" or ")}`,
    });
  else if (pool.kind === "aks")
    problems.push({
      path: `${path}.kind`,
      reason: "aks pools come with a later issue; this version handles eks-managed and self-managed",
    });
  problems.push(...checkImage(pool, path));
  if (pool.size !== undefined) {
    const { min, max, desired } = pool.size;
    if (min > max)
      problems.push({ path: `${path}.size.min`, reason: `is ${min}, more than size.max ${max}` });
    if (desired !== undefined && desired < min)
      problems.push({ path: `${path}.size.desired`, reason: `is ${desired}, less than size.min ${min}` });
    if (desired !== undefined && desired > max)
      problems.push({ path: `${path}.size.desired`, reason: `is ${desired}, more than size.max ${max}` });
  }
  if (pool.zones !== undefined && Object.keys(pool.zones).length === 0)
    problems.push({ path: `${path}.zones`, reason: "must name at least one zone" });
  problems.push(
    ...checkLabels(pool.labels ?? {}, `${path}.labels`),
    ...checkTaints(pool.taints ?? [], `${path}.taints`),
  );
  problems.push(...checkAdopt(pool, path));
  if (pool.kind !== "aks") problems.push(...checkAwsPool(pool, path, cluster));
  return problems;
}

function checkImage({ kind, image }: Readable["pools"][number]["pool"], path: string): Problem[] {
  if (image === undefined) return [];
  const keys = Object.keys(image);
  const fitting = FITTING_IMAGES[kind];
  if (keys.length !== 1)
    return [
      {
        path: `${path}.image`,
        reason: `must pin exactly one of ${fitting.join(", ")}${keys.length > 1 ? `; it has ${keys.join(" and ")}` : ""}`,
      },
    ];
  return keys
    .filter((key) => !fitting.includes(key))
    .map((key) => ({
      path: `${path}.image.${key}`,
      reason: `does not fit a pool of kind ${kind}, which takes ${fitting.join(" or ")}`,
    }));
}

function checkAdopt({ adopt }: Readable["pools"][number]["pool"], path: string): Problem[] {
  if (adopt === undefined) return [];
  const keys = Object.keys(adopt.matchLabels);
  const at = `${path}.adopt.matchLabels`;
  if (keys.length === 0)
    return [
      {
        path: at,
        reason: "must name at least one label: without one every node of the cluster would be taken over",
      },
    ];
  return keys
    .filter((key) => key.startsWith("patchguard.dev/"))
    .map((key) => ({
      path: `${at}["${key}"]`,
      reason: "nodes of PatchGuard's own are taken over without adopt",
    }));
}

function checkNames(pools: Readable["pools"]): Problem[] {
  const problems: Problem[] = [];
  const names = new Map<string, string>();
  const adopted = new Map<string, string>();
  for (const { pool, path } of pools) {
    const other = pool.name === undefined ? undefined : names.get(pool.name);
    if (other !== undefined)
      problems.push({
        path: `${path}.name`,
        reason: `"${pool.name ?? ""}" is the name of ${other}, too; pool names are unique`,
      });
    else if (pool.name !== undefined) names.set(pool.name, path);
    if (pool.adopt === undefined) continue;
    const selector = JSON.stringify(Object.entries(pool.adopt.matchLabels).sort());
    const adopter = adopted.get(selector);
    if (adopter !== undefined)
      problems.push({ path: `${path}.adopt.matchLabels`, reason: `${adopter} takes over the same nodes` });
    adopted.set(selector, path);
  }
  return problems;
}

function checkRollout({ health, lease, preflight }: Partial<RolloutConfig>): Problem[] {
  const problems: Problem[] = health === undefined ? [] : checkHealth(health);
  if (lease !== undefined && lease.renewSeconds * 2 > lease.durationSeconds)
    problems.push({
      path: "patchguard:rollout.lease.renewSeconds",
      reason: `is ${lease.renewSeconds}; one missed renewal would lose the Lease: at most half of durationSeconds (${lease.durationSeconds})`,
    });
  for (const field of ["byDesign", "exceptions"] as const) {
    const ids = (preflight?.[field] ?? []).map(({ namespace, name }) => `${namespace}/${name}`);
    for (const [index, id] of ids.entries())
      if (ids.indexOf(id) !== index)
        problems.push({
          path: `patchguard:rollout.preflight.${field}[${index}]`,
          reason: `${id} stands here twice`,
        });
  }
  return problems;
}

/** Shorter windows than a source can answer for, and names that stand for two metrics. */
function checkHealth({ windowSeconds, ...health }: RolloutConfig["health"]): Problem[] {
  const problems: Problem[] = [];
  const at = "patchguard:rollout.health";
  const floor = (path: string, seconds: number, why: string): void => {
    if (windowSeconds > 0 && windowSeconds < seconds)
      problems.push({
        path: `${at}.windowSeconds`,
        reason: `is ${windowSeconds}, and ${path} cannot answer for less than ${seconds} s: ${why}`,
      });
  };
  if (health.metricsApi === "required")
    floor("metricsApi", METRICS_API_FLOOR_SECONDS, "metrics-server and the kubelets measure every 15 s");
  if (health.datadog) floor("datadog", health.datadog.resolutionSeconds, "its steps are that long");
  problems.push(...checkProbes({ windowSeconds, ...health }, `${at}.probes`));
  const known = new Map<string, string>();
  for (const source of ["prometheus", "datadog", "newRelic"] as const) {
    for (const [index, { name }] of (health[source]?.metrics ?? []).entries()) {
      const path = `${at}.${source}.metrics[${index}].name`;
      const other = known.get(name);
      if (other !== undefined)
        problems.push({
          path,
          reason: `"${name}" stands in ${other}, too: every metric has a name of its own`,
        });
      known.set(name, path);
    }
  }
  return problems;
}

/** Probes that outlast their sample or whose every failure is borne, and names that stand for two. */
function checkProbes(
  { windowSeconds, sampleSeconds, probes }: RolloutConfig["health"],
  at: string,
): Problem[] {
  if (windowSeconds === 0) return [];
  const interval = Math.min(sampleSeconds, windowSeconds);
  const planned = Math.floor(windowSeconds / interval);
  const problems: Problem[] = [];
  for (const [index, { name, timeoutSeconds, failureLimit }] of probes.entries()) {
    const wrong = (field: string, reason: string): void =>
      void problems.push({ path: `${at}[${index}].${field}`, reason });
    const first = probes.findIndex((it) => it.name === name);
    if (first !== index) wrong("name", `"${name}" stands in ${at}[${first}].name, too`);
    if (timeoutSeconds !== undefined && timeoutSeconds >= interval)
      wrong(
        "timeoutSeconds",
        `is ${timeoutSeconds}, and a probe is made every ${interval} s (sampleSeconds): it must be less`,
      );
    if (failureLimit !== undefined && failureLimit >= planned)
      wrong("failureLimit", `is ${failureLimit}, and a window has ${planned} probes: all of them might fail`);
  }
  return problems;
}

function checkDestroy(destroy: Readable["destroy"], cluster: Partial<ClusterConfig>): Problem[] {
  if (destroy?.consent === undefined || cluster.name === undefined || destroy.consent === cluster.name)
    return [];
  return [
    {
      path: "patchguard:destroy.consent",
      reason: `is "${destroy.consent}", but the cluster of this stack is "${cluster.name}"`,
    },
  ];
}
