/** The stage for one trap of a drain: a pool of its own, a namespace of its own, and a handover that runs while the test interferes. */
import { afterEach } from "mocha";
import { sandboxStatus } from "../../sandbox/sandbox.ts";
import { Interrupted } from "../../rollout/errors.ts";
import type { Outcome } from "../../rollout/handover.ts";
import type { LogEvent, LogLine } from "../../rollout/log.ts";
import { LABEL_POOL, RUN_STATE_PREFIX, STATE_NAMESPACE } from "../watcher/names.ts";
import type { Expectation } from "../watcher/end.ts";
import type { Pod } from "../watcher/objects.ts";
import type { RequestSeen } from "../watcher/observation.ts";
import type { Watcher } from "../watcher/watcher.ts";
import { moveNodes } from "./handover.ts";
import { addFakeNodes, type FakeNode, removeFakeNodes } from "./nodes.ts";
import type { TestSandbox } from "./sandbox.ts";
import { apply, type Manifest, namespace, objectPath } from "./workloads.ts";

const [FROM, TO] = ["aaaaaaaa", "bbbbbbbb"];
const SECONDS = 60;

/** A handover under way, its log, and its end. */
export class RunningHandover {
  readonly lines: LogLine[] = [];
  /** Rejects with what the handover threw. */
  readonly done: Promise<Outcome>;
  private over = false;
  private readonly stop = new AbortController();
  private readonly listeners = new Set<() => void>();

  constructor(begin: (sink: (line: LogLine) => void, signal: AbortSignal) => Promise<Outcome>) {
    const tell = (): void => this.listeners.forEach((listener) => listener());
    this.done = begin((line) => {
      this.lines.push(line);
      tell();
    }, this.stop.signal);
    const end = (): void => {
      this.over = true;
      tell();
    };
    this.done.then(end, end); // a failure is known here before anybody waits for it
  }

  /** The first line of this kind for which `test` holds, now or later. @throws when the handover ends without it. */
  async saw(event: LogEvent, test: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void): void => {
        this.listeners.delete(look);
        clearTimeout(limit);
        act();
      };
      const look = (): void => {
        const line = this.lines.find((it) => it.event === event && test(it));
        if (line !== undefined) finish(() => resolve(line));
        else if (this.over) finish(() => reject(new Error(`the handover ended without a word of ${event}`)));
      };
      const limit = setTimeout(
        () => finish(() => reject(new Error(`no word of ${event} within ${SECONDS} s`))),
        SECONDS * 1000,
      );
      this.listeners.add(look);
      look();
    });
  }

  /** Names of the pods that it says it has evicted, each as often as it says so. */
  evicted(): string[] {
    return this.lines
      .filter(({ event }) => event === "evict")
      .map(({ pod }) => String(pod).split("/")[1] ?? "");
  }

  /** For the end of a test that failed: nothing of it goes on into the next one. */
  async end(): Promise<void> {
    this.stop.abort(new Interrupted("the test is over"));
    await this.done.catch(() => undefined);
  }
}

export class Trap {
  readonly name: string;
  readonly box: TestSandbox;
  /** For the builders of workloads: they run in the trap's namespace and on its pool, start and stop at once. */
  readonly at: {
    namespace: string;
    nodeSelector: Record<string, string>;
    start: string;
    stop: string;
  };
  readonly blue: string[] = [];
  readonly green: string[] = [];
  readonly runs: RunningHandover[] = [];

  constructor(box: TestSandbox, name: string) {
    this.box = box;
    this.name = name;
    this.at = {
      namespace: `trap-${name}`,
      nodeSelector: { [LABEL_POOL]: this.pool },
      start: "300ms",
      stop: "300ms",
    };
  }

  get pool(): string {
    return `trap-${this.name}`;
  }

  /** More nodes of the old generation. They are known to the cluster when this returns, and Ready. */
  addBlue = (count = 1, options: Partial<FakeNode> = {}): Promise<string[]> =>
    this.addNodes(this.blue, "blue", FROM, count, options);

  /** Nodes of the new generation: to be added when the pods have settled on blue. */
  addGreen = (count = 1, options: Partial<FakeNode> = {}): Promise<string[]> =>
    this.addNodes(this.green, "green", TO, count, options);

  private async addNodes(
    into: string[],
    color: string,
    generation: string,
    count: number,
    options: Partial<FakeNode>,
  ): Promise<string[]> {
    const names = Array.from({ length: count }, (_, i) => `${this.name}-${color}-${into.length + i + 1}`);
    into.push(...names);
    await addFakeNodes(
      this.box.test.api,
      names.map((name) => ({ name, pool: this.pool, generation, ...options })),
    );
    await this.box.view.nodesReady(names);
    return names;
  }

  /** Creates objects, and waits until workloads are Ready and budgets are counted. */
  async put(...objects: Manifest[]): Promise<void> {
    const { test, view } = this.box;
    await apply(test.api, ...objects);
    for (const object of objects) {
      const { name } = object.metadata;
      const { replicas = 0 } = (object["spec"] ?? {}) as { replicas?: number };
      if (object.kind === "Deployment" || object.kind === "StatefulSet")
        await view.ready(name, replicas, SECONDS, this.at.namespace);
      if (object.kind === "PodDisruptionBudget") {
        const key = `${this.at.namespace}/${name}`;
        await view.eventually(
          () => view.get("PodDisruptionBudget", key)?.status?.disruptionsAllowed !== undefined,
          { timeoutSeconds: SECONDS, describe: `budget ${key} is counted` },
        );
      }
    }
  }

