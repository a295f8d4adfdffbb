/** One stack and its shop through a chain of image changes, each of them killed somewhere and then resumed. */
import assert from "node:assert/strict";
import { imagesInUse } from "../../sandbox/demo/images-in-use.ts";
import { type Image, imageByName } from "../../sandbox/images.ts";
import type { Node } from "../watcher/objects.ts";
import type { Summary } from "../watcher/summary.ts";
import type { Watcher } from "../watcher/watcher.ts";
import { eventually } from "./cluster-view.ts";
import { mustSucceed, type Run, Stack } from "./pulumi.ts";
import { RunLogs } from "./run-log.ts";
import type { TestSandbox } from "./sandbox.ts";
import { pool, stackConfig } from "./stacks.ts";
import { apply, budget, daemonSet, deployment, spreadOverZones, statefulSet } from "./workloads.ts";

/** A node group as the sandbox's cloud has it. */
export interface CloudGroup {
  nodegroupName: string;
  status: string;
  createdAt: number;
}

export const WEB = 8;
export const KAFKA = 2;

const IMAGES = ["good-a", "good-b", "good-c"] as const;

export class KillScene {
  readonly stack: Stack;
  readonly logs: RunLogs;
  readonly box: TestSandbox;
  private turn = 0;

  private constructor(box: TestSandbox, stack: Stack, logs: RunLogs) {
    this.box = box;
    this.stack = stack;
    this.logs = logs;
  }

  /** A pool of two nodes in two zones on the first image. Two web pods' worth of work is left wherever a drain is killed. */
  static async create(box: TestSandbox, name: string): Promise<KillScene> {
    const logs = new RunLogs();
    const stack = await Stack.create(box.sandbox, configOf("good-a"), {
      name,
      env: { PATCHGUARD_LOG_DIR: logs.folder },
    });
    mustSucceed(await stack.up());
    await apply(
      box.test.api,
      deployment({ name: "web", replicas: WEB, start: "1s", stop: "1s" }),
      budget({ name: "web", maxUnavailable: 1 }),
      statefulSet({
        name: "kafka",
        replicas: KAFKA,
        storage: "zonal",
        start: "500ms",
        stop: "1s",
        spec: spreadOverZones("kafka"),
      }),
      budget({ name: "kafka", minAvailable: 1 }),
      daemonSet({ name: "agent", start: "200ms", stop: "200ms" }),
    );
    const scene = new KillScene(box, stack, logs);
    await scene.whole();
    return scene;
  }

  dispose(): void {
    this.stack.dispose();
    this.logs.remove();
  }

  get image(): Image {
    return imageByName(IMAGES[this.turn % IMAGES.length] ?? "");
  }

  /**
   * Pins the next image, starts `up`, lets `kill` strike, and then `cancel` and `up` have to end in a whole cluster on that image,
   * with every pod moved once and no node drained twice, the watcher looking on all the while.
   * @param kill ends the run; what it does after that happens before `pulumi cancel`
   * @param options.prepare happens before the watcher starts
   * @param options.reopened the run ends in a way that reopens blue: what was finished is closed again then, but is empty
   */
  async killedAndResumed(
    kill: (run: Run, watcher: Watcher) => Promise<void>,
    { prepare, reopened = false }: { prepare?: () => Promise<void>; reopened?: boolean } = {},
  ): Promise<Summary> {
    await this.whole();
    await prepare?.();
    this.logs.restart();
    const summary = await this.box.watched(async (watcher) => {
      this.turn++;
      this.stack.configure(configOf(this.image.name));
      const run = this.stack.startUp();
      await kill(run, watcher);
      mustSucceed(await this.stack.cancel());
      watcher.resumed();
      mustSucceed(await this.stack.up());
      return { outcome: "finished" };
    });
    const moves = Object.values(summary.moves);
    assert.equal(moves.length, WEB + KAFKA, "every pod was moved");
    assert.deepEqual(
      moves.filter(({ total }) => total !== 1),
      [],
      "and each once",
    );
    assert.deepEqual(Object.keys(summary.evictions), ["patchguard"]);
    this.noNodeDrainedTwice(reopened);
    await this.whole();
    await this.onlyThisImage();
    return summary;
  }

