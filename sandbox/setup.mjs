// Before every npm script: brings node_modules to what package-lock.json says, or does nothing, fast. Runs on the
// system's Node (18 or newer), because the Node that the project uses is itself one of its packages. Writes only to
// stderr: `eval "$(npm run -s sandbox -- env)"` reads stdout.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** What was installed last: the hash of the lock file, kept inside node_modules so that it goes with it. */
const STAMP = ".patchguard-lock-sha256";

/** Why an installation is needed, or undefined when node_modules fits the lock file. */
export function whyInstall(root) {
  const modules = join(root, "node_modules");
  if (!existsSync(join(modules, ".package-lock.json"))) return "node_modules is missing";
  if (!existsSync(join(modules, ".bin", "node"))) return "the project's own Node is missing";
  const lock = readFileSync(join(root, "package-lock.json"), "utf8");
  const stamp = join(modules, STAMP);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash(lock)) return undefined;
  // no stamp, or an older one: somebody ran npm by hand, which is fine when every package is there at its version
  const wrong = firstDifference(lock, readFileSync(join(modules, ".package-lock.json"), "utf8"));
  if (wrong) return `${wrong} is not as package-lock.json says`;
  writeFileSync(stamp, hash(lock));
  return undefined;
}

function hash(text) {
  return createHash("sha256").update(text).digest("hex");
}

/** The first package that the two lock files disagree about; optional ones may be absent (other platforms). */
function firstDifference(wantedText, installedText) {
  const wanted = JSON.parse(wantedText).packages;
  const installed = JSON.parse(installedText).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "" || entry.link || (entry.optional && !installed[path])) continue;
    if (installed[path]?.version !== entry.version) return path.replace(/^node_modules\//, "");
  }
  return Object.keys(installed).find((path) => !wanted[path]);
}

function main() {
  const [major] = process.versions.node.split(".").map(Number);
  if (major < 18)
    return fail(`Node ${process.versions.node} is too old even to set up: install Node 22 or newer.`);
  const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
  const reason = whyInstall(root);
  if (!reason) return 0;
  process.stderr.write(`Set-up: ${reason}; running npm ci (a minute or two)…\n`);
  const began = Date.now();
  // npm's own environment of the outer script must not leak into the inner npm
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(lifecycle|package|command)/.test(name)),
  );
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ["npm"];
  // stdout of npm goes to our stderr
  const result = spawnSync(npm[0], [...npm.slice(1), "ci", "--no-audit", "--no-fund"], {
    cwd: root,
    env,
    stdio: ["ignore", 2, 2],
  });
  if (result.error)
    return fail(`Set-up failed: npm cannot be started (${result.error.message}): install Node with npm.`);
  if (result.status !== 0)
    return fail("Set-up failed: `npm ci` ended with an error (above); mend it, then run the command again.");
  writeFileSync(
    join(root, "node_modules", STAMP),
    hash(readFileSync(join(root, "package-lock.json"), "utf8")),
  );
  process.stderr.write(`Set-up done in ${Math.round((Date.now() - began) / 1000)} s.\n`);
  return 0;
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  return 1;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) process.exitCode = main();
