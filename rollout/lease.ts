import type { Clock } from "./clock.ts";
import { ApiError, type Cluster } from "./cluster/cluster.ts";
import type { Lease } from "./cluster/types.ts";
import { Abandoned, messageOf, Refused } from "./errors.ts";
import type { RunLog } from "./log.ts";
import { ANNOTATION_CONTROL, ANNOTATION_CONTROL_SEEN, LEASE_NAME, STATE_NAMESPACE } from "./names.ts";

/** Who holds, or wants to hold, the Lease: `<stack>/<run id>`. */
export interface Holder {
  stack: string;
  /** Tells this process from an earlier one of the same stack. */
  run: string;
}

export const identity = (holder: Holder): string => `${holder.stack}/${holder.run}`;
export const stackOf = (id: string): string => id.slice(0, id.lastIndexOf("/"));

/** Deadlines of the Lease, in seconds. */
export interface LeaseTimes {
  durationSeconds: number;
  renewSeconds: number;
}

/** Who reads the operators' wishes in the Lease's annotations (controls.ts). */
export interface Inbox {
  /** @returns annotations to write with the renewal; null takes one away */
  read(annotations: Readonly<Record<string, string>>): Record<string, string | null> | undefined;
  /** They are written. */
  answered(): void;
}

/** The cluster's one Lease, held and renewed. */
export interface HeldLease {
  /** @throws Abandoned unless the Lease was renewed within its duration: without it nothing may be evicted or written. */
  assertHeld(): void;
  /** Looks for the operators' wishes now, without waiting for the next renewal: before what cannot be taken back. */
  hear(): Promise<void>;
  /** Ends renewal and gives the Lease back, so that the next run need not wait. Never throws. */
  release(): Promise<void>;
}

/** Is somebody else at work? Only reads (the Gate asks before anything is created). @returns the holder, or undefined. */
export async function otherHolder(
  cluster: Cluster,
  clock: Clock,
  stack: string,
): Promise<string | undefined> {
  const lease = await cluster.get("Lease", LEASE_NAME, STATE_NAMESPACE);
  const id = lease?.spec?.holderIdentity ?? "";
  if (lease === undefined || id === "" || stackOf(id) === stack || expired(lease, clock.now()))
    return undefined;
  return id;
}

export const expired = (lease: Lease, now: number): boolean =>
  Date.parse(lease.spec?.renewTime ?? "") + (lease.spec?.leaseDurationSeconds ?? 0) * 1000 < now;

export const heldBy = (id: string): Refused =>
  new Refused(
    `Lease ${STATE_NAMESPACE}/${LEASE_NAME} is held by ${id}: another handover runs on this cluster. ` +
      `Wait until it has ended, then run \`pulumi up\` again.`,
  );

/**
 * Takes the Lease. A live holder of another stack is an error that names it; an earlier run of our own stack (killed: the
 * engine lets one `up` run at a time) is waited out. As in client-go, a holder counts as dead when its record has not changed
 * for its own duration by *our* clock, so that clocks that differ cannot make two holders.
 * @param lost called once when the Lease is lost.
 */
export async function takeLease(
  cluster: Cluster,
  clock: Clock,
  log: RunLog,
  holder: Holder,
  times: LeaseTimes,
  lost: (reason: Abandoned) => void,
  inbox?: Inbox,
): Promise<HeldLease> {
  let seen = "";
  const began = clock.now();
  let seenAt = began;
  for (;;) {
    const lease = await cluster.get("Lease", LEASE_NAME, STATE_NAMESPACE);
    const id = lease?.spec?.holderIdentity ?? "";
    const record = `${id} ${lease?.spec?.renewTime ?? ""}`;
    if (record !== seen) {
      seen = record;
      seenAt = clock.now();
    }
    const duration = (lease?.spec?.leaseDurationSeconds ?? times.durationSeconds) * 1000;
    const dead = id === "" || clock.now() - seenAt > duration;
    if (lease === undefined || dead) {
      const asked = clock.now();
      if (await write(cluster, clock, holder, times, lease))
        return hold(cluster, clock, log, holder, times, lost, asked, inbox);
      continue;
    }
    const alive = seenAt > began && clock.now() - began > 2 * duration; // it is renewed again and again
    if (alive || (stackOf(id) !== holder.stack && !expired(lease, clock.now()))) throw heldBy(id);
    if (clock.now() === seenAt) {
      log.info(
        "lease",
        `waiting up to ${duration / 1000} s for the Lease of an earlier run (${id}) to run out`,
        { holder: id },
      );
    }
    await clock.sleep(1000);
  }
}