  private noNodeDrainedTwice(reopened: boolean): void {
    const finished = new Set<string>();
    for (const { event, node = "", pods } of this.logs.lines()) {
      if (event === "node-drained") finished.add(node);
      if (event !== "node-start" || !finished.has(node)) continue;
      assert.ok(reopened, `${node} was finished and is drained again`);
      assert.deepEqual(pods, [], `${node} was finished and pods are moved off it again`);
    }
    assert.equal(finished.size, 2);
  }

  private async whole(): Promise<void> {
    const { view } = this.box;
    await view.ready("web", WEB, 120);
    await view.ready("kafka", KAFKA, 120);
    await view.budgetAllows("default/web", 1);
    await view.budgetAllows("default/kafka", 1);
  }

  /** In the cluster, in the cloud (what runs, and what could be launched) and in the state. */
  private async onlyThisImage(): Promise<void> {
    const kernels = this.box.view
      .nodes()
      .map(
        (node) => (node as Node & { status?: { nodeInfo?: { kernelVersion?: string } } }).status?.nodeInfo,
      );
    assert.deepEqual(
      kernels.map((info) => info?.kernelVersion),
      [this.image.kernel, this.image.kernel],
    );
    const used = await imagesInUse(this.box.sandbox.machineRoomUrl);
    assert.deepEqual(used, {
      instances: [this.image.id, this.image.id],
      templates: [this.image.id, this.image.id],
    });
    const groups = await this.groups();
    assert.deepEqual(
      groups.map(({ status }) => status),
      ["ACTIVE", "ACTIVE"],
    );
    const state = await this.stack.exportState();
    const inState = state.resources.filter(({ type }) => type === "aws:eks/nodeGroup:NodeGroup");
    assert.deepEqual(
      inState.map(({ id }) => id).sort(),
      groups.map(({ nodegroupName }) => `sandbox:${nodegroupName}`).sort(),
    );
    assert.equal(
      state.resources.filter(({ type }) => type === "aws:ec2/launchTemplate:LaunchTemplate").length,
      1,
    );
    // the engine never takes back that it was creating something (it warns of it on every run, until a refresh)
    const pending = (state.pending_operations ?? []).filter(({ type }) => type !== "creating");
    assert.deepEqual(pending, []);
  }

  async groups(): Promise<CloudGroup[]> {
    const answer = await fetch(`${this.box.sandbox.machineRoomUrl}/-/status`);
    return ((await answer.json()) as { groups: CloudGroup[] }).groups;
  }

  /** Waits until the cloud has a group in this status. */
  async groupIs(status: string): Promise<CloudGroup> {
    return eventually(async () => (await this.groups()).find((group) => group.status === status), {
      timeoutSeconds: 180,
      describe: `a node group is ${status}`,
    });
  }

  /** One node is finished, and the first eviction from the second was granted; more have to follow. */
  async midDrain(): Promise<{ finished: string; inHand: string }> {
    const { node: finished = "" } = await this.logs.saw("node-drained");
    const { node: inHand = "" } = await this.logs.saw("evict", ({ node }) => node !== finished);
    return { finished, inHand };
  }
}

/** Short times, so that the Lease of what was killed is soon run out. */
const configOf = (image: string) =>
  stackConfig([pool({ image, zones: ["a", "b"] })], {
    health: { windowSeconds: 3 },
    lease: { durationSeconds: 6, renewSeconds: 1 },
    preflight: { timeoutSeconds: 300 },
    green: { timeoutSeconds: 120 },
    drain: { budgetTimeoutSeconds: 120, podTimeoutSeconds: 60 },
  });
