/** No eviction without the Lease, and nobody takes it from a living holder (section 4, step 1 of the design). */
import type { Actor, ObjectSeen, Violation } from "../observation.ts";
import { UNKNOWN } from "../observation.ts";
import type { Lease } from "../objects.ts";
import { keyOf } from "../objects.ts";
import type { WatchState } from "../state.ts";
import { writersOf } from "./requests.ts";
import { violation } from "./violation.ts";

/** The stream's own inaccuracy. */
const SLACK_MS = 1000;

const expiresAt = (lease: Lease): number =>
  Date.parse(lease.spec?.renewTime ?? "1970-01-01T00:00:00Z") +
  (lease.spec?.leaseDurationSeconds ?? 0) * 1000;

export function onLease(state: WatchState, event: ObjectSeen, lease: Lease): Violation[] {
  const before = state.lease;
  if (event.change === "DELETED") delete state.lease;
  else state.lease = lease;
  const holder = before?.spec?.holderIdentity ?? "";
  const next = lease.spec?.holderIdentity ?? "";
  const stolen =
    holder !== "" && next !== "" && next !== holder && event.at < expiresAt(before as Lease) - SLACK_MS;
  if (!stolen) return [];
  const who = writersOf(state, "leases", lease.metadata, event.at - 3000).at(-1) ?? UNKNOWN;
  return [
    violation("lease", `lease ${keyOf(lease)}`, event.at, who, `${next} took it while ${holder} held it`),
  ];
}

export function judgeLease(state: WatchState, object: string, who: Actor, at: number): Violation[] {
  if (!state.requireLease) return [];
  const lease = state.lease;
  if (lease === undefined || (lease.spec?.holderIdentity ?? "") === "") {
    return [violation("lease", object, at, who, "evicted while nobody held the lease")];
  }
  const late = at - expiresAt(lease);
  if (late <= SLACK_MS) return [];
  return [
    violation("lease", object, at, who, `evicted ${Math.round(late / 1000)} s after the lease ran out`),
  ];
}
