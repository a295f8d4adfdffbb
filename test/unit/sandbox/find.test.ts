import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { forgetUnreachable } from "../../../sandbox/binaries/download.ts";
import { cacheFolder, findTool } from "../../../sandbox/binaries/find.ts";
import type { Tool } from "../../../sandbox/binaries/tools.ts";
import { silent } from "../../../sandbox/terminal.ts";
import { FileServer } from "./file-server.ts";

const script = (version: string): string => `#!/bin/sh\necho "tool version ${version}"\n`;
const sha = (content: string | Buffer): string => createHash("sha256").update(content).digest("hex");

describe("sandbox binaries: where they come from", () => {
  const server = new FileServer();
  let base: string;
  let dir: string;
  let env: NodeJS.ProcessEnv;
  let tool: Tool;

  before(async () => (base = await server.start()));
  after(() => server.stop());
  beforeEach(() => {
    forgetUnreachable();
    server.files.clear();
    server.asked.length = 0;
    dir = mkdtempSync(join(tmpdir(), "patchguard-find-"));
    env = {
      PATH: `${join(dir, "path")}:/bin:/usr/bin`,
      XDG_CACHE_HOME: join(dir, "cache"),
      DOWNLOAD_TOOL: base,
    };
    tool = {
      name: "etcd",
      version: "1.2.3",
      binaries: ["tool"],
      versionArgs: () => ["--version"],
      fits: (version) => version.startsWith("1.2."),
      download: {
        base: "http://127.0.0.1:9", // must be overridden
        variable: "DOWNLOAD_TOOL",
        file: () => "v1.2.3/tool",
        checksums: () => "v1.2.3/SUMS",
      },
      build: { module: "none", package: () => "example.com/none", ldflags: "", onTwoCores: "a while" },
    };
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const put = (path: string, version: string): string => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, script(version));
    chmodSync(path, 0o755);
    return path;
  };
  const cache = (): string => cacheFolder(env, "etcd", "1.2.3");
  const publish = (content: string | Buffer, sum = sha(content)): void => {
    server.files.set("v1.2.3/tool", content).set("v1.2.3/SUMS", `${sum}  tool\n`);
  };
  const find = async (): Promise<string | undefined> => (await findTool(tool, env, silent))["tool"];

  it("PATH at a fitting version comes first", async () => {
    const path = put(join(dir, "path", "tool"), "1.2.9");
    put(join(cache(), "tool"), "1.2.3");
    assert.equal(await find(), path);
    assert.deepEqual(server.asked, []);
  });

  it("another version on PATH is passed over for the cache", async () => {
    put(join(dir, "path", "tool"), "1.3.0");
    const path = put(join(cache(), "tool"), "1.2.3");
    assert.equal(await find(), path);
    assert.deepEqual(server.asked, []);
  });

  it("an empty cache is filled by the download, once", async () => {
    publish(script("1.2.3"));
    assert.equal(await find(), join(cache(), "tool"));
    assert.equal(await find(), join(cache(), "tool"));
    assert.deepEqual(server.asked, ["v1.2.3/SUMS", "v1.2.3/tool"]);
    assert.deepEqual(readdirSync(dirname(cache())), ["1.2.3"], "no lock and no half folder is left");
  });

  it("two starts at once download once", async () => {
    publish(script("1.2.3"));
    assert.deepEqual(await Promise.all([find(), find()]), [join(cache(), "tool"), join(cache(), "tool")]);
    assert.deepEqual(server.asked, ["v1.2.3/SUMS", "v1.2.3/tool"]);
  });

  it("an archive's folder is unpacked beside the binary", async () => {
    const inside = join(dir, "make", "tool-1.2.3");
    put(join(inside, "tool"), "1.2.3");
    put(join(inside, "tool-helper"), "1.2.3");
    execFileSync("tar", ["-czf", join(dir, "a.tar.gz"), "-C", join(dir, "make"), "tool-1.2.3"]);
    tool.download.archiveFolder = () => "tool-1.2.3";
    publish(readFileSync(join(dir, "a.tar.gz")));
    assert.equal(await find(), join(cache(), "tool"));
    assert.deepEqual(readdirSync(cache()).sort(), ["tool", "tool-helper"]);
  });

  /** Nothing to download from and no Go either: the sentence tells both. */
  const rejectsWith = async (pattern: RegExp): Promise<void> => {
    await assert.rejects(find, (error: Error) => {
      assert.match(error.message, pattern);
      assert.match(error.message, /Go is missing to build it: install Go 1\.26 or newer/);
      assert.doesNotMatch(error.message, /\n/, "one sentence");
      return true;
    });
    assert.equal(existsSync(join(cache(), "tool")), false, "nothing unverified is in the cache");
  };
  const withoutGo = (): void => {
    env["PATH"] = join(dir, "path");
  };

  it("a checksum that does not match: not used, and the reason is told", async () => {
    withoutGo();
    publish(script("1.2.3"), sha("something else"));
    await rejectsWith(/has SHA-256 .* not used/);
  });

  it("a download of the wrong version is not used", async () => {
    publish(script("1.2.2"));
    // sh must be found to run the script, Go must not: the link's folder has only sh
    const tools = join(dir, "path");
    mkdirSync(tools, { recursive: true });
    env["PATH"] = tools;
    await rejectsWith(/says version 1\.2\.2 instead of 1\.2\.3/);
  });

  it("a host that cannot be reached: the sentence names it", async () => {
    withoutGo();
    env["DOWNLOAD_TOOL"] = "http://127.0.0.1:1";
    await rejectsWith(/127\.0\.0\.1:1 cannot be reached \(.+\)/);
  });

  it("downloads can be turned off", async () => {
    withoutGo();
    env["DOWNLOAD_TOOL"] = "off";
    await rejectsWith(/DOWNLOAD_TOOL is off/);
  });

  it("a Go that is too old is told from none", async () => {
    put(join(dir, "path", "go"), "");
    writeFileSync(join(dir, "path", "go"), "#!/bin/sh\necho go1.20.3\n");
    env["DOWNLOAD_TOOL"] = "off";
    env["GOTOOLCHAIN"] = "local";
    env["PATH"] = join(dir, "path");
    await assert.rejects(find, /Go 1\.20\.3 is too old to build it/);
  });
});
