import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../../../rollout/command.ts";
import { masked, maskedLine } from "../../../rollout/masked.ts";
import { until } from "../../support/until.ts";

const never = new AbortController().signal;
/** A zombie has ended: nobody has asked for its exit code yet. */
const isThere = (pid: number): boolean => {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return /^[^Z]/.test(stdout.trim());
};

describe("commands of the user's", () => {
  let folder: string;
  before(async () => void (folder = await mkdtemp(join(tmpdir(), "patchguard-command-"))));
  after(() => rm(folder, { recursive: true, force: true }));

  /** A shell and a child of it that both last a minute; their ids, when both are there. */
  const started = async (
    name: string,
    prefix = "",
  ): Promise<{ script: string; pids: () => Promise<number[]> }> => {
    const file = join(folder, name);
    const pids = async (): Promise<number[]> => {
      const text = await readFile(file, "utf8").catch(() => "");
      return text.split("\n").flatMap((line) => (line === "" ? [] : Number(line)));
    };
    return { script: `${prefix}echo $$ > ${file}; sleep 60 & echo $! >> ${file}; wait`, pids };
  };

  it("end with everything that they have started when they are given up, even if they ignore a polite wish", async () => {
    const { script, pids } = await started("abort", "trap '' TERM HUP INT; ");
    const end = new AbortController();
    const running = runCommand(["sh", "-c", script], end.signal);
    await until("both processes", async () => (await pids()).length === 2);
    end.abort();
    const { code, signal } = await running;
    assert.deepEqual([code, signal], [undefined, "SIGKILL"]);
    for (const pid of await pids()) await until(`end of ${pid}`, () => !isThere(pid), 10);
  });

  it("leave nothing behind in the background, and are not waited for", async () => {
    const file = join(folder, "behind");
    const { code, lastLine } = await runCommand(
      ["sh", "-c", `sleep 60 & echo $! > ${file}; echo done`],
      never,
    );
    assert.deepEqual([code, lastLine], [0, "done"]);
    const pid = Number(await readFile(file, "utf8"));
    await until(`end of ${pid}`, () => !isThere(pid), 10);
  });

  it("end with the process that runs them", async () => {
    const { script, pids } = await started("parent");
    const module = new URL("../../../rollout/command.ts", import.meta.url).href;
    const code = `import { runCommand } from ${JSON.stringify(module)};
      void runCommand(["sh", "-c", ${JSON.stringify(script)}], new AbortController().signal);
      process.stdin.once("data", () => process.exit(0));`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    const ended = new Promise((resolve) => parent.once("exit", resolve));
    await until("both processes", async () => (await pids()).length === 2);
    parent.stdin.write("end\n");
    await ended;
    for (const pid of await pids()) await until(`end of ${pid}`, () => !isThere(pid), 10);
  });

  it("are not started any more after the end", async () => {
    const file = join(folder, "late");
    await runCommand(["touch", file], AbortSignal.abort());
    await assert.rejects(readFile(file), { code: "ENOENT" });
  });

  it("are told by their last line alone, in one line and without secrets", async () => {
    const { lastLine } = await runCommand(
      ["sh", "-c", "echo first; printf '\\033[31mno  route\\033[0m\\tto shop\\r\\n\\n' >&2; exit 1"],
      never,
    );
    assert.equal(lastLine, "no route to shop");
    const env = {
      API_TOKEN: "abcdef-123",
      LONGER_SECRET: "abcdef-123-456",
      HOME: "/home/me",
      DEBUG_KEY: "1",
    };
    assert.equal(masked("abcdef-123-456 abcdef-123 /home/me 1", env), "*** *** /home/me 1");
    assert.equal(
      masked("postgres://me:pw@db/shop me@example.com", env),
      "postgres://***@db/shop me@example.com",
    );
    assert.equal(maskedLine("x".repeat(1000), env).length, 301);
  });
});
