import type { Cloud, NodeGroup, Waiting } from "./cloud/cloud.ts";
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

/** States in which EKS is at work on a group, and may yet write its Auto Scaling group anew. */
const AT_WORK = ["CREATING", "UPDATING"];

/**
 * Freezes a group: Launch, AZRebalance and ReplaceUnhealthy suspended, then min = max = desired. What it was like before is
 * recorded on it first. Idempotent; a group that is frozen already is left as it is.
 */
export async function freeze(cloud: Cloud, group: NodeGroup, role: Role, waiting?: Waiting): Promise<void> {
  const known = readOwnership(group.ownership);
  const atWork = AT_WORK.includes(group.status);
  if (isFrozen(group) && known?.role === role && fixed(group) && !atWork) return;
  const before = known ?? { min: group.size.min, max: group.size.max, suspended: group.suspended };
  await cloud.setOwnership(group, writeOwnership({ ...before, role }), waiting);
  await cloud.suspend(group, FREEZE_PROCESSES, waiting);
  const { desired } = group.size;
  await cloud.resize(group, { min: desired, max: Math.max(desired, 1) }, waiting);
  // the work that the resize has waited out may have made the Auto Scaling group, or set its processes, after the suspension
  if (atWork) await cloud.suspend(group, FREEZE_PROCESSES, waiting);
}

const fixed = ({ size }: NodeGroup): boolean =>
  size.min === size.desired && size.max === Math.max(size.desired, 1);

/** Keeps a group from shrinking: its minimum becomes its size. */
export async function protect(cloud: Cloud, group: NodeGroup, waiting?: Waiting): Promise<void> {
  const known = readOwnership(group.ownership);
  const { min, max, desired } = group.size;
  // a tag of another role was left by a thaw that could not finish: from here on it is green's, and goes with green's protection
  if (min === desired && (known === undefined || known.role === "green")) return;
  const before = known ?? { min, max, suspended: group.suspended };
  await cloud.setOwnership(group, writeOwnership({ ...before, role: "green" }), waiting);
  await cloud.resize(group, { min: desired }, waiting);
}

/** A group that is not as it was: its ownership tag stays, so that the next `up` or `npm run restore` finishes it. */
export class Unfinished extends Error {
  override readonly name = "Unfinished";
}

/**
 * Puts back what freeze or protect changed; a group without our tag is not touched. Idempotent. The tag goes last, and only when
 * everything is as it was: it is the only record of that.
 * @returns whether it did anything.
 * @throws Unfinished when the sizes are not put back yet; the group launches again all the same, within the bounds that it has now.
 */
export async function thaw(cloud: Cloud, group: NodeGroup, waiting?: Waiting): Promise<boolean> {
  const before = readOwnership(group.ownership);
  if (before === undefined || group.status === "DELETING") return false;
  const ours = FREEZE_PROCESSES.filter(
    (process) => group.suspended.includes(process) && !before.suspended.includes(process),
  );
  const sizes = {
    min: Math.min(before.min, group.size.desired),
    max: Math.max(before.max, group.size.desired),
  };
  // sizes first: a group that may launch again should do so within the bounds it had
  const resized = await cloud.resize(group, sizes, waiting);
  if (before.role !== "green") await cloud.resume(group, ours, waiting);
  if (resized !== "done") {
    const wanted = `its sizes (min ${sizes.min}, max ${sizes.max})`;
    throw new Unfinished(
      resized === "accepted"
        ? `${wanted} are on their way back, which was not waited for`
        : `${wanted} are not put back: the cloud changes no sizes while it is ${group.status}`,
    );
  }
  await cloud.setOwnership(group, undefined, waiting);
  return true;
}
