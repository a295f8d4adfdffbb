/**
 * Where each binary comes from, in this order: PATH at a fitting version; the user's cache; the official download;
 * `go build` from pinned modules.
 */
import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildWithGo } from "./build.ts";
import { download, DownloadError } from "./download.ts";
import { withLock } from "./lock.ts";
import { platform, tools as allTools, type Tool, type ToolName } from "./tools.ts";
import { isExecutable, onPath, versionOf } from "./version.ts";
import type { Progress, Step } from "../terminal.ts";

const goModules = join(dirname(fileURLToPath(import.meta.url)), "..", "tools");

/** The cache for one tool: `${XDG_CACHE_HOME:-~/.cache}/patchguard/<tool>/<version>`. */
export function cacheFolder(env: NodeJS.ProcessEnv, tool: string, version: string): string {
  const base = env["XDG_CACHE_HOME"] ? env["XDG_CACHE_HOME"] : join(env["HOME"] ?? homedir(), ".cache");
  return join(base, "patchguard", tool, version);
}

/** Paths of all binaries of the named tools. Throws one sentence when one cannot be had. */
export async function findBinaries(
  names: readonly ToolName[],
  env: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of names) Object.assign(found, await findTool(allTools[name], env, progress));
  return found;
}

/** Paths of one tool's binaries; `tool` is a parameter for tests. */
export async function findTool(
  tool: Tool,
  env: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const cache = cacheFolder(env, tool.name, tool.version);
  const missing: string[] = [];
  for (const binary of tool.binaries) {
    const path = (await fittingOnPath(tool, binary, env)) ?? cached(cache, binary);
    if (path) found[binary] = path;
    else missing.push(binary);
  }
  if (missing.length === 0) return found;

  await withLock(`${cache}.lock`, progress, async () => {
    const still = missing.filter((binary) => !cached(cache, binary)); // another start may have brought them
    if (still.length > 0) await obtain(tool, still, cache, env, progress);
  });
  for (const binary of missing) {
    const path = cached(cache, binary);
    if (!path) throw new Error(`${binary} did not come into ${cache}: remove that folder and try again.`);
    found[binary] = path;
  }
  return found;
}

async function fittingOnPath(
  tool: Tool,
  binary: string,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  for (const path of onPath(binary, env)) {
    const version = await versionOf(path, tool.versionArgs(binary), env);
    if (version !== undefined && tool.fits(version)) return path;
  }
  return undefined;
}

/** Archives keep their publisher's `bin`-like folder flat in the cache; so a binary is always `<cache>/<binary>`. */
function cached(cache: string, binary: string): string | undefined {
  const path = join(cache, binary);
  return isExecutable(path) ? path : undefined;
}

/** Brings the binaries into the cache: into a folder beside it first, then by rename, so that no half file is ever seen. */
async function obtain(
  tool: Tool,
  binaries: readonly string[],
  cache: string,
  env: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<void> {
  mkdirSync(dirname(cache), { recursive: true });
  const work = mkdtempSync(`${cache}.tmp-`);
  const step = progress.start(`${tool.name} ${tool.version}`);
  try {
    let how = "downloaded";
    try {
      await downloadTool(tool, binaries, work, env, step);
    } catch (error) {
      if (!(error instanceof DownloadError)) throw error;
      how = `built with Go, as ${error.message}`;
      step.update(`${error.message}; building it`);
      rmSync(work, { recursive: true, force: true });
      await buildWithGo(tool, binaries, work, goModules, env, error.message, step);
    }
    mkdirSync(cache, { recursive: true });
    for (const file of readdirSync(work)) renameSync(join(work, file), join(cache, file));
    step.done(how);
  } catch (error) {
    step.failed();
    throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function downloadTool(
  tool: Tool,
  binaries: readonly string[],
  folder: string,
  env: NodeJS.ProcessEnv,
  step: Step,
): Promise<void> {
  const { download: from } = tool;
  const base = env[from.variable] ?? from.base;
  if (base === "off") throw new DownloadError(`${from.variable} is off`);
  const here = platform();
  const files = new Map(binaries.map((binary) => [from.file(here, binary), binary]));
  for (const [file, binary] of files) {
    const target = join(folder, from.archiveFolder ? "archive" : binary);
    await download(base, file, from.checksums(here, binary), target, (megabytes) => {
      step.update(`downloading ${file.slice(file.lastIndexOf("/") + 1)}, ${megabytes.toFixed(0)} MB`);
    });
    if (from.archiveFolder) await unpack(target, join(folder, "unpacked"), from.archiveFolder(here), folder);
  }
  for (const binary of binaries) await checkDownloaded(tool, binary, join(folder, binary), env);
}

/** A download must be what it says it is, and run here. */
async function checkDownloaded(
  tool: Tool,
  binary: string,
  path: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  if (!existsSync(path)) throw new DownloadError(`the download of ${tool.name} has no ${binary}`);
  chmodSync(path, 0o755);
  const version = await versionOf(path, tool.versionArgs(binary), env);
  if (version !== tool.version) {
    throw new DownloadError(
      `the downloaded ${binary} says version ${version ?? "nothing"} instead of ${tool.version}`,
    );
  }
}

/** Unpacks an archive (tar reads zip too where a publisher uses it) and moves the files of its folder to `target`. */
async function unpack(archive: string, scratch: string, folder: string, target: string): Promise<void> {
  mkdirSync(scratch, { recursive: true });
  try {
    await promisify(execFile)("tar", ["-xf", archive, "-C", scratch]);
  } catch (error) {
    throw new DownloadError(`the archive cannot be unpacked: ${(error as Error).message.trim()}`);
  }
  const from = join(scratch, folder);
  if (!existsSync(from)) throw new DownloadError(`the archive has no folder ${folder}`);
  for (const file of readdirSync(from)) renameSync(join(from, file), join(target, file));
  rmSync(scratch, { recursive: true, force: true });
  rmSync(archive, { force: true });
}
