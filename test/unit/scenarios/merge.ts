import type { ObjectMeta, PodTemplate } from "../../../rollout/cluster/types.ts";

export type Json = Record<string, unknown>;

export const isMap = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `change` over `base`: maps are merged, lists and values replaced. */
export function merge<T extends object>(base: T, change: object | undefined): T {
  const merged: Json = { ...(base as Json) };
  for (const [key, value] of Object.entries(change ?? {})) {
    const old = merged[key];
    merged[key] = isMap(old) && isMap(value) ? merge(old, value) : value;
  }
  return merged as T;
}

/** A field that a scenario sets to null is not there. */
export function withoutNulls<T>(value: T): T {
  if (Array.isArray(value)) return value.map(withoutNulls) as T;
  if (!isMap(value)) return value;
  const kept = Object.entries(value).filter(([, it]) => it !== null);
  return Object.fromEntries(kept.map(([key, it]) => [key, withoutNulls(it)])) as T;
}

/** One pod of a workload: its node, or what is special about it. */
export type PodEntry = string | ({ node?: string; name?: string; labels?: Record<string, string> } & Json);

/** An object as a scenario writes it. */
export interface Doc {
  kind: string;
  apiVersion?: string;
  metadata: Partial<ObjectMeta> & { name: string };
  spec?: Json;
  status?: Json;
  /** Its controller: `Deployment/web`, or with its API group `postgresql.cnpg.io/v1/Cluster/pg`. */
  ownedBy?: string;
  /** Makes these pods from the template. */
  pods?: PodEntry[];
  /** The template of pods, where the kind keeps none in spec.template. */
  template?: PodTemplate;
}