const NO_CONTROLS = { [ANNOTATION_CONTROL]: null, [ANNOTATION_CONTROL_SEEN]: null };

/** @returns false when somebody was faster. */
async function write(
  cluster: Cluster,
  clock: Clock,
  holder: Holder,
  times: LeaseTimes,
  old: Lease | undefined,
): Promise<boolean> {
  const now = new Date(clock.now()).toISOString().replace("Z", "000Z");
  const spec = {
    holderIdentity: identity(holder),
    leaseDurationSeconds: times.durationSeconds,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: (old?.spec?.leaseTransitions ?? 0) + 1,
  };
  try {
    if (old === undefined)
      await cluster.create("Lease", { metadata: { name: LEASE_NAME, namespace: STATE_NAMESPACE }, spec });
    else
      await cluster.patch("Lease", LEASE_NAME, STATE_NAMESPACE, {
        // what was asked of an earlier run is not asked of this one
        metadata: { resourceVersion: old.metadata.resourceVersion, annotations: NO_CONTROLS },
        spec,
      });
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return false;
    throw error;
  }
}

function hold(
  cluster: Cluster,
  clock: Clock,
  log: RunLog,
  holder: Holder,
  times: LeaseTimes,
  lost: (reason: Abandoned) => void,
  asked: number,
  inbox: Inbox | undefined,
): HeldLease {
  const me = identity(holder);
  const ended = new AbortController();
  let renewedAt = asked; // when the last successful renewal was *asked for*: the safe side
  let takenBy: string | undefined;
  const held = (): boolean =>
    takenBy === undefined && !ended.signal.aborted && clock.now() - renewedAt < times.durationSeconds * 1000;
  const reason = (): Abandoned =>
    new Abandoned(
      `Lease ${STATE_NAMESPACE}/${LEASE_NAME} was ${takenBy === undefined ? `not renewed within ${times.durationSeconds} s` : `taken by ${takenBy}`}: ` +
        `PatchGuard stopped at once. Look at the API server's health, then run \`pulumi up\` again; it resumes.`,
    );

  const renew = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      await clock.sleep(times.renewSeconds * 1000, ended.signal);
      if (ended.signal.aborted) return;
      const at = clock.now();
      try {
        const lease = await cluster.get("Lease", LEASE_NAME, STATE_NAMESPACE);
        if (lease?.spec?.holderIdentity !== me) {
          takenBy = lease?.spec?.holderIdentity ?? "nobody (it was deleted)";
          lost(reason());
          return;
        }
        const annotations = inbox?.read(lease.metadata.annotations ?? {});
        await cluster.patch("Lease", LEASE_NAME, STATE_NAMESPACE, {
          metadata: { resourceVersion: lease.metadata.resourceVersion, ...(annotations && { annotations }) },
          spec: { renewTime: new Date(at).toISOString().replace("Z", "000Z") },
        });
        inbox?.answered();
        renewedAt = at;
      } catch (error) {
        log.warning("lease", `Lease ${STATE_NAMESPACE}/${LEASE_NAME} not renewed: ${messageOf(error)}`);
        if (!held()) {
          lost(reason());
          return;
        }
      }
    }
  };
  const renewing = renew();

  return {
    assertHeld() {
      if (!held()) throw reason();
    },
    async hear() {
      try {
        const lease = await cluster.get("Lease", LEASE_NAME, STATE_NAMESPACE);
        // the answer is written by the next renewal, or with the Lease's end
        if (lease?.spec?.holderIdentity === me) inbox?.read(lease.metadata.annotations ?? {});
      } catch (error) {
        log.warning("lease", `Lease ${STATE_NAMESPACE}/${LEASE_NAME} not read: ${messageOf(error)}`);
      }
    },
    async release() {
      ended.abort();
      await renewing; // its write would make ours a conflict, and the next run wait for a Lease that nobody holds
      if (takenBy !== undefined) return;
      try {
        const lease = await cluster.get("Lease", LEASE_NAME, STATE_NAMESPACE);
        if (lease?.spec?.holderIdentity !== me) return;
        await cluster.patch("Lease", LEASE_NAME, STATE_NAMESPACE, {
          metadata: {
            resourceVersion: lease.metadata.resourceVersion,
            annotations: { [ANNOTATION_CONTROL]: null, ...inbox?.read(lease.metadata.annotations ?? {}) },
          },
          spec: { holderIdentity: "" },
        });
      } catch (error) {
        log.warning(
          "lease",
          `Lease ${STATE_NAMESPACE}/${LEASE_NAME} not given back (it runs out by itself): ${messageOf(error)}`,
        );
      }
    },
  };
}
