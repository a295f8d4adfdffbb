import type { Clock } from "../../rollout/clock.ts";

interface Timer {
  at: number;
  /** Order among timers of one instant. */
  order: number;
  fire: () => void;
  /** Who waits: a name, or the place in the code that called `sleep`. */
  who: () => string;
  owner: string;
  cancelled: boolean;
}

/** 2026-01-01T00:00:00Z: any fixed instant will do. */
const START = Date.UTC(2026, 0, 1);
/** Turns of the event loop granted to real I/O (a lazy import) before "nothing to wake" is believed. */
const PATIENCE_TURNS = 20;

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/**
 * Virtual time. Nothing waits for real: `run` lets all that can run do so, then jumps to the next timer. Timers fire one by
 * one, in the order of their time and then of their registration, so that a run repeats exactly.
 */
export class VirtualClock implements Clock {
  private time = START;
  private order = 0;
  private readonly heap: Timer[] = [];
  private readonly dead = new Set<string>();
  private running = false;

  now(): number {
    return this.time;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return this.sleepAs("world", milliseconds, signal);
  }

  /** A sleep whose sleeper is named: to find out who it is costs more than most of them do. */
  doze(milliseconds: number, who: string): Promise<void> {
    return new Promise((resolve) => void this.after(milliseconds, who, resolve));
  }

  /** A clock whose timers can all be stopped with `kill(owner)`: what a killed process slept for never comes. */
  for(owner: string): Clock {
    return {
      now: () => this.time,
      sleep: (milliseconds, signal) => this.sleepAs(owner, milliseconds, signal),
    };
  }

  /** Stops all timers of an owner, those to come included. */
  kill(owner: string): void {
    this.dead.add(owner);
    for (const timer of this.heap) if (timer.owner === owner) timer.cancelled = true;
  }

  /** Calls back after `milliseconds`. @returns the function that cancels it. */
  after(milliseconds: number, who: string, fire: () => void, owner = "world"): () => void {
    const timer = this.add(milliseconds, owner, () => who, fire);
    return () => {
      timer.cancelled = true;
    };
  }

  /**
   * Runs the world until the promise settles, and hands on its outcome.
   * @param limitSeconds virtual seconds from now after which the run counts as runaway.
   * @throws Error that lists who waits: on a deadlock (no timer left that could wake anybody), or past the limit.
   */
  async run<T>(promise: Promise<T>, limitSeconds = 24 * 3600): Promise<T> {
    if (this.running) throw new Error("the virtual clock runs already: do not nest run()");
    this.running = true;
    const limit = this.time + limitSeconds * 1000;
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    try {
      let patience = PATIENCE_TURNS;
      for (;;) {
        await turn();
        if (settled) return await promise;
        const timer = this.pop();
        if (timer === undefined) {
          if (patience-- > 0) continue;
          throw new Error(
            `deadlock at ${this.stamp()}: the run waits, and no timer is left that could wake it`,
          );
        }
        if (timer.at > limit) {
          this.push(timer);
          throw new Error(
            `runaway: not done ${limitSeconds} s of virtual time later (${this.stamp()}).${this.waiters()}`,
          );
        }
        patience = PATIENCE_TURNS;
        this.time = Math.max(this.time, timer.at);
        timer.fire();
      }
    } finally {
      this.running = false;
    }
  }

  /** Lets `seconds` of the world pass. */
  async pass(seconds: number): Promise<void> {
    await this.run(this.sleepAs("world", seconds * 1000));
  }

  /** Who waits for what, soonest first, one line each. */
  waiters(most = 15): string {
    const timers = this.heap.filter(({ cancelled }) => !cancelled).toSorted(before);
    const lines = timers
      .slice(0, most)
      .map(({ at, owner, who }) => `\n  ${owner}: ${who()} in ${(at - this.time) / 1000} s`);
    const more = timers.length > most ? `\n  and ${timers.length - most} more` : "";
    return timers.length > 0 ? ` Waiting:${lines.join("")}${more}` : " Nobody waits on the clock.";
  }

  /** Virtual time since the start, for messages: `+12.345s`. */
  stamp(at = this.time): string {
    return `+${((at - START) / 1000).toFixed(3)}s`;
  }

  private sleepAs(owner: string, milliseconds: number, signal?: AbortSignal): Promise<void> {
    // formatted only when somebody asks: taking a stack is cheap, printing it is not
    const place = new Error("sleep");
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const end = (): void => {
        timer.cancelled = true;
        signal?.removeEventListener("abort", end);
        if (!this.dead.has(owner)) resolve();
      };
      const timer = this.add(milliseconds, owner, () => callerIn(place), end);
      signal?.addEventListener("abort", end, { once: true });
    });
  }

  private add(milliseconds: number, owner: string, who: () => string, fire: () => void): Timer {
    if (!Number.isFinite(milliseconds))
      throw new Error(`a timer of ${owner} for ${milliseconds} ms never fires`);
    const cancelled = this.dead.has(owner);
    const at = this.time + Math.max(0, milliseconds);
    const timer: Timer = { at, order: this.order++, fire, who, owner, cancelled };
    if (!cancelled) this.push(timer);
    return timer;
  }

  private push(timer: Timer): void {
    const { heap } = this;
    heap.push(timer);
    for (let i = heap.length - 1; i > 0;) {
      const parent = (i - 1) >> 1;
      if (before(heap[parent] as Timer, timer) <= 0) break;
      heap[i] = heap[parent] as Timer;
      heap[parent] = timer;
      i = parent;
    }
  }

  /** The next timer that was not cancelled. */
  private pop(): Timer | undefined {
    const { heap } = this;
    for (;;) {
      const first = heap[0];
      if (first === undefined) return undefined;
      const last = heap.pop() as Timer;
      if (heap.length > 0) this.sink(last);
      if (!first.cancelled) return first;
    }
  }

  private sink(timer: Timer): void {
    const { heap } = this;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Timer, heap[child] as Timer) < 0) child++;
      if (before(heap[child] as Timer, timer) >= 0) break;
      heap[i] = heap[child] as Timer;
      i = child;
    }
    heap[i] = timer;
  }
}

const before = (a: Timer, b: Timer): number => a.at - b.at || a.order - b.order;

/** The first place outside this file: `rollout/wait.ts:40 (until)`. */
function callerIn(error: Error): string {
  const lines = (error.stack ?? "").split("\n").slice(1);
  const line = lines.find((it) => !it.includes("simulated/clock.ts")) ?? lines.at(-1) ?? "";
  const match = /at (?:async )?(?:(\S+) \()?.*?([^/]+\/[^/]+):(\d+):\d+\)?$/.exec(line.trim());
  return match ? `sleep at ${match[2] ?? ""}:${match[3] ?? ""}${match[1] ? ` (${match[1]})` : ""}` : "sleep";
}
