/** A lock between processes of one user: two starts at once must not build, or start, the same thing twice. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, processStart } from "../control-plane/processes.ts";
import type { Progress } from "../terminal.ts";

interface Holder {
  pid: number;
  startedAt: string;
}

/**
 * Runs `work` while this process holds the lock file `path`. Waits for another live holder, at most `timeoutSeconds`;
 * the lock of a process that is gone is taken over.
 */
export async function withLock<T>(
  path: string,
  progress: Progress,
  work: () => Promise<T>,
  timeoutSeconds = 1800,
): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  const me: Holder = { pid: process.pid, startedAt: processStart(process.pid) ?? "" };
  const deadline = Date.now() + timeoutSeconds * 1000;
  let told = false;
  while (!tryTake(path, me)) {
    const holder = readHolder(path);
    if (holder && !isAlive(holder)) {
      removeStale(path, holder);
      continue;
    }
    if (Date.now() > deadline) {
      throw new Error(
        `Another process${holder ? ` (pid ${holder.pid})` : ""} holds ${path} for more than ${timeoutSeconds} s: wait for it, or end it, and try again.`,
      );
    }
    if (!told && holder) {
      progress.note(`waiting for another start (pid ${holder.pid}) to finish`);
      told = true;
    }
    await sleep(100);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

/** Takes the lock in one step: the file appears with its content or not at all. */
function tryTake(path: string, me: Holder): boolean {
  const own = `${path}.${me.pid}`;
  writeFileSync(own, JSON.stringify(me));
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

/** Removes the lock of a dead holder; if another process was faster and the lock is already its own, puts that back. */
function removeStale(path: string, dead: Holder): void {
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const taken = readHolder(aside);
  if (taken?.pid !== dead.pid || taken.startedAt !== dead.startedAt) renameSync(aside, path);
  else rmSync(aside, { force: true });
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Holder;
  } catch {
    return undefined; // released between our two looks
  }
}
