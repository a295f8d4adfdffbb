import { createHash } from "node:crypto";
import type { PoolConfig } from "../rollout/config/index.ts";

/**
 * What a pool's groups are not made of, or what moves nothing: sizes and tags are changed in place, the zone stands in each
 * group's name, `adopt` says where pods come from.
 */
const NO_PART = new Set(["size", "tags", "zones", "adopt"]);

/**
 * The generation: 8 hex digits, a hash of every input of the pool's groups and templates but sizes, tags and the set of zones.
 * Any other change gives new names, hence a green beside the blue and a handover between them.
 *
 * Two configs that say the same give the same generation, whatever the order of their keys. A setting that a later version of
 * PatchGuard brings must be absent or empty by default: absent and empty values do not count, so that an upgrade moves nothing.
 */
export function generationOf(pool: PoolConfig, clusterName: string): string {
  const inputs = Object.fromEntries(Object.entries(pool).filter(([key]) => !NO_PART.has(key)));
  return createHash("sha256")
    .update(canonical({ clusterName, ...inputs }))
    .digest("hex")
    .slice(0, 8);
}

/**
 * JSON with sorted keys, without what is absent. In the pool and in its sections an empty list or map is the same as none; what
 * lies deeper is the user's own and is passed on as it is, so there it counts.
 */
function canonical(value: unknown, depth = 0): string {
  if (Array.isArray(value)) return `[${value.map((part) => canonical(part, depth + 1)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, part]) => part !== undefined && !(depth < 2 && isEmpty(part)))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, part]) => `${JSON.stringify(key)}:${canonical(part, depth + 1)}`);
  return `{${members.join(",")}}`;
}

const isEmpty = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0;

/** Names of a resource: in Pulumi's state, and in the cloud. */
export interface Names {
  logical: string;
  physical: string;
}

/** Limits of the cloud on names. */
const LIMITS = {
  template: 128,
  "eks-managed": 63,
  "self-managed": 255,
  aks: 12,
  role: 64,
  profile: 128,
} as const;

/** The launch template of one generation. Its name is unique in account and region, so the cluster's is part of it. */
export const templateNames = (clusterName: string, pool: string, generation: string): Names => ({
  logical: `${pool}-${generation}`,
  physical: fit(`${clusterName}-${pool}-${generation}`, LIMITS.template),
});

/** The group of one generation in one zone. EKS names are unique in a cluster, those of Auto Scaling groups in account and region. */
export function groupNames(pool: PoolConfig, clusterName: string, generation: string, zone: string): Names {
  const logical = `${pool.name}-${generation}-${zone}`;
  switch (pool.kind) {
    case "eks-managed":
      return { logical, physical: fit(logical, LIMITS["eks-managed"]) };
    case "self-managed":
      return { logical, physical: fit(`${clusterName}-${logical}`, LIMITS["self-managed"]) };
    case "aks":
      // 12 lower-case letters and digits at most: the labels carry the rest
      return {
        logical,
        physical: `${pool.name.replaceAll("-", "").slice(0, 4)}${zone}${generation.slice(0, 6)}`,
      };
  }
}

/** The node role that pools of a cluster share. */
export const roleName = (clusterName: string): string => fit(`${clusterName}-patchguard-nodes`, LIMITS.role);

/** The instance profile that hands a role to self-managed nodes. */
export const profileName = (clusterName: string, role: string): string =>
  fit(`${clusterName}-${role}`, LIMITS.profile);

/** A name within a limit: what is too long is cut, and a hash of the whole keeps it apart from others that begin alike. */
export function fit(name: string, limit: number): string {
  if (name.length <= limit) return name;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 8);
  return `${name.slice(0, limit - 9)}-${hash}`;
}
