import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
// @ts-expect-error plain JavaScript: it must run before any package is there
import { whyInstall as untyped } from "../../../sandbox/setup.mjs";

const whyInstall = untyped as (root: string) => string | undefined;

describe("sandbox set-up", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "patchguard-setup-"));
    lock({ a: "1.0.0" });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const packages = (versions: Record<string, string>, extra: object = {}): string =>
    JSON.stringify({
      packages: {
        ...Object.fromEntries(
          Object.entries(versions).map(([name, version]) => [`node_modules/${name}`, { version }]),
        ),
        ...extra,
      },
    });
  const lock = (versions: Record<string, string>, extra: object = {}): void =>
    writeFileSync(join(root, "package-lock.json"), packages(versions, { "": { name: "x" }, ...extra }));
  const install = (versions: Record<string, string>): void => {
    mkdirSync(join(root, "node_modules", ".bin"), { recursive: true });
    writeFileSync(join(root, "node_modules", ".bin", "node"), "");
    writeFileSync(join(root, "node_modules", ".package-lock.json"), packages(versions));
  };

  it("a fresh clone installs", () => assert.match(whyInstall(root) ?? "", /node_modules is missing/));

  it("what fits is left alone, and remembered", () => {
    install({ a: "1.0.0" });
    assert.equal(whyInstall(root), undefined);
    assert.ok(existsSync(join(root, "node_modules", ".patchguard-lock-sha256")));
    assert.equal(whyInstall(root), undefined);
  });

  it("a changed lock file installs again", () => {
    install({ a: "1.0.0" });
    assert.equal(whyInstall(root), undefined);
    lock({ a: "1.0.1" });
    assert.match(whyInstall(root) ?? "", /^a is not as package-lock\.json says/);
    lock({ a: "1.0.0", b: "2.0.0" });
    assert.match(whyInstall(root) ?? "", /^b is not/);
  });

  it("a package too many installs again", () => {
    install({ a: "1.0.0", old: "1.0.0" });
    assert.match(whyInstall(root) ?? "", /old is not as/);
  });

  it("optional packages of other platforms may be absent", () => {
    lock({ a: "1.0.0" }, { "node_modules/fsevents": { version: "2.0.0", optional: true } });
    install({ a: "1.0.0" });
    assert.equal(whyInstall(root), undefined);
  });
});
