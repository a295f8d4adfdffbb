import { setTimeout as sleep } from "node:timers/promises";

/** Looks again and again until `check` is true. @throws with what was waited for, after `seconds`. */
export async function until(
  what: string,
  check: () => boolean | Promise<boolean>,
  seconds = 30,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain for: ${what}`);
    await sleep(50);
  }
}
