/**
 * Background processes of a sandbox: started detached with a log file, recorded by pid and start time, ended by pid.
 * The start time tells our process from another one that got the same pid later: such a one is never touched.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProcessRecord {
  name: string;
  pid: number;
  /** Opaque: equal for the same process only. */
  startedAt: string;
  log: string;
}

/**
 * The start time of a live process as the system knows it, or undefined when there is none (a zombie counts as gone).
 * Linux: clock ticks since boot, from /proc; elsewhere what `ps` prints.
 */
export function processStart(pid: number): string | undefined {
  if (process.platform === "linux") {
    const stat = readIfThere(`/proc/${pid}/stat`);
    if (stat === undefined) return undefined;
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  }
  try {
    const [state = "", ...start] = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    })
      .trim()
      .split(/\s+/);
    return state === "" || state.startsWith("Z") ? undefined : start.join(" ");
  } catch {
    return undefined; // ps ends with 1 when there is no such process
  }
}

/** True when exactly the recorded process still runs. */
export function isAlive(record: Pick<ProcessRecord, "pid" | "startedAt">): boolean {
  return processStart(record.pid) === record.startedAt;
}

export interface Launch {
  name: string;
  command: string;
  args: string[];
  /** The whole environment of the child. */
  env: NodeJS.ProcessEnv;
  cwd: string;
}

/** Starts a child that outlives us, its output appended to `<dir>/logs/<name>.log`, and records it. */
export function launch(dir: string, what: Launch): ProcessRecord {
  const log = join(dir, "logs", `${what.name}.log`);
  mkdirSync(dirname(log), { recursive: true });
  const out = openSync(log, "a");
  try {
    const child = spawn(what.command, what.args, {
      cwd: what.cwd,
      env: what.env,
      detached: true,
      stdio: ["ignore", out, out],
    });
    child.on("error", () => undefined); // reported below: without a pid the start failed
    if (child.pid === undefined) {
      throw new Error(`Cannot start ${what.name}: ${what.command} is missing or not executable.`);
    }
    child.unref();
    const record: ProcessRecord = {
      name: what.name,
      pid: child.pid,
      startedAt: processStart(child.pid) ?? "gone",
      log,
    };
    writeRecord(dir, record);
    return record;
  } finally {
    closeSync(out);
  }
}

function recordPath(dir: string, name: string): string {
  return join(dir, "run", `${name}.json`);
}

function writeRecord(dir: string, record: ProcessRecord): void {
  mkdirSync(join(dir, "run"), { recursive: true });
  const path = recordPath(dir, record.name);
  writeFileSync(`${path}.tmp`, JSON.stringify(record));
  renameSync(`${path}.tmp`, path);
}

/** All recorded processes of a sandbox; unreadable records (half-written) are left out. */
export function readRecords(dir: string): ProcessRecord[] {
  const records: ProcessRecord[] = [];
  for (const file of listIfThere(join(dir, "run"))) {
    if (!file.endsWith(".json")) continue;
    try {
      const record = JSON.parse(readIfThere(join(dir, "run", file)) ?? "") as Partial<ProcessRecord>;
      if (
        typeof record.pid === "number" &&
        typeof record.startedAt === "string" &&
        typeof record.name === "string"
      ) {
        records.push({ log: "", ...record } as ProcessRecord);
      }
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error; // a half-written record names no process
    }
  }
  return records;
}

/**
 * Ends the given processes: SIGTERM, `graceSeconds` for all together, then SIGKILL. A process that is not the recorded
 * one any more is left alone. Returns when all are gone.
 */
export async function endProcesses(
  dir: string,
  records: readonly ProcessRecord[],
  graceSeconds = 5,
): Promise<void> {
  const signal = (record: ProcessRecord, name: NodeJS.Signals): void => {
    if (!isAlive(record)) return;
    try {
      process.kill(record.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  };
  for (const record of records) signal(record, "SIGTERM");
  await gone(records, graceSeconds);
  for (const record of records) signal(record, "SIGKILL");
  if (!(await gone(records, 5))) {
    const left = records.filter(isAlive).map((record) => `${record.name} (pid ${record.pid})`);
    throw new Error(
      `Still running after SIGKILL: ${left.join(", ")}. End them by hand, then run the command again.`,
    );
  }
  for (const record of records) rmSync(recordPath(dir, record.name), { force: true });
}

async function gone(records: readonly ProcessRecord[], seconds: number): Promise<boolean> {
  const deadline = Date.now() + seconds * 1000;
  while (records.some(isAlive)) {
    if (Date.now() > deadline) return false;
    await sleep(50);
  }
  return true;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

function listIfThere(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
