/**
 * The sandbox: a cloud in a box. Start, stop, look, and the environment for programs that work in it. Used by the
 * command line (cli.ts), the demo and the tests.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findBinaries } from "./binaries/find.ts";
import { motoPython } from "./binaries/python.ts";
import { withLock } from "./binaries/lock.ts";
import { certificatePaths, writeCertificates } from "./control-plane/certificates.ts";
import { componentNames, components, type ComponentName } from "./control-plane/components.ts";
import { apiUrl, kubeconfigPath, writeControlPlaneFiles } from "./control-plane/files.ts";
import { choosePorts } from "./control-plane/ports.ts";
import { endProcesses, isAlive, readRecords } from "./control-plane/processes.ts";
import { isReady, PortTakenError, probe } from "./control-plane/ready.ts";
import { claimDir, isSandboxDir, newState, readState, stateDir, writeState } from "./control-plane/state.ts";
import type { SandboxState } from "./control-plane/state.ts";
import { startComponents } from "./control-plane/supervisor.ts";
import { installPulumi } from "./pulumi/install.ts";
import { silent, type Progress } from "./terminal.ts";

/** The repository's root. */
export const repository = resolve(dirname(fileURLToPath(import.meta.url)), "..");

export interface SandboxOptions {
  /** State folder; default `$SANDBOX_DIR` or `.sandbox` in the repository. */
  dir?: string;
  /** Environment to start from: PATH, caches, the timing knobs SANDBOX_*. Default: this process's. */
  env?: NodeJS.ProcessEnv;
  progress?: Progress;
  /** Components to leave out (their own tests only). */
  without?: readonly ComponentName[];
}

export interface Sandbox {
  dir: string;
  kubeconfig: string;
  apiUrl: string;
  /** The machine room's front: also the AWS endpoint. */
  machineRoomUrl: string;
  auditLog: string;
  /** Environment for programs that work in this sandbox, over the one it was started from. */
  env: NodeJS.ProcessEnv;
}

export function sandboxDir(options: Pick<SandboxOptions, "dir" | "env"> = {}): string {
  return options.dir ? resolve(options.dir) : stateDir(options.env ?? process.env, repository);
}

/**
 * Starts the sandbox, or brings back what is missing of it. Idempotent; safe to call from several processes. Throws one
 * sentence with the log's path when a component does not start, or says what to install when a tool cannot be had.
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const env = options.env ?? process.env;
  const dir = sandboxDir(options);
  const progress = options.progress ?? silent;
  const without = options.without ?? [];
  mkdirSync(dirname(dir), { recursive: true });
  return withLock(`${dir}.lock`, progress, async () => {
    claimDir(dir);
    for (let attempt = 1; ; attempt++) {
      try {
        return await bringUp(dir, env, without, progress);
      } catch (error) {
        if (!(error instanceof PortTakenError) || attempt >= 4) throw error;
        progress.note("a chosen port was taken meanwhile: starting over with others");
        await wipe(dir);
        claimDir(dir);
      }
    }
  });
}

async function bringUp(
  dir: string,
  env: NodeJS.ProcessEnv,
  without: readonly ComponentName[],
  progress: Progress,
): Promise<Sandbox> {
  let state = readState(dir);
  const records = readRecords(dir);
  const wanted = componentNames.filter((name) => !without.includes(name));
  const alive = new Set(records.filter(isAlive).map((record) => record.name));
  if (state?.complete && wanted.every((name) => alive.has(name))) {
    progress.note("already up");
    return describe(dir, state, env);
  }

  const binaries = await findBinaries(["etcd", "kubernetes", "kwok", "pulumi"], env, progress);
  const python = await motoPython(env, progress);
  if (state && !canResume(dir, env, state, alive)) {
    progress.note("left-over of an earlier sandbox: starting over");
    state = undefined;
  }
  if (!state) {
    if (records.length > 0 || existsSync(join(dir, "etcd"))) await wipe(dir);
    claimDir(dir);
    state = newState(await choosePorts(), env, binaries);
    writeState(dir, state);
  }
  await writeCertificates(dir);
  writeControlPlaneFiles(dir, state, join(repository, "sandbox/stages"));
  linkBinaries(dir, binaries);
  installPulumi(join(dir, "pulumi-home"), binaries["pulumi"] ?? "", repository);
  mkdirSync(join(dir, "pulumi-state"), { recursive: true });

  const list = components({ dir, repository, state, env, python }).filter(
    ({ name }) => !without.includes(name),
  );
  await startComponents(dir, list, readRecords(dir), state, progress);
  await applyPolicies(dir, join(repository, "sandbox/policies"));
  state.complete = true;
  writeState(dir, state);
  return describe(dir, state, env);
}

/**
 * A sandbox that lost a process goes on when all that lived only in memory is still there and the timing did not
 * change; else it starts over (its etcd would know Nodes that its cloud has forgotten).
 */
function canResume(dir: string, env: NodeJS.ProcessEnv, state: SandboxState, alive: Set<string>): boolean {
  if (!state.complete) return false;
  return components({ dir, repository, state, env, python: "" }).every(
    (c) => !c.volatile || alive.has(c.name),
  );
}

function linkBinaries(dir: string, binaries: Record<string, string>): void {
  const bin = join(dir, "bin");
  rmSync(bin, { recursive: true, force: true });
  mkdirSync(bin, { recursive: true });
  // the Pulumi CLI is reached through the npm package `pulumi`, which looks in PULUMI_HOME
  for (const [name, path] of Object.entries(binaries))
    if (name !== "pulumi") symlinkSync(path, join(bin, name));
}

