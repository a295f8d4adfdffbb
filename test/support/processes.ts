/** Process trees: who runs below a process, and ending them. By process id only, never by name. */
import { execFileSync } from "node:child_process";

export interface Process {
  pid: number;
  parent: number;
  command: string;
}

function all(): Process[] {
  const text = execFileSync("ps", ["-A", "-o", "pid=,ppid=,args="], { encoding: "utf8", maxBuffer: 1 << 24 });
  return text.split("\n").flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line);
    return match === null
      ? []
      : [{ pid: Number(match[1]), parent: Number(match[2]), command: match[3] ?? "" }];
  });
}

/** Every process below `pid`, parents before children. */
export function descendants(pid: number): Process[] {
  const processes = all();
  const found: Process[] = [];
  const parents = new Set([pid]);
  for (let grown = true; grown;) {
    const next = processes.filter((p) => parents.has(p.parent) && !parents.has(p.pid));
    for (const process of next) parents.add(process.pid);
    found.push(...next);
    grown = next.length > 0;
  }
  return found;
}

/** Those that still run, and are still what they were (ids are used again). A zombie does not run. */
export function survivors(processes: readonly Process[]): Process[] {
  const now = new Map(all().map((process) => [process.pid, process]));
  return processes.filter(({ pid, command }) => now.get(pid)?.command === command);
}

/** Sends a signal; a process that has ended meanwhile is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
