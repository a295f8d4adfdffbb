import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  endProcesses,
  isAlive,
  launch,
  processStart,
  readRecords,
  type ProcessRecord,
} from "../../../sandbox/control-plane/processes.ts";

describe("sandbox processes", () => {
  let dir: string;
  const children: ChildProcess[] = [];
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "patchguard-processes-"))));
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  });

  const start = (code: string): ProcessRecord =>
    launch(dir, {
      name: "child",
      command: process.execPath,
      args: ["-e", code],
      env: { ...process.env },
      cwd: dir,
    });
  const untilLog = async (record: ProcessRecord, text: string): Promise<void> => {
    const deadline = Date.now() + 10_000;
    while (!readFileSync(record.log, "utf8").includes(text)) {
      assert.ok(Date.now() < deadline, `no ${text} in the log`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  it("a started process is recorded, logs to its file, and is ended", async () => {
    const record = start("console.log('hello'); setInterval(() => {}, 1000)");
    assert.deepEqual(readRecords(dir), [record]);
    await untilLog(record, "hello");
    assert.ok(isAlive(record));
    await endProcesses(dir, [record]);
    assert.equal(isAlive(record), false);
    assert.deepEqual(readRecords(dir), []);
  });

  it("one that ignores SIGTERM is killed after the grace", async () => {
    const record = start("process.on('SIGTERM', () => {}); console.log('deaf'); setInterval(() => {}, 1000)");
    await untilLog(record, "deaf");
    await endProcesses(dir, [record], 0.2);
    assert.equal(isAlive(record), false);
  });

  it("another process with a recycled pid is neither alive for us nor touched", async () => {
    const stranger = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
    children.push(stranger);
    const pid = stranger.pid ?? 0;
    const record = { name: "etcd", pid, startedAt: "12345", log: "" };
    assert.equal(isAlive(record), false);
    await endProcesses(dir, [record]);
    assert.notEqual(processStart(pid), undefined, "the stranger still runs");
  });

  it("a process that ended is gone, also while its parent has not reaped it", async () => {
    // the shell becomes a sleep that never asks for its child's end
    const parent = spawn("/bin/sh", ["-c", "sleep 0.2 & echo $!; exec sleep 30"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    children.push(parent);
    const pid = Number(
      await new Promise<string>((resolve) => parent.stdout.once("data", (data) => resolve(String(data)))),
    );
    const startedAt = processStart(pid) ?? "";
    assert.notEqual(startedAt, "");
    const deadline = Date.now() + 10_000;
    while (isAlive({ pid, startedAt })) {
      assert.ok(Date.now() < deadline, "a zombie counts as alive");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }).timeout(15_000);

  it("half-written records are passed over", () => {
    mkdirSync(join(dir, "run"));
    writeFileSync(join(dir, "run", "etcd.json"), '{"name":"etcd","pi');
    writeFileSync(join(dir, "run", "kwok.json"), '{"name":"kwok"}');
    writeFileSync(join(dir, "run", "moto.json.tmp"), "");
    assert.deepEqual(readRecords(dir), []);
  });

  it("a missing program is one sentence", () => {
    assert.throws(
      () => launch(dir, { name: "etcd", command: join(dir, "nothing"), args: [], env: {}, cwd: dir }),
      /Cannot start etcd: .*nothing is missing or not executable/,
    );
  });
});
