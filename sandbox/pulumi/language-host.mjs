// The Node.js language host for a Pulumi CLI that was built with Go and has none. The engine starts it through the
// wrapper `pulumi-language-nodejs`, with its own address as the last argument, reads a port from the first line of
// stdout and talks gRPC (LanguageRuntime). Used only where the official CLI cannot be had.
//
// Implemented: what `pulumi preview|up|refresh|destroy|about|install` ask for. Not implemented, and answered with
// UNIMPLEMENTED: code generation (GenerateProgram, GenerateProject, GeneratePackage, Pack, Link, Template) and
// RunPlugin (providers without an executable of their own).
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const own = createRequire(import.meta.url);
const grpc = own("@grpc/grpc-js");
const { LanguageRuntimeService } = own("@pulumi/pulumi/proto/language_grpc_pb.js");
const language = own("@pulumi/pulumi/proto/language_pb.js");
const plugin = own("@pulumi/pulumi/proto/plugin_pb.js");
const { Empty } = own("google-protobuf/google/protobuf/empty_pb.js");

/** The code with which a program ends whose errors have been shown already. */
const BAIL = 32;
const MAX_MESSAGE_BYTES = 400 * 1024 * 1024;
/** How long a program may take to end after SIGTERM. */
const KILL_AFTER_MS = 3000;

let engineAddress = process.argv.at(-1) ?? "";
const running = new Set();

/** Starts a child that `endAll` knows. */
function start(command, args, options) {
  const child = spawn(command, args, options);
  running.add(child);
  child.on("close", () => running.delete(child));
  return child;
}

/** Ends every child: SIGTERM first, SIGKILL after 3 s; resolves when all are gone. */
async function endAll() {
  await Promise.all(
    [...running].map((child) => {
      if (child.exitCode !== null || child.signalCode !== null) return undefined;
      return new Promise((resolve) => {
        const timer = setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS);
        child.once("exit", () => {
          clearTimeout(timer);
          resolve();
        });
        child.kill("SIGTERM");
      });
    }),
  );
}

async function endAndExit() {
  await endAll();
  process.exit(0);
}

/** Runtime options of the project (`runtime.options` in Pulumi.yaml). */
function optionsOf(info) {
  return info?.getOptions()?.toJavaScript() ?? {};
}

/** Environment of the program: configuration, and how TypeScript is to be read. */
function programEnvironment(request, options) {
  const config = Object.fromEntries(request.getConfigMap().getEntryList());
  const env = {
    ...process.env,
    PULUMI_CONFIG: JSON.stringify(config),
    PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
  };
  if (options.typescript !== false) env.PULUMI_NODEJS_TYPESCRIPT = "true";
  if (options.tsconfig) env.PULUMI_NODEJS_TSCONFIG_PATH = options.tsconfig;
  return env;
}

/** The program's own @pulumi/pulumi: its copy of the SDK must be the one that runs it. */
function runnerFor(folder) {
  try {
    return createRequire(join(folder, "package.json")).resolve("@pulumi/pulumi/cmd/run");
  } catch {
    throw new Error(`@pulumi/pulumi is not installed in ${folder} or above: run npm ci there`);
  }
}

function run(call, answer) {
  const request = call.request;
  const info = request.getInfo();
  const response = new language.RunResponse();
  const options = optionsOf(info);
  let args;
  try {
    args = [
      ...(options.nodeargs ? String(options.nodeargs).split(/\s+/).filter(Boolean) : []),
      runnerFor(info?.getProgramDirectory() || request.getPwd()),
      ...["--monitor", request.getMonitorAddress()],
      ...["--engine", engineAddress],
      ...["--organization", request.getOrganization() || "organization"],
      ...["--project", request.getProject()],
      ...["--stack", request.getStack()],
      ...["--pwd", request.getPwd()],
      ...["--parallel", String(request.getParallel())],
    ];
  } catch (error) {
    response.setError(error.message);
    answer(null, response);
    return;
  }
  if (info?.getRootDirectory()) args.push("--root-directory", info.getRootDirectory());
  if (request.getDryrun()) args.push("--dry-run");
  if (request.getQuerymode()) args.push("--query-mode");
  args.push(info?.getEntryPoint() || request.getProgram() || ".", ...request.getArgsList());

  const child = start("node", args, {
    cwd: request.getPwd(),
    env: programEnvironment(request, options),
    stdio: ["ignore", "inherit", "inherit"],
  });
  call.on("cancelled", () => void endAll());
  child.once("error", (error) => {
    response.setError(`node cannot be started: ${error.message}`);
    answer(null, response);
  });
  child.once("exit", (code, signal) => {
    if (code === BAIL) response.setBail(true);
    else if (signal) response.setError(`the program was ended by ${signal}`);
    else if (code !== 0) response.setError(`the program ended with exit code ${code}`);
    answer(null, response);
  });
}

