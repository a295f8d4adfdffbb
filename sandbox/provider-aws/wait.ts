/** Waiting for the cloud: by condition, with a deadline, given up when the engine asks to stop. */
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 250;

export interface Patience {
  /** Milliseconds since the epoch. */
  deadline: number;
  timeoutSeconds: number;
  signal: AbortSignal;
}

/** Asks `probe` until it answers something other than undefined. */
export async function until<T>(
  what: string,
  patience: Patience,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  for (;;) {
    const answer = await probe();
    if (answer !== undefined) return answer;
    if (patience.signal.aborted)
      throw new Error(`interrupted while waiting until ${what}: run again to resume`);
    if (Date.now() > patience.deadline)
      throw new Error(
        `gave up after ${patience.timeoutSeconds} s waiting until ${what}: look at the object in the cloud, or allow more with customTimeouts`,
      );
    await sleep(POLL_MS, undefined, { signal: patience.signal }).catch((error: unknown) => {
      if (!patience.signal.aborted) throw error;
    });
  }
}
