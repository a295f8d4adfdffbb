/**
 * `npm run demo`: the whole story in one command, on real parts. Exit 0 only if all promises held.
 *
 * Sandbox up, six blue nodes in three zones, workloads, `pulumi up` with the next image, the handover as a live picture, what
 * the independent watcher saw, all of it torn down again.
 */
import { spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { showViolation } from "../test/watcher/observation.ts";
import { Watcher } from "../test/watcher/watcher.ts";
import { ClusterView } from "./demo/cluster-view.ts";
import { imagesInUse } from "./demo/images-in-use.ts";
import { LEGEND, picture } from "./demo/picture.ts";
import { Screen } from "./demo/screen.ts";
import { imageByName } from "./images.ts";
import { repository, startSandbox, stopSandbox, type Sandbox } from "./sandbox.ts";
import { terminalProgress } from "./terminal.ts";

const STACK = "sandbox";
const A = imageByName("good-a");
const B = imageByName("good-b");

const screen = new Screen();
const bold = (text: string): string => (screen.live ? `\u001b[1m${text}\u001b[0m` : text);

async function main(): Promise<boolean> {
  const dir = path.join(repository, ".sandbox-demo");
  const folder = mkdtempSync(path.join(tmpdir(), "patchguard-demo-"));
  const began = Date.now();
  screen.say(bold("1. A cloud in a box: etcd, API server, controllers, scheduler, KWOK, moto, Pulumi"));
  await stopSandbox({ dir });
  const box = await startSandbox({
    dir,
    env: { ...process.env, PATCHGUARD_LOG_DIR: folder },
    progress: terminalProgress(),
  });
  let kept = true;
  try {
    const held = await story(box, folder);
    kept = !held;
    screen.say();
    screen.say(
      held
        ? bold(`All promises held. ${Math.round((Date.now() - began) / 1000)} s in all.`)
        : bold("Not all promises held: see above."),
    );
    return held;
  } finally {
    await stopSandbox({ dir });
    if (kept) screen.say(`What pulumi said, and the run log: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
}

async function story(box: Sandbox, folder: string): Promise<boolean> {
  const view = new ClusterView(box.kubeconfig);
  const config = path.join(folder, `Pulumi.${STACK}.yaml`);
  copyFileSync(path.join(repository, `Pulumi.${STACK}.yaml`), config);

  screen.say();
  screen.say(bold(`2. pulumi up with image A (${A.name}, ${A.id}): six nodes in three zones`));
  await pulumi(box, folder, ["stack", "init", STACK], "init");
  await whileDrawing(view, "", up(box, folder, config, "up-a"));
  const blue = (await view.nodes())[0]?.generation ?? "";
  await run(
    box,
    folder,
    "kubectl",
    ["apply", "-f", path.join(repository, "sandbox/demo/workloads.yaml")],
    "workloads",
  );
  await whileDrawing(view, blue, untilWhole(view, 120));
  screen.say(
    "   A web Deployment of 9 (2 may be down), a Kafka-like StatefulSet of 3 with zonal volumes (2 must be up), a DaemonSet.",
  );
  for (const line of picture(await view.nodes(), blue, screen.live)) screen.say(`   ${line}`);

  screen.say();
  screen.say(bold(`3. The only edit: ami: ${B.id} (${B.name}). pulumi up again; the handover, live:`));
  const text = readFileSync(config, "utf8");
  if (!text.includes(A.id))
    throw new Error(`Pulumi.${STACK}.yaml does not pin ${A.id}, which the demo starts from`);
  writeFileSync(config, text.replaceAll(A.id, B.id));
  const watcher = await Watcher.start({ kubeconfig: box.kubeconfig, auditLog: box.auditLog });
  const started = Date.now();
  const feed = new Feed(folder);
  await whileDrawing(view, blue, up(box, folder, config, "up-b"), feed);
  feed.flush();
  const seconds = Math.round((Date.now() - started) / 1000);
  const violations = await watcher.finish({ outcome: "finished" });
  return account(box, view, watcher, violations.map(showViolation), blue, seconds);
}

/** What was proven, in plain words; every line is checked, none is only printed. */
async function account(
  box: Sandbox,
  view: ClusterView,
  watcher: Watcher,
  violations: string[],
  blue: string,
  seconds: number,
): Promise<boolean> {
  const nodes = await view.nodes();
  const summary = watcher.summary();
  const moves = Object.values(summary.moves);
  const others = summary.otherEnds.join("; ");
  const checks: [boolean, string][] = [
    [
      violations.length === 0,
      `The watcher, which knows nothing of PatchGuard's code, saw ${violations.length} broken promises.`,
    ],
    ...Object.entries(summary.budgets).map(([name, budget]): [boolean, string] => [
      budget.breaches === 0,
      `Budget ${name}: at most ${budget.maxUnavailable} unavailable at once, ${budget.breaches} times below what it wants.`,
    ]),
    [
      moves.length === 12 && moves.every(({ total }) => total === 1),
      `${moves.length} of 12 pods moved, each ${Math.max(0, ...moves.map(({ total }) => total))} time.`,
    ],
    [
      others === "",
      `Pods ended in any other way than by an eviction within their budget: ${others || "none"}.`,
    ],
    [
      !nodes.some(({ generation }) => generation === blue),
      `Blue is deleted: ${nodes.filter(({ generation }) => generation === blue).length} of its 6 nodes are left.`,
    ],
    [nodes.length === 6 && nodes.every(({ ready }) => ready), `${nodes.length} green nodes are Ready.`],
    [await view.whole(), `Every workload is whole.`],
    ...(await onImageB(box)),
  ];
  screen.say();
  screen.say(bold(`4. What was proven (the handover took ${seconds} s)`));
  for (const [held, text] of checks) screen.say(`   ${held ? "✔" : "✘"} ${text}`);
  for (const violation of violations) screen.say(`     ${violation}`);
  return checks.every(([held]) => held);
}

/** Asked of the cloud itself, not of PatchGuard. */
async function onImageB(box: Sandbox): Promise<[boolean, string][]> {
  const { instances, templates } = await imagesInUse(box.machineRoomUrl);
  const all = (images: (string | undefined)[]): boolean =>
    images.length > 0 && images.every((image) => image === B.id);
  return [
    [all(instances), `${instances.length} running instances, all launched from ${B.id}.`],
    [all(templates), `${templates.length} templates that can launch a node, all with ${B.id}.`],
  ];
}

const up = (box: Sandbox, folder: string, config: string, name: string): Promise<void> =>
  pulumi(box, folder, ["up", "--yes", "--skip-preview", "--stack", STACK, "--config-file", config], name);

const pulumi = (box: Sandbox, folder: string, args: string[], name: string): Promise<void> =>
  run(box, folder, "pulumi", [...args, "--non-interactive", "--color", "never"], name);

/** Runs a program in the sandbox's environment; what it says goes to a file, the end of which is shown when it fails. */
async function run(
  box: Sandbox,
  folder: string,
  command: string,
  args: string[],
  name: string,
): Promise<void> {
  const env = { ...box.env, PATCHGUARD_LOG_DIR: folder };
  const child = spawn(command, args, { cwd: repository, env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  writeFileSync(path.join(folder, `${name}.txt`), said);
  if (code === 0) return;
  screen.say(said.split("\n").slice(-40).join("\n"));
  throw new Error(`${command} ${args[0]} ended with ${code}`);
}

/** The run log's lines as they are written. */
class Feed {
  private readonly folder: string;
  private readonly earlier: Set<string>;
  /** Lines told of each file: gate, handover and guards write one each, side by side. */
  private readonly told = new Map<string, number>();
  private last: string[] = [];
  constructor(folder: string) {
    this.folder = path.join(folder, `patchguard-${STACK}`);
    this.earlier = new Set(this.files()); // image A's own run log is not part of the story
  }
  read(): string[] {
    for (const file of this.files()) {
      const lines = readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line.endsWith("}"));
      for (const line of lines.slice(this.told.get(file) ?? 0)) {
        const { message, event } = JSON.parse(line) as { message: string; event: string };
        if (TOLD.has(event)) screen.say(`   ${message}`);
        this.last = [...this.last, message].slice(-3);
      }
      this.told.set(file, lines.length);
    }
    return this.last;
  }
  flush(): void {
    this.read();
  }
  private files(): string[] {
    if (!existsSync(this.folder)) return [];
    return readdirSync(this.folder)
      .filter((name) => name.endsWith(".ndjson")) // the evidence stands beside the run logs
      .map((name) => path.join(this.folder, name))
      .filter((file) => !this.earlier?.has(file));
  }
}

/** Events of the run log that the reader is told; the picture shows the rest. */
const TOLD = new Set([
  "start",
  "preflight",
  "green",
  "close",
  "node-drained",
  "relax",
  "blocked",
  "hold",
  "rollback",
  "finish",
]);

async function whileDrawing(
  view: ClusterView,
  blue: string,
  work: Promise<void>,
  feed?: Feed,
): Promise<void> {
  let done = false;
  const ended = work.finally(() => (done = true));
  ended.catch(() => undefined); // awaited below; here only so that a failure while drawing is not "unhandled"
  while (!done) {
    const said = feed?.read() ?? [];
    if (screen.live) {
      const nodes = await view.nodes();
      screen.draw([
        "",
        ...picture(nodes, blue || (nodes[0]?.generation ?? ""), true).map((line) => `   ${line}`),
        `   ${LEGEND}`,
        "",
        ...said.map((line) => `   ${line}`),
      ]);
    }
    await Promise.race([ended.catch(() => undefined), delay(400)]);
  }
  screen.clear();
  await ended;
}

async function untilWhole(view: ClusterView, timeoutSeconds: number): Promise<void> {
  const deadline = Date.now() + timeoutSeconds * 1000;
  while (!(await view.whole())) {
    if (Date.now() > deadline)
      throw new Error(`the demo's workloads were not whole within ${timeoutSeconds} s`);
    await delay(500);
  }
}

main().then(
  (held) => (process.exitCode = held ? 0 : 1),
  (error: unknown) => {
    screen.say(`demo: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  },
);
