import type { BlockedTime, Cause } from "./evidence.ts";

/** What holds somebody up: a cause, and the budget by name where it is one. */
export interface Obstacle {
  cause: Cause;
  namespace?: string | undefined;
  name?: string | undefined;
}

interface Account extends Obstacle {
  waiting: Map<string, number>;
  everyone: Set<string>;
  /** Since when somebody has been waiting. */
  since: number;
  milliseconds: number;
  podMilliseconds: number;
}

const keyOf = ({ cause, namespace, name }: Obstacle): string => `${cause} ${namespace ?? ""}/${name ?? ""}`;

/**
 * Keeps account of who waits for what, and since when. Two pods behind one budget for a minute are one minute of the handover and two
 * of pods. Times are milliseconds of the clock.
 */
export class BlockedTimes {
  private readonly accounts = new Map<string, Account>();
  /** What each waits for now. */
  private readonly of = new Map<string, Account>();

  /** From now on `who` waits for this. */
  begin(who: string, obstacle: Obstacle, now: number): void {
    const key = keyOf(obstacle);
    const account = this.accounts.get(key) ?? {
      ...obstacle,
      waiting: new Map(),
      everyone: new Set(),
      since: 0,
      milliseconds: 0,
      podMilliseconds: 0,
    };
    this.end(who, now);
    this.accounts.set(key, account);
    if (account.waiting.size === 0) account.since = now;
    account.waiting.set(who, now);
    account.everyone.add(who);
    this.of.set(who, account);
  }

  /** `who` waits no longer. */
  end(who: string, now: number): void {
    const account = this.of.get(who);
    if (account === undefined) return;
    this.of.delete(who);
    account.podMilliseconds += now - (account.waiting.get(who) ?? now);
    account.waiting.delete(who);
    if (account.waiting.size === 0) account.milliseconds += now - account.since;
  }

  endAll(now: number): void {
    for (const who of [...this.of.keys()]) this.end(who, now);
  }

  /** The longest first. */
  times(): BlockedTime[] {
    return [...this.accounts.values()]
      .toSorted((a, b) => b.milliseconds - a.milliseconds || keyOf(a).localeCompare(keyOf(b)))
      .map(({ cause, namespace, name, milliseconds, podMilliseconds, everyone }) => ({
        cause,
        ...(namespace !== undefined && { namespace }),
        ...(name !== undefined && { name }),
        seconds: milliseconds / 1000,
        podSeconds: podMilliseconds / 1000,
        pods: everyone.size,
      }));
  }
}
