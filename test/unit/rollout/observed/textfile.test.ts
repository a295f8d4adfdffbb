import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeWhole } from "../../../../rollout/observed/textfile.ts";

describe("a file that is replaced in one step", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "patchguard-textfile-"))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("is another file each time, so that a reader keeps the old one whole; others may read it", () => {
    const file = join(folder, "below", "patchguard.prom");
    writeWhole(file, "one\n");
    const before = statSync(file);
    writeWhole(file, "two\n");
    assert.equal(readFileSync(file, "utf8"), "two\n");
    assert.notEqual(statSync(file).ino, before.ino);
    assert.equal(statSync(file).mode & 0o444, 0o444);
    assert.deepEqual(readdirSync(join(folder, "below")), ["patchguard.prom"]);
  });

  it("leaves nothing behind where it cannot be written", () => {
    const file = join(folder, "patchguard.prom");
    mkdirSync(file); // a folder of that name: the rename fails
    writeFileSync(join(file, "in-the-way"), "");
    assert.throws(() => writeWhole(file, "text"));
    assert.deepEqual(readdirSync(folder), ["patchguard.prom"]);
    chmodSync(folder, 0o700);
  });
});
