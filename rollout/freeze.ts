import type { Cloud, NodeGroup } from "./cloud/cloud.ts";
import type { Role } from "./ownership.ts";

/** Auto Scaling processes that could launch a node of the old image, or kill one that still serves. */
export const FREEZE_PROCESSES = ["AZRebalance", "Launch", "ReplaceUnhealthy"];

/** The ownership tag of a group: what it was like before PatchGuard changed it. */
export interface GroupOwnership {
  role: Role;
  min: number;
  max: number;
  /** Processes that somebody else had suspended. */
  suspended: string[];
}

/** As a tag value: letters, digits and `=+- ` only. */
export const writeOwnership = (it: GroupOwnership): string =>
  `role=${it.role} min=${it.min} max=${it.max} suspended=${it.suspended.join("+") || "none"}`;

export function readOwnership(text: string | undefined): GroupOwnership | undefined {
  const match = /^role=(blue|green|rolled-back|later) min=(\d+) max=(\d+) suspended=(\S+)$/.exec(text ?? "");
  if (!match) return undefined;
  const [, role, min, max, suspended = "none"] = match;
  return {
    role: role as Role,
    min: Number(min),
    max: Number(max),
    suspended: suspended === "none" ? [] : suspended.split("+"),
  };
}

/** A frozen group launches nothing, whatever an autoscaler or a lost instance asks for. */
export const isFrozen = (group: NodeGroup): boolean =>
  group.scalingGroup === undefined || FREEZE_PROCESSES.every((process) => group.suspended.includes(process));

/**
 * Freezes a group: Launch, AZRebalance and ReplaceUnhealthy suspended, then min = max = desired. What it was like before is
 * recorded on it first. Idempotent; a group that is frozen already is left as it is.
 */
export async function freeze(cloud: Cloud, group: NodeGroup, role: Role): Promise<void> {
  const known = readOwnership(group.ownership);
  if (isFrozen(group) && known?.role === role && fixed(group)) return;
  const before = known ?? { min: group.size.min, max: group.size.max, suspended: group.suspended };
  await cloud.setOwnership(group, writeOwnership({ ...before, role }));
  await cloud.suspend(group, FREEZE_PROCESSES);
  const { desired } = group.size;
  await cloud.resize(group, { min: desired, max: Math.max(desired, 1) });
}

const fixed = ({ size }: NodeGroup): boolean =>
  size.min === size.desired && size.max === Math.max(size.desired, 1);

/** Keeps a group from shrinking: its minimum becomes its size. */
export async function protect(cloud: Cloud, group: NodeGroup): Promise<void> {
  if (group.size.min === group.size.desired) return;
  const before = readOwnership(group.ownership) ?? { ...group.size, suspended: group.suspended };
  await cloud.setOwnership(group, writeOwnership({ ...before, role: "green" }));
  await cloud.resize(group, { min: group.size.desired });
}

/** Puts back what freeze or protect changed; a group without our tag is not touched. Idempotent. @returns whether it did anything. */
export async function thaw(cloud: Cloud, group: NodeGroup): Promise<boolean> {
  const before = readOwnership(group.ownership);
  if (before === undefined) return false;
  const ours = FREEZE_PROCESSES.filter(
    (process) => group.suspended.includes(process) && !before.suspended.includes(process),
  );
  // sizes first: a group that may launch again should do so within the bounds it had
  await cloud.resize(group, {
    min: Math.min(before.min, group.size.desired),
    max: Math.max(before.max, group.size.desired),
  });
  if (before.role !== "green") await cloud.resume(group, ours);
  await cloud.setOwnership(group, undefined);
  return true;
}
