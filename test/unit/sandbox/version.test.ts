import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tools } from "../../../sandbox/binaries/tools.ts";
import { onPath, parseVersion, versionOf } from "../../../sandbox/binaries/version.ts";

describe("sandbox versions", () => {
  const outputs: [string, string | undefined][] = [
    ["etcd Version: 3.6.5\nGit SHA: 1\nGo Version: go1.26.8", "3.6.5"],
    ["Kubernetes v1.34.4", "1.34.4"],
    ["Client Version: v1.34.4\nKustomize Version: v5.7.1", "1.34.4"],
    ["Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", undefined],
    ["v1.34.4+k3s1", "1.34.4"],
    ["kwok version v0.8.0 go1.26.8 (linux/amd64)", "0.8.0"],
    ["v3.255.0", "3.255.0"],
    ["3.255.0-dev.0", undefined],
    ["command not found", undefined],
    ["", undefined],
  ];
  for (const [output, version] of outputs) {
    it(`reads ${version ?? "nothing"} from ${JSON.stringify(output.slice(0, 40))}`, () => {
      assert.equal(parseVersion(output), version);
    });
  }

  const fits: [keyof typeof tools, string, boolean][] = [
    ["etcd", "3.6.1", true],
    ["etcd", "3.5.21", false],
    ["kubernetes", "1.34.0", true],
    ["kubernetes", "1.33.9", false],
    ["kubernetes", "1.340.0", false],
    ["kwok", "0.8.2", true],
    ["kwok", "0.7.0", false],
    ["pulumi", "3.255.0", true],
    ["pulumi", "3.255.1", false],
  ];
  for (const [tool, version, fit] of fits) {
    it(`${tool} ${version} ${fit ? "fits" : "does not fit"}`, () =>
      assert.equal(tools[tool].fits(version), fit));
  }

  describe("on PATH", () => {
    let dir: string;
    beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "patchguard-path-"))));
    afterEach(() => rmSync(dir, { recursive: true, force: true }));

    it("finds executables only, and never the downloaders of npm packages", () => {
      const folders = ["plain", "good", join("node_modules", ".bin")].map((name) => join(dir, name));
      for (const folder of folders) {
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, "pulumi"), "#!/bin/sh\n");
        if (!folder.endsWith("plain")) chmodSync(join(folder, "pulumi"), 0o755);
      }
      assert.deepEqual(onPath("pulumi", { PATH: folders.join(":") }), [join(dir, "good", "pulumi")]);
    });

    it("a program that fails has no version", async () => {
      const path = join(dir, "broken");
      writeFileSync(path, "#!/bin/sh\necho v1.2.3\nexit 1\n");
      chmodSync(path, 0o755);
      assert.equal(await versionOf(path, [], { PATH: "/bin:/usr/bin" }), undefined);
    });
  });
});
