import type { Clock } from "./clock.ts";

/** Names of the log events: the `event` field of each NDJSON line (docs/reference.md lists them). */
export type LogEvent =
  | "start"
  | "lease"
  | "preflight"
  | "finding"
  | "blocked"
  | "unblocked"
  | "green"
  | "protect"
  | "close"
  | "reopen"
  | "relax"
  | "tighten"
  | "order"
  | "wave"
  | "node-start"
  | "evict"
  | "evict-refused"
  | "pod-gone"
  | "pod-moved"
  | "node-moved"
  | "node-drained"
  | "health"
  | "sources"
  | "foreign"
  | "hold"
  | "rollback"
  | "pause"
  | "control"
  | "interrupt"
  | "verify"
  | "event-lost"
  | "alert-lost"
  | "finish"
  | "evidence"
  | "metrics"
  | "error";

export type Fields = Record<string, unknown>;

/** One line of the run log. */
export interface LogLine {
  time: string;
  event: LogEvent;
  level: "info" | "warning" | "error";
  message: string;
  [field: string]: unknown;
}

/** Where lines go: the terminal of `pulumi up`, the NDJSON file, a test's memory. A sink never throws. */
export type LogSink = (line: LogLine) => void;

/** The run's log: one call, every sink. */
export class RunLog {
  private readonly clock: Clock;
  private readonly sinks: LogSink[];
  constructor(clock: Clock, sinks: LogSink[]) {
    this.clock = clock;
    this.sinks = sinks;
  }
  /** A log that tells this sink, too. */
  also(sink: LogSink): RunLog {
    return new RunLog(this.clock, [...this.sinks, sink]);
  }
  info(event: LogEvent, message: string, fields: Fields = {}): void {
    this.write("info", event, message, fields);
  }
  warning(event: LogEvent, message: string, fields: Fields = {}): void {
    this.write("warning", event, message, fields);
  }
  error(event: LogEvent, message: string, fields: Fields = {}): void {
    this.write("error", event, message, fields);
  }
  private write(level: LogLine["level"], event: LogEvent, message: string, fields: Fields): void {
    const line: LogLine = {
      ...fields,
      time: new Date(this.clock.now()).toISOString(),
      event,
      level,
      message,
    };
    for (const sink of this.sinks) sink(line);
  }
}
