import { spawn } from "node:child_process";
import { masked, maskedLine } from "./masked.ts";

/** How a program of the user's ended. */
export interface CommandEnd {
  /** Exit code; undefined where a signal ended it. */
  code: number | undefined;
  signal: NodeJS.Signals | undefined;
  /** The last line that it wrote, to either output; no value of a secret in the environment is in it. */
  lastLine: string;
}

/** So much of what a program writes is kept: the end. Characters. */
const KEPT = 8192;
/** What is left behind in the background may hold the outputs open: it is not waited for longer. Milliseconds. */
const LEFT_BEHIND_MS = 200;

/** Process groups under way: none outlives this process if it ends by itself. */
const groups = new Set<number>();
let guarded = false;

/**
 * Runs a program without a shell, in a process group of its own, with this process' environment and folder and no input. The group is
 * killed when `signal` aborts, and what it leaves in the background when it ends.
 * @throws Error with a code (ENOENT, EACCES) where it cannot be started; never for how it ended
 */
export function runCommand(command: readonly string[], signal: AbortSignal): Promise<CommandEnd> {
  const [program = "", ...args] = command;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve({ code: undefined, signal: "SIGKILL", lastLine: "" });
    const child = spawn(program, args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const { pid } = child;
    const kill = (): void => killGroup(pid);
    if (pid !== undefined) guard(pid);
    signal.addEventListener("abort", kill, { once: true });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (output = (output + text).slice(-KEPT)));
    let leftBehind: NodeJS.Timeout | undefined;
    child.on("exit", () => {
      leftBehind = setTimeout(() => {
        kill();
        child.stdout.destroy();
        child.stderr.destroy();
      }, LEFT_BEHIND_MS);
    });
    const done = (): void => {
      clearTimeout(leftBehind);
      signal.removeEventListener("abort", kill);
      if (pid !== undefined) groups.delete(pid);
    };
    child.on("error", (error) => {
      if (pid !== undefined) return; // a signal that could not be sent: it ends by itself
      done();
      reject(error);
    });
    child.on("close", (code, by) => {
      done();
      const lines = masked(output)
        .split(/[\r\n]+/)
        .map((line) => maskedLine(line));
      const lastLine = lines.findLast((line) => line !== "") ?? "";
      resolve({ code: code ?? undefined, signal: by ?? undefined, lastLine });
    });
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it has ended
  }
}

function guard(pid: number): void {
  groups.add(pid);
  if (guarded) return;
  guarded = true;
  process.once("exit", () => {
    for (const group of groups) killGroup(group);
  });
}
