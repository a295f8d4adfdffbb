import { runCommand } from "../../../command.ts";
import { SourceError } from "../../metric.ts";
import type { Probe } from "./probe.ts";

/** Exit code 0 is well. */
export function commandProbe(command: readonly string[]): Probe {
  return async (signal) => {
    const { code, signal: by, lastLine } = await runCommand(command, signal).catch(notStarted(command));
    if (code === 0) return undefined;
    if (signal.aborted) return lastLine;
    const how = code === undefined ? `it was ended by ${by}` : `exit code ${code}`;
    return lastLine === "" ? how : `${how}: ${lastLine}`;
  };
}

const WORDS: Record<string, string> = {
  ENOENT: "it is not there",
  EACCES: "it may not be executed",
};

/** Nothing is known then, and nothing will be until somebody acts; a machine that is short of processes may recover. */
const notStarted =
  ([program]: readonly string[]) =>
  (error: unknown): never => {
    const { code = "", message } = error as NodeJS.ErrnoException;
    const words = WORDS[code] === undefined ? message : `${WORDS[code]} (${code})`;
    throw new SourceError(`command ${program} cannot be started: ${words}`, {
      passing: ["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"].includes(code),
    });
  };
