/**
 * Prints the stacks that a workflow has to run for, as a JSON list for its matrix. Needs no package but Node.
 *
 * `touched.ts --from REV --to REV`: those that differ between two commits. `--all`: every stack. `--stack S`: that one.
 * `touched.ts --from REV --to REV --refuse S`: prints nothing, and exits 1 where S differs.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { parseArgs, promisify } from "node:util";
import { readStacks } from "../ci/stacks.ts";
import { touched } from "../ci/touched.ts";

const USAGE =
  "usage: touched.ts (--from <commit> --to <commit> [--refuse <stack>] | --all | --stack <stack>)";

async function main(): Promise<string> {
  const { values } = parseArgs({
    options: {
      from: { type: "string" },
      to: { type: "string" },
      refuse: { type: "string" },
      all: { type: "boolean", default: false },
      stack: { type: "string" },
    },
  });
  const { from, to, refuse, all, stack } = values;
  const jobs = readStacks(await readFile(".github/stacks.json", "utf8"));
  const known = jobs.map((it) => it.stack);
  if (all) return JSON.stringify(jobs);
  if (stack !== undefined) {
    if (!known.includes(stack))
      throw new Error(`.github/stacks.json has no stack ${stack}; it has ${known.join(", ") || "none"}`);
    return JSON.stringify(jobs.filter((it) => it.stack === stack));
  }
  if (from === undefined || to === undefined) throw new Error(USAGE);
  const { stacks, notes } = touched(await changedFiles(from, to), known);
  for (const note of notes) console.error(note);
  if (refuse === undefined) return JSON.stringify(jobs.filter((it) => stacks.includes(it.stack)));
  if (stacks.includes(refuse))
    throw new Error(
      `${to} has changed stack ${refuse} since ${from}: approve the run of the newer commit, this one would take it back`,
    );
  return "";
}

/** Undefined where a commit is not there: the first push of a branch, or one that rewrote history. */
async function changedFiles(from: string, to: string): Promise<string[] | undefined> {
  const git = promisify(execFile);
  for (const commit of [from, to]) {
    const args = ["rev-parse", "--quiet", "--verify", "--end-of-options", `${commit}^{commit}`];
    if (!(await git("git", args).then(Boolean, () => false))) return undefined;
  }
  // a renamed file counts at both places
  const args = ["diff", "--name-only", "--no-renames", "-z", "--end-of-options", from, to, "--"];
  const { stdout } = await git("git", args, { maxBuffer: 1 << 26 });
  return stdout.split("\0").filter((file) => file !== "");
}

main().then(
  (text) => process.stdout.write(text === "" ? "" : `${text}\n`),
  (error: unknown) => {
    console.error(`touched: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  },
);
