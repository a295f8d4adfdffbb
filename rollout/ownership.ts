import { ApiError, type Cluster, type MergePatch } from "./cluster/cluster.ts";
import type { Node, Taint } from "./cluster/types.ts";
import {
  ANNOTATION_CLOSED_BY,
  ANNOTATION_SCALE_DOWN_DISABLED,
  LABEL_EXCLUDE_LB,
  TAINT_HANDOVER,
} from "./names.ts";

/**
 * What PatchGuard may set on a node:
 * `taint` patchguard.dev/handover, `cordon` spec.unschedulable, `exclude-lb` the load balancer exclusion label,
 * `keep` the autoscaler's scale-down-disabled annotation.
 */
export type Mark = "taint" | "cordon" | "exclude-lb" | "keep";

/** Why a node carries our marks: it is blue, it is green and kept, or green was closed by a rollback. */
export type Role = "blue" | "green" | "rolled-back" | "later";

/** The annotation patchguard.dev/closed-by: what we set, and so what we may take away again. */
export interface Ownership {
  pool: string;
  role: Role;
  /** The generation of the handover that set the marks. */
  generation: string;
  marks: Mark[];
}

export type TaintEffect = "NoSchedule" | "PreferNoSchedule";

export function ownershipOf(node: Node): Ownership | undefined {
  const text = node.metadata.annotations?.[ANNOTATION_CLOSED_BY];
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as Partial<Ownership>;
    if (typeof value.pool === "string" && Array.isArray(value.marks)) return value as Ownership;
  } catch {
    // not ours to read: treated as nobody's
  }
  return undefined;
}

export const isCordonedByUs = (node: Node): boolean => ownershipOf(node)?.marks.includes("cordon") ?? false;

export const handoverTaint = (node: Node): Taint | undefined =>
  node.spec?.taints?.find(({ key }) => key === TAINT_HANDOVER);

/**
 * Sets marks on a node and records, in the same write, which of them are ours; what somebody else had set stays theirs.
 * @returns undefined when nothing has to change. Pure.
 */
export function patchToMark(
  node: Node,
  claim: Omit<Ownership, "marks">,
  wanted: { marks: Mark[]; effect?: TaintEffect },
): MergePatch | undefined {
  const owned = new Set(ownershipOf(node)?.marks);
  const before = new Set(owned);
  const metadata: Record<string, unknown> = {};
  const labels: Record<string, string> = {};
  const annotations: Record<string, string> = {};
  const spec: Record<string, unknown> = {};
  let changed = false;

  if (wanted.marks.includes("taint")) {
    const taint = { key: TAINT_HANDOVER, value: claim.generation, effect: wanted.effect ?? "NoSchedule" };
    const old = handoverTaint(node);
    if (old?.effect !== taint.effect || old.value !== taint.value) {
      spec.taints = [...(node.spec?.taints ?? []).filter(({ key }) => key !== TAINT_HANDOVER), taint];
      changed = true;
    }
    owned.add("taint"); // the taint's key is ours alone
  }
  if (wanted.marks.includes("cordon") && node.spec?.unschedulable !== true) {
    spec.unschedulable = true;
    owned.add("cordon");
    changed = true;
  }
  if (wanted.marks.includes("exclude-lb") && node.metadata.labels?.[LABEL_EXCLUDE_LB] === undefined) {
    labels[LABEL_EXCLUDE_LB] = "true";
    owned.add("exclude-lb");
    changed = true;
  }
  if (
    wanted.marks.includes("keep") &&
    node.metadata.annotations?.[ANNOTATION_SCALE_DOWN_DISABLED] === undefined
  ) {
    annotations[ANNOTATION_SCALE_DOWN_DISABLED] = "true";
    owned.add("keep");
    changed = true;
  }
  const ownership = JSON.stringify({ ...claim, marks: [...owned].toSorted() } satisfies Ownership);
  if (
    !changed &&
    owned.size === before.size &&
    node.metadata.annotations?.[ANNOTATION_CLOSED_BY] === ownership
  )
    return undefined;
  annotations[ANNOTATION_CLOSED_BY] = ownership;
  metadata.annotations = annotations;
  if (Object.keys(labels).length > 0) metadata.labels = labels;
  return Object.keys(spec).length > 0 ? { metadata, spec } : { metadata };
}

/** Takes away the marks that are ours, all or the named ones. @returns undefined when there are none. Pure. */
export function patchToUnmark(node: Node, only?: Mark[]): MergePatch | undefined {
  const ownership = ownershipOf(node);
  if (ownership === undefined) {
    // a taint of ours without the annotation (somebody removed that): the key alone says whose it is
    if (handoverTaint(node) === undefined || (only && !only.includes("taint"))) return undefined;
    return { spec: { taints: (node.spec?.taints ?? []).filter(({ key }) => key !== TAINT_HANDOVER) } };
  }
  const take = new Set(ownership.marks.filter((mark) => only === undefined || only.includes(mark)));
  if (take.size === 0 && only !== undefined) return undefined;
  const left = ownership.marks.filter((mark) => !take.has(mark));
  const spec: Record<string, unknown> = {};
  if (take.has("taint")) spec.taints = (node.spec?.taints ?? []).filter(({ key }) => key !== TAINT_HANDOVER);
  if (take.has("cordon")) spec.unschedulable = null;
  return {
    metadata: {
      annotations: {
        [ANNOTATION_CLOSED_BY]: left.length > 0 ? JSON.stringify({ ...ownership, marks: left }) : null,
        ...(take.has("keep") && { [ANNOTATION_SCALE_DOWN_DISABLED]: null }),
      },
      ...(take.has("exclude-lb") && { labels: { [LABEL_EXCLUDE_LB]: null } }),
    },
    ...(Object.keys(spec).length > 0 && { spec }),
  };
}

const ATTEMPTS = 6;

/**
 * Changes a node against its current version: on a conflict it is read again and judged again.
 * @returns the node after the change; undefined when it is gone or nothing had to change.
 */
export async function changeNode(
  cluster: Cluster,
  node: Node,
  patchFor: (current: Node) => MergePatch | undefined,
): Promise<Node | undefined> {
  let current: Node | undefined = node;
  for (let attempt = 1; ; attempt++) {
    const patch = patchFor(current);
    if (patch === undefined) return undefined;
    const metadata = {
      ...(patch.metadata as object | undefined),
      resourceVersion: current.metadata.resourceVersion,
    };
    try {
      return await cluster.patch("Node", node.metadata.name, undefined, { ...patch, metadata });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) return undefined;
      if (error.status !== 409 || attempt === ATTEMPTS) throw error;
    }
    current = await cluster.get("Node", node.metadata.name);
    if (current === undefined) return undefined;
  }
}
