import type { Node } from "./cluster/types.ts";
import { LABEL_GENERATION, LABEL_POOL } from "./names.ts";
import { matches } from "./selectors.ts";

/** The image that a pool is pinned to. */
export type ImagePin =
  { ami: string } | { releaseVersion: string } | { snapshot: string } | { nodeImageVersion: string };

/** What a Gate and a Handover work towards: this pool on this generation. All of it is plain data (it stands in Pulumi's state). */
export interface Target {
  pool: string;
  generation: string;
  image: ImagePin;
  /** Green's groups, as declared. */
  groups: { kind: "eks-managed" | "self-managed"; name: string; zone: string }[];
  /** Labels of older nodes, not made by PatchGuard, to hand over from. */
  adopt?: Record<string, string> | undefined;
}

/** A node of the generation that the config asks for. */
export const isGreen = (target: Target, node: Node): boolean =>
  node.metadata.labels?.[LABEL_POOL] === target.pool &&
  node.metadata.labels[LABEL_GENERATION] === target.generation;

/** A node of the pool with any other generation, or one that the pool adopts. */
export function isBlue(target: Target, node: Node): boolean {
  const pool = node.metadata.labels?.[LABEL_POOL];
  if (pool === target.pool) return node.metadata.labels?.[LABEL_GENERATION] !== target.generation;
  if (pool !== undefined || target.adopt === undefined) return false;
  return matches({ matchLabels: target.adopt }, node.metadata.labels);
}

/** Instance id of an AWS node (`aws:///us-east-1a/i-0123` → `i-0123`); undefined where the node has none. */
export const instanceId = (node: Node): string | undefined =>
  /^aws:\/\/\/[^/]+\/(i-[0-9a-f]+)$/.exec(node.spec?.providerID ?? "")?.[1];

export const zoneOf = (node: Node): string => node.metadata.labels?.["topology.kubernetes.io/zone"] ?? "";

export const isReady = (node: Node): boolean =>
  (node.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");

/** The pin in words: `AMI ami-0123`, `release 1.34.1-20261001`. */
export function imageText(image: ImagePin): string {
  if ("ami" in image) return `AMI ${image.ami}`;
  if ("releaseVersion" in image) return `release ${image.releaseVersion}`;
  if ("snapshot" in image) return `snapshot ${image.snapshot}`;
  return `node image ${image.nodeImageVersion}`;
}
