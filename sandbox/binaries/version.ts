/** Reading versions from what programs print. */
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The first x.y.z in a program's output; release suffixes such as `-eks-1` or `-dispatcher` make it no clean version. */
export function parseVersion(output: string): string | undefined {
  const match = /(?<![\w.])v?(\d+\.\d+\.\d+)(?<suffix>[-+][\w.]+)?/.exec(output);
  if (!match || match.groups?.["suffix"]?.startsWith("-")) return undefined;
  return match[1];
}

/** Runs `path args` for at most 10 s and reads its version; undefined when it prints none or does not run. */
export async function versionOf(
  path: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await run(path, args, {
      timeout: 10_000,
      env: { ...env, PULUMI_SKIP_UPDATE_CHECK: "true" },
    });
    return parseVersion(stdout) ?? parseVersion(stderr);
  } catch {
    return undefined; // whatever it is, it is not the tool we need
  }
}

/**
 * All executables of that name on PATH. Folders of npm packages are left out: node_modules/.bin/pulumi is a downloader
 * that would fetch the CLI when asked for its version.
 */
export function onPath(name: string, env: NodeJS.ProcessEnv): string[] {
  const found: string[] = [];
  for (const folder of (env["PATH"] ?? "").split(":")) {
    if (folder === "" || `${folder}${sep}`.includes(`${sep}node_modules${sep}`)) continue;
    const path = join(folder, name);
    if (isExecutable(path)) found.push(path);
  }
  return found;
}

export function isExecutable(path: string): boolean {
  if (!existsSync(path) || !statSync(path).isFile()) return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
