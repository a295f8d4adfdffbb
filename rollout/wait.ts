import type { Clock } from "./clock.ts";

/** What a wait hangs on: the inventory, or a stand-in for it. */
export interface Wakes {
  onChange(listener: () => void): () => void;
}

export interface WaitOptions {
  clock: Clock;
  signal: AbortSignal;
  wakes: Wakes;
  timeoutSeconds: number;
  /** Called at the deadline; says what was still missing. */
  late: () => Error;
  /** Looks again after this long even without a change (deadlines inside `check`, other people's clocks). */
  lookEverySeconds?: number;
}

/** Nobody reads why a sleep was cut short; without a reason each wake-up would make an exception, stack and all. */
const WOKEN = "woken";

/**
 * Waits until `check` returns something other than undefined, looking again after each change of the cluster.
 * @throws what `late` returns at the deadline; the signal's reason when it aborts; whatever `check` throws.
 */
export async function until<T>(
  options: WaitOptions,
  check: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const { clock, signal, wakes } = options;
  const deadline = clock.now() + options.timeoutSeconds * 1000;
  const look = (options.lookEverySeconds ?? 1) * 1000;
  for (;;) {
    let wake: () => void = () => undefined;
    const changed = new AbortController();
    const unsubscribe = wakes.onChange(() => wake());
    wake = () => changed.abort(WOKEN); // armed before the check: a change during it is not lost
    const stop = (): void => changed.abort(WOKEN);
    signal.addEventListener("abort", stop, { once: true });
    try {
      signal.throwIfAborted();
      const result = await check();
      if (result !== undefined) return result;
      const left = deadline - clock.now();
      if (left <= 0) throw options.late();
      await clock.sleep(Math.min(look, left), changed.signal);
    } finally {
      unsubscribe();
      signal.removeEventListener("abort", stop);
    }
  }
}
