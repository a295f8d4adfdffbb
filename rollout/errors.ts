import type { ObjectRef } from "./finding.ts";

/** How a handover can end other than well. The kind decides what is put back (design section 4, step 7). */

/** The cluster could not be asked to change any further in time. Everything closed is reopened; green stays; resumable. */
export class Hold extends Error {
  override readonly name = "Hold";
  /** What is in the way, where it is one object: what the message says in words. */
  readonly about: InTheWay | undefined;
  constructor(message: string, options: ErrorOptions & { about?: InTheWay } = {}) {
    super(message, options);
    this.about = options.about;
  }
}

/** An object that holds a handover up, and where. */
export interface InTheWay {
  object: ObjectRef;
  pod?: string | undefined;
  node?: string | undefined;
  workload?: string | undefined;
  /** Healthy pods that a budget needs and has. */
  needs?: number | undefined;
  has?: number | undefined;
}

/** A health window was breached: rollback. */
export class Breach extends Error {
  override readonly name: string = "Breach";
}

/** An operator wants the handover to end (`npm run abort`): rollback, as after a breach. */
export class Aborted extends Breach {
  override readonly name = "Aborted";
}

/** Pre-flight still blocks at its deadline. Nothing was touched. */
export class Blocked extends Error {
  override readonly name = "Blocked";
}

/** `rollout.maxDuration` was reached at a safe point: finished nodes stay finished, the next `up` goes on. */
export class Paused extends Error {
  override readonly name = "Paused";
}

/** The operator stopped the run (second Ctrl-C): reopen at once, then end. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** The engine died, or the Lease was lost: another run may be at work, so not one more write. */
export class Abandoned extends Error {
  override readonly name = "Abandoned";
}

/** Something is wrong that no waiting mends (wrong context, another holder of the Lease, a guard's refusal). Nothing was changed. */
export class Refused extends Error {
  override readonly name = "Refused";
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
