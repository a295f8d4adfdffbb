import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { withLock } from "../../../sandbox/binaries/lock.ts";
import { processStart } from "../../../sandbox/control-plane/processes.ts";
import { silent } from "../../../sandbox/terminal.ts";

describe("sandbox lock", () => {
  let dir: string;
  let path: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "patchguard-lock-"));
    path = join(dir, "x.lock");
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it("lets one work at a time, and is gone afterwards, also after an error", async () => {
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await sleep(30);
      inside--;
    };
    await Promise.all([
      withLock(path, silent, work),
      withLock(path, silent, work),
      withLock(path, silent, work),
    ]);
    assert.equal(most, 1);
    await assert.rejects(() => withLock(path, silent, () => Promise.reject(new Error("broken"))), /broken/);
    assert.equal(existsSync(path), false);
  });

  it("takes over the lock of a process that is gone, also when its pid was given to another", async () => {
    writeFileSync(path, JSON.stringify({ pid: process.pid, startedAt: "1" }));
    assert.equal(await withLock(path, silent, async () => "done", 2), "done");
  });

  it("gives up on a live holder at its deadline, naming it", async () => {
    writeFileSync(path, JSON.stringify({ pid: process.pid, startedAt: processStart(process.pid) }));
    await assert.rejects(
      () => withLock(path, silent, async () => "never", 0.2),
      new RegExp(`pid ${process.pid}.*holds .*x\\.lock for more than 0\\.2 s`),
    );
  });
});
