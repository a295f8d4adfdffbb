/** The state folder of one sandbox: what was chosen at its first start, and whether the folder is one of ours at all. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { portNames, type Ports } from "./ports.ts";

/** Timing of the simulated cloud, in seconds; see docs of the machine room. */
export const knobDefaults = {
  SANDBOX_BOOT_SECONDS: "3",
  SANDBOX_CREATE_SECONDS: "3",
  SANDBOX_TOKEN_SECONDS: "900",
} as const;
export type Knobs = Record<keyof typeof knobDefaults, string>;

export interface SandboxState {
  version: 1;
  /** ISO time of the first start. */
  createdAt: string;
  ports: Ports;
  /** Timing and every other SANDBOX_* variable of the first `up`. */
  knobs: Record<string, string>;
  /** Bearer tokens by user name of the API server. */
  tokens: Record<string, string>;
  /** Where each binary was found: name to path. */
  binaries: Record<string, string>;
  /** True once every component has been ready. */
  complete: boolean;
}

const MARKER = ".patchguard-sandbox";
const FILE = "sandbox.json";

/** The state folder: `$SANDBOX_DIR`, else `.sandbox` in the repository. */
export function stateDir(env: NodeJS.ProcessEnv, repository: string): string {
  return env["SANDBOX_DIR"] ? resolve(env["SANDBOX_DIR"]) : join(repository, ".sandbox");
}

/** Takes possession of `dir`. A folder with somebody else's files is refused, because `down` wipes it. */
export function claimDir(dir: string): void {
  if (existsSync(dir) && !isSandboxDir(dir) && readdirSync(dir).length > 0) {
    throw new Error(`${dir} has files that are no sandbox's: choose an empty or new folder in SANDBOX_DIR.`);
  }
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, MARKER), "State of a PatchGuard sandbox; `npm run sandbox -- down` removes it.\n");
}

export function isSandboxDir(dir: string): boolean {
  return existsSync(join(dir, MARKER));
}

/** The state, or undefined when there is none or it is half-written or of another version. */
export function readState(dir: string): SandboxState | undefined {
  const path = join(dir, FILE);
  if (!existsSync(path)) return undefined;
  try {
    const state = JSON.parse(readFileSync(path, "utf8")) as SandboxState;
    const whole =
      state.version === 1 &&
      portNames.every((name) => Number.isInteger(state.ports?.[name])) &&
      state.tokens &&
      state.knobs;
    return whole ? state : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export function writeState(dir: string, state: SandboxState): void {
  const path = join(dir, FILE);
  writeFileSync(`${path}.tmp`, JSON.stringify(state, null, 2) + "\n", { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

/** Users of the API server; kept apart so that the audit log tells who did what. */
export const users = ["admin", "machine-room", "kwok", "kube-controller-manager", "kube-scheduler"] as const;
export type User = (typeof users)[number];

export function newState(
  ports: Ports,
  env: NodeJS.ProcessEnv,
  binaries: Record<string, string>,
): SandboxState {
  const knobs: Record<string, string> = { ...knobDefaults };
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith("SANDBOX_") && name !== "SANDBOX_DIR" && value) knobs[name] = value;
  }
  return {
    version: 1,
    createdAt: new Date().toISOString(),
    ports,
    knobs,
    tokens: Object.fromEntries(users.map((user) => [user, randomBytes(24).toString("hex")])),
    binaries,
    complete: false,
  };
}
