import type { Clock } from "../clock.ts";
import type { RunLog } from "../log.ts";
import type { Alert } from "./alert.ts";
import { type Sink, SinkError } from "./sink.ts";

/** Alerts that wait for one sink; more are lost, the oldest first. */
export const QUEUE_LIMIT = 100;
/** Of a single attempt. Milliseconds. */
const ATTEMPT_MS = 10_000;
/** Between two attempts, doubled each time. Milliseconds. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** A service that asks for more patience than this gets this much. Milliseconds. */
const LONGEST_PATIENCE_MS = 300_000;

export interface OutboxWorld {
  clock: Clock;
  log: RunLog;
}

/**
 * The way to one sink: alerts go one after the other, in the order in which they were posted, so that nothing is resolved before it
 * fires. Whoever posts waits for nothing. What cannot be delivered is one warning line with the reason.
 */
export class Outbox {
  private readonly sink: Sink;
  private readonly clock: Clock;
  private readonly log: RunLog;
  private readonly queue: Alert[] = [];
  private readonly closed = new AbortController();
  private working: Promise<void> | undefined;
  private lastReason = "there was no time for it";

  constructor(sink: Sink, { clock, log }: OutboxWorld) {
    this.sink = sink;
    this.clock = clock;
    this.log = log;
  }

  post(alert: Alert): void {
    if (this.closed.signal.aborted || !this.sink.takes(alert)) return;
    // the first one may be on its way at this moment
    if (this.queue.length >= QUEUE_LIMIT)
      for (const oldest of this.queue.splice(1, 1))
        this.lose(oldest, `more than ${QUEUE_LIMIT} alerts wait for it; ${this.lastReason}`);
    this.queue.push(alert);
    this.working ??= this.work();
  }

  /** Nothing waits any more. */
  async idle(): Promise<void> {
    await this.working;
  }

  /** The end: what is still here is lost, by name. */
  close(): void {
    this.closed.abort();
    for (const alert of this.queue.splice(0)) this.lose(alert, this.lastReason);
  }

  private async work(): Promise<void> {
    const { signal } = this.closed;
    let pause = FIRST_PAUSE_MS;
    for (;;) {
      const [alert] = this.queue;
      if (alert === undefined) break;
      const error = await this.attempt(alert);
      if (signal.aborted) return; // close() has told
      if (error === undefined || !error.again) {
        if (error !== undefined) this.lose(alert, error.message);
        this.queue.shift();
        pause = FIRST_PAUSE_MS;
        continue;
      }
      this.lastReason = error.message;
      const asked = Math.min((error.retryAfterSeconds ?? 0) * 1000, LONGEST_PATIENCE_MS);
      await this.clock.sleep(Math.max(pause, asked), signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
    this.working = undefined; // in one step with the look at the empty queue: nobody posts in between
  }

  /** One try. A sink that heeds no signal is left behind at the deadline all the same. */
  private async attempt(alert: Alert): Promise<SinkError | undefined> {
    const over = new AbortController();
    const done = new AbortController();
    const late = this.clock.sleep(ATTEMPT_MS, AbortSignal.any([done.signal, this.closed.signal])).then(() => {
      over.abort();
      return new SinkError(`no answer within ${ATTEMPT_MS / 1000} s`, { again: true });
    });
    const sent = this.sink.send(alert, over.signal).then(
      () => undefined,
      (error: unknown) =>
        // no text of a library's own making: it could quote what was sent, and where to
        error instanceof SinkError ? error : new SinkError(`unexpected: ${nameOf(error)}`, { again: false }),
    );
    try {
      return await Promise.race([sent, late]);
    } finally {
      done.abort();
    }
  }

  private lose(alert: Alert, reason: string): void {
    const { kind, status, summary, key } = alert;
    this.log.warning(
      "alert-lost",
      `the alert "${kind}, ${status}" did not reach ${this.sink.name}: ${reason}. It said: ${summary}`,
      { sink: this.sink.name, alert: kind, status, key },
    );
  }
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : typeof error);
