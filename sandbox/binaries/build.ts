/** Building a tool with Go from its pinned modules (sandbox/tools/<tool>/go.mod and go.sum). */
import { execFile, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Tool } from "./tools.ts";
import type { Step } from "../terminal.ts";

/** Go must be at least this: what the go.mod files ask for. */
const GO = "1.26";

/** The version of the `go` on PATH, such as 1.26.8; undefined when there is none. */
async function goVersion(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)("go", ["env", "GOVERSION"], { env, timeout: 10_000 });
    return /go(\d+\.\d+(\.\d+)?)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

/**
 * Builds the named binaries of a tool into `folder`. `sources` is the repository's sandbox/tools. Throws one sentence
 * when Go is missing or too old (`tried` says why the sources before this one did not serve), else Go's own last lines.
 */
export async function buildWithGo(
  tool: Tool,
  binaries: readonly string[],
  folder: string,
  sources: string,
  env: NodeJS.ProcessEnv,
  tried: string,
  step: Step,
): Promise<void> {
  const version = await goVersion(env);
  const [major = 0, minor = 0] = (version ?? "0").split(".").map(Number);
  const [needMajor = 0, needMinor = 0] = GO.split(".").map(Number);
  const automatic = (env["GOTOOLCHAIN"] ?? "auto").startsWith("auto");
  const tooOld = major < needMajor || (major === needMajor && minor < needMinor);
  if (version === undefined || (tooOld && !automatic)) {
    const found = version === undefined ? "Go is missing" : `Go ${version} is too old`;
    throw new Error(
      `${tool.name} ${tool.version} is not on this machine and cannot be downloaded (${tried}), and ${found} to build it: install Go ${GO} or newer, or put ${tool.binaries.join(", ")} on PATH.`,
    );
  }
  mkdirSync(folder, { recursive: true });
  for (const binary of binaries) {
    step.update(
      `go build ${binary}; all of it takes ${tool.build.onTwoCores} on two cores when nothing is cached`,
    );
    const args = [
      "build",
      "-trimpath",
      "-ldflags",
      tool.build.ldflags,
      "-o",
      join(folder, binary),
      tool.build.package(binary),
    ];
    await runGo(args, join(sources, tool.build.module), { ...env, CGO_ENABLED: "0" }, (line) => {
      step.update(`go build ${binary}: ${line}`);
    });
  }
}

async function runGo(
  args: string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
  onLine: (line: string) => void,
): Promise<void> {
  let errors = "";
  const code = await new Promise<number | null>((resolve, reject) => {
    // nice: the machine stays usable for minutes of compiling
    const child = spawn("nice", ["-n", "5", "go", ...args], {
      cwd,
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-4000);
      const line = text.trim().split("\n").at(-1);
      if (line) onLine(line);
    });
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) {
    const tail = errors.trim().split("\n").slice(-8).join("\n");
    throw new Error(`\`go ${args.join(" ")}\` in ${cwd} ended with ${code}:\n${tail}`);
  }
}
