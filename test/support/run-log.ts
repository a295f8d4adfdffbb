/** The NDJSON run logs that the product writes, read from one point in time on: what tests wait for, and count. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./cluster-view.ts";

export interface LogLine {
  event: string;
  message: string;
  time: string;
  node?: string;
  uid?: string;
  pod?: string;
  [field: string]: unknown;
}

export class RunLogs {
  /** For PATCHGUARD_LOG_DIR. */
  readonly folder = mkdtempSync(join(tmpdir(), "patchguard-log-"));
  private readonly skip = new Map<string, number>();

  private files(): [file: string, lines: string[]][] {
    const names = readdirSync(this.folder, { recursive: true, encoding: "utf8" });
    return names
      .filter((name) => name.endsWith(".ndjson"))
      .map((name) => {
        const whole = readFileSync(join(this.folder, name), "utf8").split("\n").slice(0, -1); // a last line may be half
        return [name, whole];
      });
  }

  /** From here on: earlier lines are not shown any more. */
  restart(): void {
    for (const [file, lines] of this.files()) this.skip.set(file, lines.length);
  }

  lines(event?: string): LogLine[] {
    return this.files()
      .flatMap(([file, lines]) => lines.slice(this.skip.get(file) ?? 0))
      .map((line) => JSON.parse(line) as LogLine)
      .filter((line) => event === undefined || line.event === event);
  }

  /** Waits until a line of this kind is there for which `test` holds. */
  saw(event: string, test: (line: LogLine) => boolean = () => true, timeoutSeconds = 180): Promise<LogLine> {
    return eventually(() => this.lines(event).find(test), {
      timeoutSeconds,
      describe: () => {
        const told = this.lines().map((line) => `${line.event}: ${line.message}`);
        return `the run log tells of ${event}; it told:\n${told.slice(-20).join("\n")}`;
      },
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