/** `pulumi install`: npm, its output shown as it comes. */
function installDependencies(call) {
  const folder = call.request.getInfo()?.getProgramDirectory() || call.request.getDirectory();
  const command = existsSync(join(folder, "package-lock.json")) ? "ci" : "install";
  const child = start("npm", [command, "--no-audit", "--no-fund"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const send = (field) => (chunk) => call.write(new language.InstallDependenciesResponse()[field](chunk));
  child.stdout.on("data", send("setStdout"));
  child.stderr.on("data", send("setStderr"));
  const fail = (details) => call.emit("error", { code: grpc.status.UNKNOWN, details });
  call.on("cancelled", () => void endAll());
  child.once("error", (error) => fail(`npm cannot be started: ${error.message}`));
  child.once("close", (code) =>
    code === 0 ? call.end() : fail(`npm ${command} in ${folder} ended with ${code}`),
  );
}

/** What package.json asks for, at the versions that are installed (`pulumi about`). */
function getProgramDependencies(call, answer) {
  const folder = call.request.getInfo()?.getProgramDirectory() || call.request.getPwd();
  const response = new language.GetProgramDependenciesResponse();
  const file = join(folder, "package.json");
  const declared = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")).dependencies ?? {}) : {};
  for (const [name, range] of Object.entries(declared)) {
    const installed = join(folder, "node_modules", name, "package.json");
    const version = existsSync(installed) ? JSON.parse(readFileSync(installed, "utf8")).version : range;
    const entry = new language.DependencyInfo();
    entry.setName(name);
    entry.setVersion(version);
    response.addDependencies(entry);
  }
  answer(null, response);
}

const service = Object.fromEntries(
  Object.keys(LanguageRuntimeService).map((name) => [
    name,
    (call, answer) => {
      const error = {
        code: grpc.status.UNIMPLEMENTED,
        details: `${name} is not served by the sandbox's language host`,
      };
      if (answer) answer(error);
      else call.emit("error", error);
    },
  ]),
);
Object.assign(service, {
  handshake: (call, answer) => {
    engineAddress = call.request.getEngineAddress() || engineAddress;
    answer(null, new language.LanguageHandshakeResponse());
  },
  // plugins are found on PATH; the engine learns of each from the resources' package names
  getRequiredPlugins: (_call, answer) => answer(null, new language.GetRequiredPluginsResponse()),
  getRequiredPackages: (_call, answer) => answer(null, new language.GetRequiredPackagesResponse()),
  getPluginInfo: (_call, answer) => {
    const info = new plugin.PluginInfo();
    info.setVersion(own("@pulumi/pulumi/package.json").version);
    answer(null, info);
  },
  runtimeOptionsPrompts: (_call, answer) => answer(null, new language.RuntimeOptionsResponse()),
  about: (_call, answer) => {
    const response = new language.AboutResponse();
    response.setExecutable(process.execPath);
    response.setVersion(process.version);
    answer(null, response);
  },
  cancel: (_call, answer) => {
    void endAll();
    answer(null, new Empty());
  },
  run,
  installDependencies,
  getProgramDependencies,
});

// The engine may be killed outright: then nobody calls Cancel, and the program must not go on without it. Our parent is
// the engine itself (the wrapper execs); when it is gone, another process is our parent.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) void endAndExit();
}, 500).unref();
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
  // Ctrl-C reaches the whole group at once, but the engine decides what becomes of the program
  process.on(signal, () => (signal === "SIGINT" ? undefined : void endAndExit()));
}

const server = new grpc.Server({
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
});
server.addService(LanguageRuntimeService, service);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) {
    process.stderr.write(`The language host cannot listen: ${error.message}\n`);
    process.exit(1);
  }
  process.stdout.write(`${port}\n`);
});
