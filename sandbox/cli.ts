/** `npm run sandbox -- up|down|status|env|exec`: the sandbox's command line. Answers go to stdout, the rest to stderr. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import {
  endedComponents,
  sandboxDir,
  sandboxEnv,
  sandboxStatus,
  sandboxVariables,
  startSandbox,
  stopSandbox,
} from "./sandbox.ts";
import { elapsed, terminalProgress } from "./terminal.ts";
import { statusText } from "./status-text.ts";

const usage = `usage: npm run sandbox -- COMMAND
  up               start the sandbox in the background (nothing happens to what runs already)
  down             stop it and remove its state
  status [--json]  show its components, images and machines
  env              print shell exports: eval "$(npm run -s sandbox -- env)"
  exec CMD…        run CMD with that environment, e.g. exec pulumi up --stack sandbox --yes
State stands in .sandbox/ or $SANDBOX_DIR.`;

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  switch (command ?? "") {
    case "up":
      return up();
    case "down":
      return down();
    case "status":
      return status(rest.includes("--json"));
    case "env": {
      const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
      for (const [name, value] of Object.entries(sandboxVariables(sandboxDir()))) {
        process.stdout.write(`export ${name}=${quote(value)}\n`);
      }
      return 0;
    }
    case "exec":
      return exec(rest);
    case "help":
    case "--help":
      process.stdout.write(usage + "\n");
      return 0;
    default:
      process.stderr.write(`${command ? `Unknown command: ${command}\n` : ""}${usage}\n`);
      return 2;
  }
}

async function up(): Promise<number> {
  const began = Date.now();
  process.stderr.write(`Sandbox in ${sandboxDir()}\n`);
  const sandbox = await startSandbox({ progress: terminalProgress() });
  process.stderr.write(`
Up after ${elapsed(began)}: a real Kubernetes control plane with fake machines, and an AWS that is only on this computer.
  npm run sandbox -- exec kubectl get nodes                        look inside
  npm run sandbox -- exec pulumi up --stack sandbox                 build and patch node pools
  npm run sandbox -- status                                         components, images, machines
  npm run sandbox -- down                                           stop and remove it
API server ${sandbox.apiUrl}, AWS endpoint ${sandbox.machineRoomUrl}, logs in ${sandbox.dir}/logs
`);
  return 0;
}

async function down(): Promise<number> {
  const dir = sandboxDir();
  await stopSandbox({ progress: terminalProgress() });
  process.stderr.write(`The sandbox is stopped and ${dir} is removed.\n`);
  return 0;
}

async function status(json: boolean): Promise<number> {
  const result = await sandboxStatus();
  process.stdout.write(json ? JSON.stringify(result, null, 2) + "\n" : statusText(result));
  return result.up ? 0 : 1;
}

/** Runs a command in the sandbox's environment: signals are passed on, its exit code is ours (128 + signal number). */
async function exec(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args[0] === "--" ? args.slice(1) : args;
  if (!command) {
    process.stderr.write("exec needs a command, e.g. `npm run sandbox -- exec kubectl get nodes`.\n");
    return 2;
  }
  const gone = endedComponents(sandboxDir());
  if (gone.length > 0)
    throw new Error(`The sandbox lost ${gone.join(", ")}: run \`npm run sandbox -- up\` first.`);
  const child = spawn(command, rest, { env: sandboxEnv(sandboxDir()), stdio: "inherit" });
  // The terminal sends Ctrl-C to the whole group, the child included: only what was sent to us alone is passed on.
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on("SIGTERM", forward);
  process.on("SIGHUP", forward);
  process.on("SIGINT", process.stdin.isTTY ? () => undefined : forward);
  return new Promise((resolve) => {
    child.on("error", (error: NodeJS.ErrnoException) => {
      process.stderr.write(
        error.code === "ENOENT" ? `${command}: command not found.\n` : `${command}: ${error.message}\n`,
      );
      resolve(error.code === "ENOENT" ? 127 : 126);
    });
    child.on("exit", (code, signal) => resolve(signal ? 128 + constants.signals[signal] : (code ?? 1)));
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