/** What the API server refuses here, over its own rules. */
async function applyPolicies(dir: string, policies: string): Promise<void> {
  const kubectl = join(dir, "bin/kubectl");
  await promisify(execFile)(kubectl, ["--kubeconfig", kubeconfigPath(dir, "admin"), "apply", "-f", policies]);
}

/** Ends every process of the sandbox and removes its state folder. Nothing to do is no error. */
export async function stopSandbox(
  options: Pick<SandboxOptions, "dir" | "env" | "progress"> = {},
): Promise<void> {
  const dir = sandboxDir(options);
  if (!existsSync(dir)) return;
  if (!isSandboxDir(dir)) {
    throw new Error(`${dir} is no sandbox's state folder, so nothing was removed: check SANDBOX_DIR.`);
  }
  await withLock(`${dir}.lock`, options.progress ?? silent, async () => wipe(dir));
}

async function wipe(dir: string): Promise<void> {
  const order = [...componentNames].reverse() as string[];
  const records = readRecords(dir).sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  await endProcesses(dir, records);
  // the marker goes last: a crash in between leaves a folder that is still known as ours
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}

function describe(dir: string, state: SandboxState, env: NodeJS.ProcessEnv): Sandbox {
  return {
    dir,
    kubeconfig: kubeconfigPath(dir, "admin"),
    apiUrl: apiUrl(state),
    machineRoomUrl: `http://127.0.0.1:${state.ports.machineRoom}`,
    auditLog: join(dir, "logs", "audit.log"),
    env: sandboxEnv(dir, env),
  };
}

/** The variables of a sandbox that has been started, without those of `base`. PATH is put before `base`'s PATH. */
export function sandboxVariables(dir: string, base: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const state = readState(dir);
  if (!state) throw new Error(`No sandbox in ${dir}: run \`npm run sandbox -- up\` first.`);
  const first = [
    join(repository, "node_modules/.bin"),
    join(dir, "bin"),
    join(repository, "sandbox/provider-aws/bin"),
  ];
  const rest = (base["PATH"] ?? "").split(":").filter((part) => part !== "" && !first.includes(part));
  return {
    PATCHGUARD_SANDBOX: "1",
    SANDBOX_DIR: dir,
    KUBECONFIG: kubeconfigPath(dir, "admin"),
    AWS_ENDPOINT_URL: `http://127.0.0.1:${state.ports.machineRoom}`,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "sandbox",
    AWS_SECRET_ACCESS_KEY: "sandbox",
    PULUMI_HOME: join(dir, "pulumi-home"),
    PULUMI_BACKEND_URL: `file://${join(dir, "pulumi-state")}`,
    PULUMI_CONFIG_PASSPHRASE: "sandbox",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // plugins come from PATH; what is not there must not be looked for on the internet
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    PATH: [...first, ...rest].join(":"),
  };
}

/** `base` with the sandbox's variables over it, and without what could lead to a real cloud. */
export function sandboxEnv(dir: string, base: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...base };
  for (const name of [
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_SECURITY_TOKEN",
    "PULUMI_ACCESS_TOKEN",
  ]) {
    Reflect.deleteProperty(env, name);
  }
  return { ...env, ...sandboxVariables(dir, base) };
}

export interface ComponentStatus {
  name: ComponentName;
  state: "ready" | "starting" | "ended" | "absent";
  pid?: number;
  log?: string;
}

export interface SandboxStatus {
  dir: string;
  up: boolean;
  components: ComponentStatus[];
  apiUrl?: string;
  machineRoomUrl?: string;
  /** What the machine room tells: images, instances, groups. */
  machineRoom?: unknown;
}

/** Looks at every process and asks each component. Never throws for a sandbox that is down. */
export async function sandboxStatus(
  options: Pick<SandboxOptions, "dir" | "env"> = {},
): Promise<SandboxStatus> {
  const dir = sandboxDir(options);
  const state = readState(dir);
  if (!state) {
    return { dir, up: false, components: componentNames.map((name) => ({ name, state: "absent" as const })) };
  }
  const records = new Map(readRecords(dir).map((record) => [record.name, record]));
  const ca = existsSync(certificatePaths(dir).ca) ? readFileSync(certificatePaths(dir).ca, "utf8") : "";
  const list = components({ dir, repository, state, env: options.env ?? process.env, python: "" });
  const statuses = await Promise.all(
    list.map(async ({ name, readyUrl }): Promise<ComponentStatus> => {
      const record = records.get(name);
      if (!record) return { name, state: "absent" };
      if (!isAlive(record)) return { name, state: "ended", log: record.log };
      const ready = isReady(await probe(readyUrl, ca, state.tokens["admin"]));
      return { name, state: ready ? "ready" : "starting", pid: record.pid, log: record.log };
    }),
  );
  const machineRoomUrl = `http://127.0.0.1:${state.ports.machineRoom}`;
  return {
    dir,
    up: statuses.every((status) => status.state === "ready"),
    components: statuses,
    apiUrl: apiUrl(state),
    machineRoomUrl,
    machineRoom: await askMachineRoom(machineRoomUrl),
  };
}

/** Names of recorded processes that do not run any more; a quick look that asks nobody. */
export function endedComponents(dir: string): string[] {
  return readRecords(dir)
    .filter((record) => !isAlive(record))
    .map((record) => record.name);
}

async function askMachineRoom(url: string): Promise<unknown> {
  try {
    const response = await fetch(`${url}/-/status`, { signal: AbortSignal.timeout(3000) });
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined; // not up: its component status says so
  }
}
