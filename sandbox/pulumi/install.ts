/**
 * Puts the Pulumi CLI where the npm package `pulumi` looks for it: `$PULUMI_HOME/versions/<version>/bin/pulumi`. With
 * the official CLI its whole folder is linked; a CLI built with Go lacks the Node.js language host and the host of
 * dynamic providers, so that wrappers for both stand beside it.
 */
import {
  chmodSync,
  constants,
  copyFileSync,
  linkSync,
  existsSync,
  mkdirSync,
  realpathSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { PULUMI } from "../binaries/tools.ts";

const LANGUAGE_HOST = "pulumi-language-nodejs";

/** `cli` is the path of the CLI's binary, `repository` the root with node_modules. Idempotent. */
export function installPulumi(home: string, cli: string, repository: string): void {
  const bin = join(home, "versions", PULUMI, "bin");
  rmSync(bin, { recursive: true, force: true });
  mkdirSync(bin, { recursive: true });
  const real = realpathSync(cli);
  const folder = dirname(real);
  const official = existsSync(join(folder, LANGUAGE_HOST));
  if (official) {
    for (const file of readdirSync(folder)) {
      if (file === "pulumi" || file.startsWith("pulumi-")) symlinkSync(join(folder, file), join(bin, file));
    }
    return;
  }
  // a link that the kernel sees as a file of this folder: the CLI looks for its hosts beside itself
  try {
    linkSync(real, join(bin, "pulumi"));
  } catch (error) {
    if (!["EXDEV", "EPERM", "EMLINK"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    copyFileSync(real, join(bin, "pulumi"), constants.COPYFILE_FICLONE);
  }
  const script = (name: string, lines: string[]): void => {
    const path = join(bin, name);
    writeFileSync(path, ["#!/bin/sh", ...lines, ""].join("\n"));
    chmodSync(path, 0o755);
  };
  // exec: the engine's own child is then the host itself, which ends when its parent does
  script(LANGUAGE_HOST, [
    `exec ${quote(process.execPath)} ${quote(join(repository, "sandbox/pulumi/language-host.mjs"))} "$@"`,
  ]);
  script("pulumi-resource-pulumi-nodejs", [
    `exec ${quote(join(repository, "node_modules/@pulumi/pulumi/pulumi-resource-pulumi-nodejs"))} "$@"`,
  ]);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
