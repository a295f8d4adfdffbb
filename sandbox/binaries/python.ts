/** moto (the AWS API over HTTP) in a Python virtual environment in the user's cache. */
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { cacheFolder } from "./find.ts";
import { withLock } from "./lock.ts";
import { MOTO } from "./tools.ts";
import { onPath } from "./version.ts";
import type { Progress } from "../terminal.ts";

const constraints = join(dirname(fileURLToPath(import.meta.url)), "moto-constraints.txt");
const SPEC = `moto[server,ec2,autoscaling,eks,ssm,elbv2]==${MOTO}`;

/** moto asks for at least this. */
const PYTHON_MINOR = 10;

/** The Python of moto's environment, made at the first call. Throws one sentence when Python or its venv is missing. */
export async function motoPython(env: NodeJS.ProcessEnv, progress: Progress): Promise<string> {
  const folder = cacheFolder(env, "moto", MOTO);
  const python = join(folder, "bin", "python");
  const complete = join(folder, "complete"); // written last; also tells that the base Python is still there
  if (existsSync(complete) && existsSync(python)) return python;
  await withLock(`${folder}.lock`, progress, async () => {
    if (existsSync(complete) && existsSync(python)) return;
    await makeEnvironment(folder, env, progress);
  });
  return python;
}

async function makeEnvironment(folder: string, env: NodeJS.ProcessEnv, progress: Progress): Promise<void> {
  const base = await findPython(env);
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(`${folder}.tmp-`);
  const step = progress.start(`moto ${MOTO} (Python packages)`);
  try {
    step.update("making a virtual environment");
    try {
      await promisify(execFile)(base, ["-m", "venv", work], { env, timeout: 120_000 });
    } catch (error) {
      throw new Error(
        `Python cannot make a virtual environment (${(error as Error).message.trim().split("\n").at(-1)}): install Python's venv module (python3-venv on Debian and Ubuntu).`,
      );
    }
    step.update("pip install");
    await pipInstall(join(work, "bin", "python"), env, (line) => step.update(line));
    writeFileSync(join(work, "complete"), `${SPEC}\n`);
    rmSync(folder, { recursive: true, force: true });
    // a virtual environment works after a move as long as it is entered through its own python
    renameSync(work, folder);
    step.done();
  } catch (error) {
    step.failed();
    throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function findPython(env: NodeJS.ProcessEnv): Promise<string> {
  const need = `Python 3.${PYTHON_MINOR} or newer is needed for moto, the simulated AWS API: install python3 with its venv module.`;
  const candidates = onPath("python3", env);
  for (const path of candidates) {
    try {
      const { stdout } = await promisify(execFile)(
        path,
        ["-c", "import sys; print(sys.version_info.minor)"],
        { env },
      );
      if (Number(stdout.trim()) >= PYTHON_MINOR) return path;
    } catch {
      continue; // a stub that only offers to install Python
    }
  }
  throw new Error(
    candidates.length === 0 ? `python3 is missing. ${need}` : `The python3 on PATH is too old. ${need}`,
  );
}

async function pipInstall(
  python: string,
  env: NodeJS.ProcessEnv,
  onLine: (line: string) => void,
): Promise<void> {
  let output = "";
  const args = [
    "-m",
    "pip",
    "install",
    "--disable-pip-version-check",
    "--no-input",
    "--constraint",
    constraints,
    SPEC,
  ];
  const code = await new Promise<number | null>((resolve, reject) => {
    const child = spawn(python, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    const take = (text: string): void => {
      output = (output + text).slice(-4000);
      const line = text.trim().split("\n").at(-1);
      if (line) onLine(line);
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) {
    throw new Error(
      `pip could not install ${SPEC} (exit code ${code}):\n${output.trim().split("\n").slice(-6).join("\n")}`,
    );
  }
}
