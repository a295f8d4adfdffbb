import type { Alert } from "./alert.ts";

/** Where alerts go. A sink sends one alert, once; the outbox sees to order, deadlines and repetition. */
export interface Sink {
  /** For messages: `Slack`. */
  readonly name: string;
  /** Whether it is told this at all: an incident service has no use for a success. */
  takes(alert: Alert): boolean;
  /** Resolves when the service has it. @throws SinkError when it has not */
  send(alert: Alert, signal: AbortSignal): Promise<void>;
}

/** Why an alert did not arrive. The text holds no secret. */
export class SinkError extends Error {
  override readonly name = "SinkError";
  /** It may arrive when it is sent once more. */
  readonly again: boolean;
  /** How long the service asks to be left alone. */
  readonly retryAfterSeconds: number | undefined;
  constructor(message: string, options: { again: boolean; retryAfterSeconds?: number | undefined }) {
    super(message);
    this.again = options.again;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
