import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { choosePorts, isFree, portNames } from "../../../sandbox/control-plane/ports.ts";
import {
  claimDir,
  isSandboxDir,
  newState,
  readState,
  stateDir,
  writeState,
} from "../../../sandbox/control-plane/state.ts";
import { sandboxVariables, stopSandbox } from "../../../sandbox/sandbox.ts";

describe("sandbox state", () => {
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "patchguard-state-"))));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it("ports are free, distinct and below the systems' own range", async () => {
    const ports = await choosePorts();
    const values = Object.values(ports);
    assert.equal(new Set(values).size, portNames.length);
    assert.ok(values.every((port) => port >= 20_000 && port < 32_000));
    assert.ok(await isFree(ports.api));
  });

  it("what is written is read; half of it is not", async () => {
    const state = newState(
      await choosePorts(),
      { SANDBOX_BOOT_SECONDS: "1", SANDBOX_DIR: dir, OTHER: "x" },
      {},
    );
    assert.deepEqual(state.knobs, {
      SANDBOX_BOOT_SECONDS: "1",
      SANDBOX_CREATE_SECONDS: "3",
      SANDBOX_TOKEN_SECONDS: "900",
    });
    writeState(dir, state);
    assert.deepEqual(readState(dir), state);
    assert.deepEqual(readdirSync(dir), ["sandbox.json"]);
    for (const text of [
      "",
      '{"version":1,',
      '{"version":1,"ports":{"api":1}}',
      JSON.stringify({ ...state, version: 0 }),
    ]) {
      writeFileSync(join(dir, "sandbox.json"), text);
      assert.equal(readState(dir), undefined, text);
    }
  });

  it("a folder with other files is neither claimed nor wiped", async () => {
    writeFileSync(join(dir, "thesis.txt"), "do not delete");
    assert.throws(() => claimDir(dir), /has files that are no sandbox's/);
    await assert.rejects(() => stopSandbox({ dir }), /no sandbox's state folder, so nothing was removed/);
    assert.ok(existsSync(join(dir, "thesis.txt")));
  });

  it("an empty folder is claimed, and a half-made one stopped without a word", async () => {
    claimDir(dir);
    assert.ok(isSandboxDir(dir));
    writeFileSync(join(dir, "sandbox.json"), '{"version":');
    claimDir(dir); // again, now that it has files of ours
    await stopSandbox({ dir });
    assert.equal(existsSync(dir), false);
    await stopSandbox({ dir });
  });

  it("the state folder is $SANDBOX_DIR or .sandbox in the repository", () => {
    assert.equal(stateDir({ SANDBOX_DIR: "/somewhere" }, "/repo"), "/somewhere");
    assert.equal(stateDir({}, "/repo"), "/repo/.sandbox");
  });

  it("the environment puts our Node first on PATH, and the rest once", async () => {
    writeState(dir, newState(await choosePorts(), {}, {}));
    const first = sandboxVariables(dir, { PATH: "/usr/bin:/bin" });
    const again = sandboxVariables(dir, { PATH: first["PATH"] });
    assert.match(first["PATH"] ?? "", /^[^:]*node_modules\/\.bin:.*:\/usr\/bin:\/bin$/);
    assert.equal(again["PATH"], first["PATH"]);
    assert.equal(first["KUBECONFIG"], join(dir, "kubeconfig"));
  });

  it("without a sandbox, the environment says what to do", () => {
    assert.throws(() => sandboxVariables(dir, {}), /run `npm run sandbox -- up` first/);
  });
});
