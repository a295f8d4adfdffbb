/** The real Pulumi CLI on this project, with a stack config of the test's own and no file left in the repository. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { repository } from "../../sandbox/sandbox.ts";
import { descendants, type Process, signal, survivors } from "./processes.ts";

/** For example `{ "aws:region": "us-east-1", "patchguard:pools": [...] }`. */
export type StackConfig = Record<string, unknown>;

export interface Result {
  /** Undefined when the CLI was killed. */
  code: number | undefined;
  stdout: string;
  stderr: string;
  /** Both, as they came. */
  output: string;
  seconds: number;
}

const PROJECT = "patchguard";
const TAIL = 6000;

/** A running CLI. */
export class Run {
  readonly done: Promise<Result>;
  private readonly child: ChildProcess;
  private readonly what: string;
  private stdout = "";
  private stderr = "";
  private text = "";
  private readonly waiting = new Set<() => void>();
  private below: Process[] = [];

  constructor(binary: string, args: string[], cwd: string, env: NodeJS.ProcessEnv) {
    this.what = `pulumi ${args[0] ?? ""}`;
    const began = Date.now();
    this.child = spawn(binary, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    const take = (name: "stdout" | "stderr") => (chunk: string) => {
      this[name] += chunk;
      this.text += chunk;
      for (const ask of [...this.waiting]) ask();
    };
    this.child.stdout?.setEncoding("utf8").on("data", take("stdout"));
    this.child.stderr?.setEncoding("utf8").on("data", take("stderr"));
    this.done = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      // "exit", not "close": an orphaned plugin may keep the pipes open after the CLI was killed
      this.child.on("exit", (code) => {
        const seconds = (Date.now() - began) / 1000;
        setImmediate(() => {
          resolve({
            code: code ?? undefined,
            stdout: this.stdout,
            stderr: this.stderr,
            output: this.text,
            seconds,
          });
          for (const ask of [...this.waiting]) ask();
        });
      });
    });
  }

  get output(): string {
    return this.text;
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Waits until the output matches. Fails when the CLI ends, or the time is over, without it. */
  async saw(pattern: RegExp, timeoutSeconds = 300): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.waiting.delete(ask);
        clearTimeout(limit);
      };
      const fail = (why: string): void => {
        stop();
        reject(
          new Error(`${this.what} ${why} before it printed ${pattern.source}:\n${this.text.slice(-TAIL)}`),
        );
      };
      const ask = (): void => {
        const match = pattern.exec(this.text);
        if (match !== null) {
          stop();
          resolve(match);
        } else if (this.ended) {
          fail("ended");
        }
      };
      const limit = setTimeout(() => fail(`ran ${timeoutSeconds} s`), timeoutSeconds * 1000);
      this.waiting.add(ask);
      ask();
    });
  }

  /** As one Ctrl-C that reaches the CLI alone. */
  interrupt(): void {
    this.below = descendants(this.pid);
    this.child.kill("SIGINT");
  }

  /** SIGKILL of the CLI only: its plugins and programs are left to themselves. */
  async killCli(): Promise<Result> {
    this.below = descendants(this.pid);
    this.child.kill("SIGKILL");
    return this.done;
  }

  /** SIGKILL of the dynamic provider (or of any process below the CLI whose command line matches). */
  killBelow(pattern: RegExp): Process[] {
    const victims = descendants(this.pid).filter(({ command }) => pattern.test(command));
    for (const { pid } of victims) signal(pid, "SIGKILL");
    return victims;
  }

  /** SIGKILL of the CLI and of everything below it, at once. */
  async killEverything(): Promise<Result> {
    signal(this.pid, "SIGSTOP"); // so that it starts nothing more meanwhile
    this.below = descendants(this.pid);
    signal(this.pid, "SIGKILL");
    for (const { pid } of this.below) signal(pid, "SIGKILL");
    return this.done;
  }

  /** What still runs of the processes below the CLI, as they were when it was killed. */
  orphans(): Process[] {
    return survivors(this.below);
  }

  /** Ends whatever is left. */
  cleanUp(): void {
    if (!this.ended) this.below = descendants(this.pid);
    for (const { pid } of survivors(this.below)) signal(pid, "SIGKILL");
    if (!this.ended) this.child.kill("SIGKILL");
  }

  private get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.what} did not start`);
    return this.child.pid;
  }
}

/** A resource in the state, as `pulumi stack export` shows it. */
export interface StateResource {
  urn: string;
  type: string;
  id?: string;
  custom?: boolean;
  delete?: boolean;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
}

export interface State {
  resources: StateResource[];
  pending_operations?: { type: string; resource: StateResource }[];
}

/** What `preview --json` tells of each step. */
export interface Step {
  op: string;
  urn: string;
}

export class Stack {
  readonly name: string;
  readonly configFile: string;
  private readonly folder: string;
  private readonly binary: string;
  private readonly env: NodeJS.ProcessEnv;
  private readonly runs: Run[] = [];
  private salt = "";
  private settings: StackConfig;

  private constructor(sandbox: Sandbox, name: string, config: StackConfig, env: NodeJS.ProcessEnv) {
    this.name = name;
    this.settings = config;
    this.env = { ...sandbox.env, ...env };
    this.folder = mkdtempSync(join(tmpdir(), `patchguard-${name}-`));
    this.configFile = join(this.folder, "config.yaml");
    this.binary = cliOf(sandbox.dir);
  }

  /** Makes an empty stack. `env` goes over the sandbox's environment. */
  static async create(
    sandbox: Sandbox,
    config: StackConfig,
    { name = "test", env = {} }: { name?: string; env?: NodeJS.ProcessEnv } = {},
  ): Promise<Stack> {
    const stack = new Stack(sandbox, name, config, env);
    // the CLI writes the new stack's salt beside the project file: so that is made elsewhere
    writeFileSync(join(stack.folder, "Pulumi.yaml"), `name: ${PROJECT}\nruntime: nodejs\n`);
    const init = ["stack", "init", name, "--non-interactive"];
    mustSucceed(await new Run(stack.binary, init, stack.folder, stack.env).done);
    const written = readFileSync(join(stack.folder, `Pulumi.${name}.yaml`), "utf8");
    stack.salt = /^encryptionsalt: (.+)$/m.exec(written)?.[1] ?? "";
    stack.configure(config);
    return stack;
  }

  get config(): StackConfig {
    return this.settings;
  }

  /** Replaces the whole config; the next run sees it. */
  configure(config: StackConfig): void {
    this.settings = config;
    // JSON is YAML
    writeFileSync(this.configFile, JSON.stringify({ encryptionsalt: this.salt, config }, null, 2));
  }

  /** Starts any command that takes --stack and --config-file. */
  start(command: string, ...args: string[]): Run {
    const common = ["--stack", this.name, "--non-interactive", "--color", "never"];
    const run = new Run(
      this.binary,
      [command, ...common, "--config-file", this.configFile, ...args],
      repository,
      this.env,
    );
    this.runs.push(run);
    return run;
  }

  /** Starts `up` without the preview that it otherwise makes first. */
  startUp(...args: string[]): Run {
    return this.start("up", "--yes", "--skip-preview", ...args);
  }

  /** `up` to its end, whatever that is. */
  async up(...args: string[]): Promise<Result> {
    return this.startUp(...args).done;
  }

  async preview(...args: string[]): Promise<Result> {
    return this.start("preview", ...args).done;
  }

  /** The steps of a preview that succeeds, without those that change nothing. */
  async previewSteps(...args: string[]): Promise<Step[]> {
    const { stdout } = mustSucceed(await this.preview("--json", ...args));
    const { steps = [] } = JSON.parse(stdout) as { steps?: Step[] };
    return steps.filter(({ op }) => op !== "same");
  }

  async destroy(...args: string[]): Promise<Result> {
    return this.start("destroy", "--yes", "--skip-preview", "--run-program", ...args).done;
  }

  /** Takes the lock away that a killed CLI left behind. */
  async cancel(): Promise<Result> {
    const args = ["cancel", this.name, "--yes", "--non-interactive", "--color", "never"];
    return new Run(this.binary, args, repository, this.env).done;
  }

  async exportState(): Promise<State> {
    const args = ["stack", "export", "--stack", this.name];
    const { stdout } = mustSucceed(await new Run(this.binary, args, repository, this.env).done);
    const { deployment } = JSON.parse(stdout) as { deployment: Partial<State> };
    return { ...deployment, resources: deployment.resources ?? [] };
  }

  /** Ends what still runs, and removes the folder with the config. */
  dispose(): void {
    for (const run of this.runs) run.cleanUp();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The CLI itself, not the npm package's launcher: to kill it means to kill the engine. */
function cliOf(sandboxDir: string): string {
  const versions = join(sandboxDir, "pulumi-home", "versions");
  const [version] = readdirSync(versions);
  if (version === undefined) throw new Error(`no Pulumi CLI in ${versions}`);
  return join(versions, version, "bin", "pulumi");
}

/** The result, or an error with the end of the output when the CLI did not exit with 0. */
export function mustSucceed(result: Result): Result {
  if (result.code === 0) return result;
  throw new Error(`pulumi ended with ${result.code ?? "a kill"}:\n${result.output.slice(-TAIL)}`);
}

/** The result of a run that had to fail, and say why. */
export function mustFail(result: Result, saying: RegExp): Result {
  if (result.code === 0) throw new Error(`pulumi succeeded, but had to fail:\n${result.output.slice(-TAIL)}`);
  if (!saying.test(result.output)) {
    throw new Error(`pulumi failed without saying ${saying.source}:\n${result.output.slice(-TAIL)}`);
  }
  return result;
}