  /** Like `put`, with the pods on one of the blue nodes. */
  async putOn(node: string | undefined, ...objects: Manifest[]): Promise<void> {
    const { test } = this.box;
    const others = this.blue.filter((name) => name !== node);
    for (const name of others) await test.cordon(name);
    await this.put(...objects);
    for (const name of others) await test.cordon(name, false);
  }

  pods = (app: string): Pod[] => this.box.view.podsOf(app, this.at.namespace);

  podsOn = (node: string | undefined): Pod[] =>
    this.box.view
      .pods()
      .filter(({ metadata, spec }) => metadata.namespace === this.at.namespace && spec?.nodeName === node);

  podPath = (name: string): string => `/api/v1/namespaces/${this.at.namespace}/pods/${name}`;

  /** Waits until a pod of this name is there, and `test` holds for it. */
  pod(name: string, test: (pod: Pod) => boolean = () => true): Promise<Pod> {
    const found = (): Pod | undefined => {
      const pod = this.box.view.get("Pod", `${this.at.namespace}/${name}`);
      return pod !== undefined && test(pod) ? pod : undefined;
    };
    return this.box.view.eventually(found, {
      timeoutSeconds: SECONDS,
      describe: `pod ${name} is as expected`,
    });
  }

  /** Changes what a budget of the trap asks for. */
  async setBudget(name: string, spec: { minAvailable?: number; maxUnavailable?: number }): Promise<void> {
    const { minAvailable = null, maxUnavailable = null } = spec;
    await this.box.test.api.request(
      "PATCH",
      `/apis/policy/v1/namespaces/${this.at.namespace}/poddisruptionbudgets/${name}`,
      { spec: { minAvailable, maxUnavailable } },
    );
  }

  /** Settings under which these budgets may be at zero when the handover begins: the drain then stands at them until the test lets go. */
  excepting = (...names: string[]): { preflight: object } => ({
    preflight: {
      timeoutSeconds: SECONDS,
      exceptions: names.map((name) => ({
        namespace: this.at.namespace,
        name,
        reason: "the test lets go of it",
        until: "2999-12-31",
      })),
    },
  });

  /** Starts the handover of the trap's pool, with `patchguard:rollout` on top of the tests' defaults. */
  start(rollout: object = {}): RunningHandover {
    const run = new RunningHandover((sink, signal) =>
      moveNodes({
        kubeconfig: this.box.sandbox.kubeconfig,
        pool: this.pool,
        generation: TO,
        rollout: { preflight: { timeoutSeconds: SECONDS }, ...rollout },
        sink,
        signal,
      }),
    );
    this.runs.push(run);
    return run;
  }

  /** What the watcher is to find when the handover has succeeded: blue stands closed, since no cloud deletes it here. */
  finished = (): Expectation => ({ outcome: "finished", stayClosed: { nodes: this.blue } });

  reopened = (): Expectation => ({ outcome: "reopened" });

  async dispose(): Promise<void> {
    const { test, view } = this.box;
    for (const run of this.runs) await run.end();
    const gone = (path: string): Promise<unknown> => test.api.request("DELETE", path).catch(() => undefined);
    await gone(objectPath(namespace(this.at.namespace)));
    await gone(`/api/v1/namespaces/${STATE_NAMESPACE}/configmaps/${RUN_STATE_PREFIX}${this.pool}`);
    await view.eventually(
      () => view.pods().every(({ metadata }) => metadata.namespace !== this.at.namespace),
      { timeoutSeconds: SECONDS, describe: `the pods of ${this.at.namespace} are gone` },
    );
    await removeFakeNodes(test.api, [...this.blue, ...this.green]);
    await view.eventually(
      () => view.nodes().every(({ metadata }) => !metadata.name.startsWith(`${this.name}-`)),
      { timeoutSeconds: SECONDS, describe: `the nodes of ${this.pool} are gone` },
    );
  }
}

/** Stops kube-controller-manager in its tracks: what it would have done has not happened yet. @returns what lets it go on. */
export async function pauseControllers({ sandbox }: TestSandbox): Promise<() => void> {
  const { components } = await sandboxStatus({ dir: sandbox.dir });
  const pid = components.find(({ name }) => name === "kube-controller-manager")?.pid;
  if (pid === undefined) throw new Error("kube-controller-manager does not run");
  process.kill(pid, "SIGSTOP");
  return () => process.kill(pid, "SIGCONT");
}

/** In the present mocha suite: makes the stage of a test, and clears it away behind it. A failed test shows the run's log. */
export function useTraps(sandbox: () => TestSandbox): (name: string, blue?: number) => Promise<Trap> {
  let traps: Trap[] = [];

  afterEach("clear the stage", async function () {
    this.timeout(180_000);
    if (this.currentTest?.state === "failed")
      for (const { runs } of traps)
        for (const { lines } of runs)
          for (const { time, event, message } of lines) console.log(`    ${time} ${event}: ${message}`);
    const over = traps;
    traps = [];
    for (const trap of over) await trap.dispose();
  });

  return async (name, blue = 1) => {
    const trap = new Trap(sandbox(), name);
    traps.push(trap);
    await apply(trap.box.test.api, namespace(trap.at.namespace));
    await trap.addBlue(blue);
    return trap;
  };
}

/** How often PatchGuard asked the API server to evict a pod, dry runs and refusals included. */
export const timesAsked = (
  watcher: Watcher,
  pod: { metadata: { name: string; namespace?: string } },
): number =>
  watcher.recording.filter(
    (it): it is RequestSeen =>
      it.type === "request" &&
      it.actor.name === "patchguard" &&
      it.subresource === "eviction" &&
      it.name === pod.metadata.name &&
      it.namespace === (pod.metadata.namespace ?? "default"),
  ).length;
