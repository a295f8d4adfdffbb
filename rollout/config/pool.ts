import { z } from "zod";
import { aksPool } from "./pool-aks.ts";
import { eksManagedPool, selfManagedPool } from "./pool-aws.ts";

export const POOL_KINDS = ["eks-managed", "self-managed", "aks"] as const;
export type PoolKind = (typeof POOL_KINDS)[number];

export const poolSchemas = {
  "eks-managed": eksManagedPool,
  "self-managed": selfManagedPool,
  aks: aksPool,
} as const;

/** One entry of `patchguard:pools`. */
export const poolSchema = z.discriminatedUnion("kind", [eksManagedPool, selfManagedPool, aksPool], {
  error: (issue) =>
    issue.code === "invalid_union" ? `must be one of ${POOL_KINDS.join(", ")}` : "must be a map",
});

export type PoolConfig = z.output<typeof poolSchema>;
