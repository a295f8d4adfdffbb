import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  checksumFor,
  download,
  DownloadError,
  forgetUnreachable,
} from "../../../sandbox/binaries/download.ts";
import { FileServer } from "./file-server.ts";

const sha = (text: string): string => createHash("sha256").update(text).digest("hex");
const A = sha("a");
const B = sha("b");

describe("sandbox downloads", () => {
  const lists: [string, string, string | undefined][] = [
    [A, "tool", A],
    [`${A}\n`, "tool", A],
    [`${A}  tool\n${B}  other`, "other", B],
    [`${A} *tool`, "tool", A],
    [`${A}  ./tool`, "tool", A],
    [A.toUpperCase(), "tool", A],
    [`${A}  tool.sig\n${B}  my-tool`, "tool", undefined],
    [`${A}\n${B}`, "tool", undefined],
    ["<html>not found</html>", "tool", undefined],
    ["", "tool", undefined],
  ];
  for (const [text, file, expected] of lists) {
    it(`checksum of ${file} in ${JSON.stringify(text.replaceAll(A, "A").replaceAll(B, "B").slice(0, 40))}`, () => {
      assert.equal(checksumFor(text, file), expected);
    });
  }

  describe("from a server", () => {
    const server = new FileServer();
    let base: string;
    let dir: string;
    let target: string;
    before(async () => (base = await server.start()));
    after(() => server.stop());
    beforeEach(() => {
      forgetUnreachable();
      server.files.clear();
      server.asked.length = 0;
      server.silent = false;
      dir = mkdtempSync(join(tmpdir(), "patchguard-download-"));
      target = join(dir, "tool");
    });
    afterEach(() => rmSync(dir, { recursive: true, force: true }));
    const get = (): Promise<void> => download(base, "v1/tool", "v1/SUMS", target);
    const because = (pattern: RegExp) => (error: unknown) =>
      error instanceof DownloadError && pattern.test(error.message);

    it("a verified file arrives whole", async () => {
      const big = "0123456789".repeat(300_000);
      server.files.set("v1/tool", big).set("v1/SUMS", `${sha(big)}  tool\n`);
      await get();
      assert.equal(readFileSync(target, "utf8"), big);
    });

    it("a trailing slash of the base does no harm", async () => {
      server.files.set("v1/tool", "a").set("v1/SUMS", A);
      await download(`${base}/`, "v1/tool", "v1/SUMS", target);
      assert.deepEqual(server.asked, ["v1/SUMS", "v1/tool"]);
    });

    it("a wrong checksum is refused, naming both", async () => {
      server.files.set("v1/tool", "b").set("v1/SUMS", `${A}  tool\n`);
      await assert.rejects(get, because(new RegExp(`SHA-256 ${B}.*${A}`)));
    });

    it("a file that its publisher does not list is not even fetched", async () => {
      server.files.set("v1/tool", "a").set("v1/SUMS", `${A}  other\n`);
      await assert.rejects(get, because(/no checksum for tool/));
      assert.deepEqual(server.asked, ["v1/SUMS"]);
    });

    it("no checksum file, no download", async () => {
      server.files.set("v1/tool", "a");
      await assert.rejects(get, because(/SUMS answered with status 404/));
    });

    it("a refused connection is remembered for the run", async () => {
      const other = new FileServer();
      const gone = await other.start();
      await other.stop();
      const ask = (): Promise<void> => download(gone, "tool", "SUMS", target);
      await assert.rejects(ask, because(/cannot be reached \(ECONNREFUSED\)/));
      const began = performance.now();
      await assert.rejects(ask, because(/cannot be reached/));
      assert.ok(performance.now() - began < 20);
    });

    it("a silent host costs 3 s once", async function () {
      this.timeout(10_000);
      server.silent = true;
      const began = performance.now();
      await assert.rejects(get, because(/cannot be reached \(no answer within 3 s\)/));
      const first = performance.now() - began;
      assert.ok(first > 2500 && first < 5000, `took ${first} ms`);
      await assert.rejects(get, because(/cannot be reached/));
      assert.equal(server.asked.length, 1);
    });
  });
});
