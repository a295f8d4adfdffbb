/** A sandbox of its own for a test file, and what tests reach for in it. */
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before } from "mocha";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { startSandbox, stopSandbox } from "../../sandbox/sandbox.ts";
import type { Expectation } from "../watcher/end.ts";
import type { Summary } from "../watcher/summary.ts";
import type { WatcherOptions } from "../watcher/watcher.ts";
import { Watcher } from "../watcher/watcher.ts";
import { Actor } from "./actors.ts";
import { ClusterView } from "./cluster-view.ts";

/** A first start may have to build binaries. */
const START_MINUTES = 25;

export class TestSandbox {
  readonly sandbox: Sandbox;
  readonly view: ClusterView;
  /** Acts as the test itself: for set-up. */
  readonly test: Actor;
  readonly kubectl: Actor;
  readonly patchguard: Actor;
  readonly cloud: Actor;

  constructor(sandbox: Sandbox, view: ClusterView) {
    this.sandbox = sandbox;
    this.view = view;
    this.test = Actor.test(sandbox.kubeconfig);
    this.kubectl = Actor.kubectl(sandbox.kubeconfig);
    this.patchguard = Actor.patchguard(sandbox.kubeconfig);
    this.cloud = Actor.cloud(sandbox.kubeconfig);
  }

  /** Starts a watcher over this sandbox's API server. */
  async watch(options: Partial<WatcherOptions> = {}): Promise<Watcher> {
    const { kubeconfig, auditLog } = this.sandbox;
    return Watcher.start({ kubeconfig, auditLog, ...options });
  }

  /** Runs `body` under a watcher, and fails when a promise was broken. */
  watched = async (
    body: (watcher: Watcher) => Promise<Expectation | void>,
    options: Partial<WatcherOptions> = {},
  ): Promise<Summary> => {
    const watcher = await this.watch(options);
    try {
      const expectation = await body(watcher);
      return await watcher.finishClean(expectation ?? undefined);
    } finally {
      watcher.stop();
    }
  };
}

/**
 * Registers the start and the stop of a sandbox in the present mocha suite; the returned function gives it to the
 * tests. `knobs` are the sandbox's SANDBOX_* variables. With PATCHGUARD_TEST_SANDBOX=<folder> an existing sandbox is
 * used and left running: for quick repetition by hand. Where KEEP_LOGS=<folder> is set, logs of a suite stay there.
 */
export function useSandbox(knobs: Record<string, string> = {}): () => TestSandbox {
  let current: TestSandbox | undefined;
  const shared = process.env["PATCHGUARD_TEST_SANDBOX"];

  before("start a sandbox", async function () {
    this.timeout(START_MINUTES * 60_000);
    const dir = shared ?? join(mkdtempSync(join(tmpdir(), "patchguard-test-")), "sandbox");
    const sandbox = await startSandbox({ dir, env: { ...process.env, ...knobs } });
    current = new TestSandbox(sandbox, await ClusterView.start(Actor.test(sandbox.kubeconfig).api));
  });

  after("stop the sandbox", async function () {
    this.timeout(120_000);
    if (current === undefined) return;
    current.view.stop();
    const { dir } = current.sandbox;
    const keep = process.env["KEEP_LOGS"];
    if (keep !== undefined && existsSync(join(dir, "logs"))) {
      cpSync(join(dir, "logs"), join(keep, this.test?.parent?.title.replace(/\W+/g, "-") ?? "suite"), {
        recursive: true,
      });
    }
    if (shared !== undefined) return;
    await stopSandbox({ dir });
    rmSync(dirname(dir), { recursive: true, force: true });
  });

  return () => {
    if (current === undefined) throw new Error("the sandbox is not up: ask for it inside a test or a hook");
    return current;
  };
}
