/** A job that is run again and again, one run at a time. */

import { log } from "./log.ts";

/**
 * Runs `job` every `intervalMs` and, when it is poked, soon after (pokes within `settleMs` count as one).
 * An error is logged (once while it stays the same) and the next run tries again: every job here is level-triggered.
 */
export function repeat(
  name: string,
  intervalMs: number,
  job: () => Promise<void>,
  settleMs = 30,
): { poke: () => void; stop: () => void } {
  let running = false;
  let again = false;
  let stopped = false;
  let lastError = "";
  let timer: NodeJS.Timeout | undefined;
  const arm = (ms: number): void => {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(() => void run(), ms);
  };
  const run = async (): Promise<void> => {
    running = true;
    again = false;
    try {
      await job();
      lastError = "";
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (text !== lastError) log(`${name}: ${error instanceof Error ? (error.stack ?? text) : text}`);
      lastError = text;
    }
    running = false;
    arm(again ? settleMs : intervalMs);
  };
  arm(0);
  return {
    poke: () => {
      if (running) again = true;
      else if (!again) {
        again = true;
        arm(settleMs);
      }
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
