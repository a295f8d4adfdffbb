import assert from "node:assert/strict";
import { ask, type Wish } from "../../../rollout/control.ts";
import type { Action, Answer } from "../../../rollout/controls.ts";
import { Interrupted } from "../../../rollout/errors.ts";
import type { LogLine } from "../../../rollout/log.ts";
import { ANNOTATION_CONTROL, ANNOTATION_CONTROL_SEEN } from "../../../rollout/names.ts";
import { observed } from "../../../rollout/observed/observed.ts";
import { handoverTaint } from "../../../rollout/ownership.ts";
import { handover } from "../../../rollout/handover.ts";
import { readRecord } from "../../../rollout/run-state.ts";
import {
  BLUE,
  type Ended,
  GREEN,
  runHandover,
  type RunOptions,
  smallWorld,
  story,
} from "../../simulated/handovers.ts";
import { judge } from "../../simulated/invariants.ts";
import type { World } from "../../simulated/world.ts";

const SEED = 7;
const HOUR = 3600;

/** Moments of a handover at which an operator may have a wish: the first line of the log that fits. */
const MOMENTS: Record<string, (line: LogLine) => boolean> = {
  "in pre-flight": ({ event }) => event === "start",
  "while green is awaited": ({ event }) => event === "preflight",
  "when blue is closed": ({ event }) => event === "close",
  "when a node is begun": ({ event }) => event === "node-start",
  "in mid-drain": ({ event }) => event === "evict",
  "in a health window": ({ event, message }) => event === "health" && message.includes("window of"),
  "when the last node is drained": ({ event, message }) => event === "order" && message.startsWith("all "),
};

let operators = 0;

/** Asks as the command does, from a process of its own. */
function wish(on: World, action: Action, change: Partial<Wish> = {}): Promise<Answer> {
  const asking = ask(on.client(`operator-${++operators}`), {
    action,
    stack: "prod",
    clusterName: "shop",
    by: "ann@laptop",
    reason: "the database team asked",
    ...change,
  });
  asking.catch(() => undefined); // who is interested awaits it
  return asking;
}

/** What an operator does at a moment, once. */
function at(moment: keyof typeof MOMENTS, act: () => void): NonNullable<RunOptions["onLine"]> {
  let done = false;
  return (line) => {
    if (done || !MOMENTS[moment]?.(line)) return;
    done = true;
    act();
  };
}

/** As with `kubectl annotate`. */
function annotate(on: World, value: string): void {
  const lease = on.store.get("Lease", "patchguard", "kube-system");
  assert.ok(lease, "there is a Lease");
  const add = (draft: typeof lease): void => {
    draft.metadata.annotations = { ...draft.metadata.annotations, [ANNOTATION_CONTROL]: value };
  };
  on.store.update("Lease", lease, add, "operator");
}

const closed = (on: World, generation: string): string[] =>
  on.store
    .all("Node")
    .filter(({ metadata }) => metadata.labels?.["patchguard.dev/generation"] === generation)
    .filter((node) => node.spec?.unschedulable === true || handoverTaint(node) !== undefined)
    .map(({ metadata }) => metadata.name);

const between = (log: LogLine[], from: RegExp, to: RegExp): LogLine[] => {
  const begin = log.findIndex(({ message }) => from.test(message));
  const end = log.findIndex(({ message }, index) => index > begin && to.test(message));
  assert.ok(begin >= 0 && end > begin, `${from} … ${to} in the log`);
  return log.slice(begin + 1, end);
};

/** The handover succeeded, and each pod moved once. */
function assertDone(on: World, ended: Ended, pods: number): void {
  assert.ok(ended.outcome, story(on, ended));
  const { violations, moves } = judge(on, { pinnedImage: GREEN.image });
  assert.deepEqual(violations, []);
  assert.equal(moves.length, pods);
}

const podsOf = (on: World): number => on.workloadPods(BLUE.generation).length;

describe("operator controls", () => {
  for (const moment of Object.keys(MOMENTS))
    it(`pause ${moment}: nothing is begun for an hour, no deadline passes, resume goes on`, async () => {
      const on = await smallWorld(SEED);
      const pods = podsOf(on);
      const answers: Promise<Answer>[] = [];
      const ended = await runHandover(on, "first", {
        rollout: { maxDurationSeconds: 900, drain: { podTimeoutSeconds: 60 }, pause: { remindSeconds: 600 } },
        onLine: at(moment, () => {
          answers.push(wish(on, "pause"));
          on.clock.after(HOUR * 1000, "operator", () => answers.push(wish(on, "resume")));
        }),
      });
      assertDone(on, ended, pods);
      const rest = between(ended.log, / is paused /, / goes on after a pause of /);
      const told = rest.filter(({ event }) => event !== "control" && event !== "pause");
      assert.deepEqual(told, [], "while it was paused");
      assert.ok(rest.filter(({ event }) => event === "pause").length >= 4, "told every ten minutes");
      const settled = await Promise.all(answers);
      assert.deepEqual(
        settled.map(({ action, obeyed }) => [action, obeyed]),
        [
          ["pause", true],
          ["resume", true],
        ],
      );
      assert.ok(ended.outcome && ended.outcome.seconds >= HOUR - 300);
    });

  for (const moment of Object.keys(MOMENTS))
    it(`abort ${moment}: nothing more is evicted, blue serves again, the next run finishes it`, async () => {
      const on = await smallWorld(SEED);
      const pods = podsOf(on);
      const moved = (): number => pods - podsOf(on);
      const first = await runHandover(on, "first", { onLine: at(moment, () => void wish(on, "abort")) });
      assert.equal(first.error?.name, "Aborted", story(on, first));
      assert.match(first.error.message, /aborted by ann@laptop: the database team asked/);
      assert.deepEqual(closed(on, BLUE.generation), [], story(on, first));
      const asked = first.log.findIndex(({ event }) => event === "control");
      const after = first.log.slice(asked + 1).filter(({ event }) => event === "evict");
      assert.ok(after.length <= 1, "what was on its way to the API server, and no more");
      assert.equal(closed(on, GREEN.generation).length, moved() > 0 ? 3 : 0, "green, if a pod has moved");
      for (const pod of on.store.all("Pod"))
        assert.equal(
          pod.status?.conditions?.find(({ type }) => type === "Ready")?.status,
          "True",
          `pod ${pod.metadata.name} is Ready when the run is over`,
        );
      const second = await runHandover(on, "second");
      assert.ok(second.outcome, story(on, second));
      assert.deepEqual(judge(on, { pinnedImage: GREEN.image }).violations, []);
    });

  it("skip-window ends the window in hand as passed; log, evidence and run state say so", async () => {
    const on = await smallWorld(SEED);
    const pods = podsOf(on);
    let skips = 0;
    const ended = await runHandover(on, "first", {
      rollout: { health: { windowSeconds: 1800 } },
      onLine: ({ event, message }) => {
        if (event === "health" && message.includes("window of") && ++skips <= 2) void wish(on, "skip-window");
      },
      work: (job) => observed(job, handover),
    });
    assertDone(on, ended, pods);
    assert.ok(ended.outcome && ended.outcome.seconds < 2 * 1800, "the third alone was waited out");
    const skipped = ended.log.filter(({ verdict }) => verdict === "skipped");
    assert.equal(skipped.length, 2);
    assert.match(skipped[0]?.message ?? "", /was skipped, asked for by ann@laptop: the database team asked/);
    const record = await on.run(readRecord(on.client("reader").cluster, "workers"));
    assert.deepEqual(
      record?.skipped?.map(({ by, reason }) => ({ by, reason })),
      Array.from({ length: 2 }, () => ({ by: "ann@laptop", reason: "the database team asked" })),
    );
  });

  it("skip-window without a window is refused", async () => {
    const on = await smallWorld(SEED);
    let answer: Promise<Answer> | undefined;
    await runHandover(on, "first", {
      onLine: at("in mid-drain", () => {
        answer = wish(on, "skip-window");
      }),
    });
    assert.deepEqual(await answer?.then(({ obeyed, answer: words }) => ({ obeyed, words })), {
      obeyed: false,
      words: "no health window is open",
    });
  });

  it("a kill while it is paused: the next run goes on, and is not paused", async () => {
    const on = await smallWorld(SEED);
    const pods = podsOf(on);
    const first = await runHandover(on, "first", {
      onLine: at("in a health window", () => {
        void wish(on, "pause");
        on.clock.after(HOUR * 1000, "kill", () => kill());
      }),
      onClient: ({ session }) => (kill = () => session.kill()),
    });
    assert.ok(first.crashed);
    assert.ok(first.log.some(({ event }) => event === "pause"));
    annotate(on, "pause"); // nobody is there to hear it
    const second = await runHandover(on, "second");
    assertDone(on, second, pods);
    assert.ok(!second.log.some(({ event }) => event === "pause"));
  });
  let kill = (): void => undefined;

  it("by hand, a plain word with kubectl annotate; nonsense is answered, and does nothing", async () => {
    const on = await smallWorld(SEED);
    const seen = (): string =>
      on.store.get("Lease", "patchguard", "kube-system")?.metadata.annotations?.[ANNOTATION_CONTROL_SEEN] ??
      "";
    const answers: string[] = [];
    const ended = await runHandover(on, "first", {
      rollout: { health: { windowSeconds: 60 } },
      onLine: at("in mid-drain", () => {
        annotate(on, "stop!");
        on.clock.after(10_000, "operator", () => {
          answers.push(seen());
          annotate(on, "abort: by hand");
        });
      }),
    });
    assert.match(answers[0] ?? "", /holds none of pause, resume, abort, skip-window/);
    assert.match(ended.error?.message ?? "", /aborted by an operator, by annotation: by hand/);
  });

  it("what is meant for another run is not obeyed", async () => {
    const on = await smallWorld(SEED);
    const text = JSON.stringify({ action: "abort", id: "1", run: "shop/prod/yesterday" });
    const ended = await runHandover(on, "first", { onLine: at("in mid-drain", () => annotate(on, text)) });
    assert.ok(ended.outcome, story(on, ended));
    assert.ok(ended.log.some(({ message }) => /meant for shop\/prod\/yesterday/.test(message)));
  });

  it("a pause that nobody ends stops at rollout.pause.timeoutSeconds, and the next run goes on", async () => {
    const on = await smallWorld(SEED);
    const pods = podsOf(on);
    const first = await runHandover(on, "first", {
      rollout: { pause: { timeoutSeconds: 1200 } },
      onLine: at("in a health window", () => void wish(on, "pause")),
    });
    assert.equal(first.error?.name, "Paused", story(on, first));
    assert.match(first.error.message, /paused for 1200 s .* nobody resumed it/);
    assertDone(on, await runHandover(on, "second"), pods);
  });

  it("Ctrl-C twice in a pause reopens at once", async () => {
    const on = await smallWorld(SEED);
    const stop = new AbortController();
    const first = await runHandover(on, "first", {
      signal: stop.signal,
      onLine: at("in mid-drain", () => {
        void wish(on, "pause");
        on.clock.after(HOUR * 1000, "operator", () => stop.abort(new Interrupted("interrupted")));
      }),
    });
    assert.equal(first.error?.name, "Interrupted", story(on, first));
    assert.deepEqual(closed(on, BLUE.generation), []);
  });

  it("without a handover the command says so, by name", async () => {
    const on = await smallWorld(SEED);
    const none = /^no handover runs on cluster shop: nobody holds the Lease kube-system\/patchguard/;
    await assert.rejects(on.run(wish(on, "pause")), { name: "Refused", message: none });
    await runHandover(on, "first");
    await assert.rejects(on.run(wish(on, "pause")), { name: "Refused", message: none }, "it has ended");
    const dead = await smallWorld(SEED);
    await runHandover(dead, "first", { crashAfterWrite: 30 });
    await assert.rejects(
      dead.run(wish(dead, "pause", { stack: "other" })),
      /no handover of stack other runs/,
    );
    // it seems to live: nobody answers
    await assert.rejects(
      dead.run(wish(dead, "pause")),
      /did not answer within 45 s, so the pause was taken back/,
    );
    await assert.rejects(dead.run(wish(dead, "pause")), /has not renewed the Lease .* since 2026-/);
    const lease = dead.store.get("Lease", "patchguard", "kube-system");
    assert.equal(lease?.metadata.annotations?.[ANNOTATION_CONTROL], undefined);
  });
});

describe("the second Ctrl-C", () => {
  it("ends evictions within a second, and reopens the node in hand within four", async () => {
    for (let n = 1; n <= 7; n++) {
      const on = await smallWorld(SEED);
      const stop = new AbortController();
      let evictions = 0;
      let stoppedAt = 0;
      const { log, error } = await runHandover(on, "first", {
        signal: stop.signal,
        onLine: ({ event, time }) => {
          if (event !== "evict" || ++evictions !== n) return;
          stoppedAt = Date.parse(time);
          stop.abort(new Interrupted("interrupted"));
        },
      });
      assert.equal(error?.name, "Interrupted");
      const seconds = (line: LogLine): number => (Date.parse(line.time) - stoppedAt) / 1000;
      for (const line of log.filter(({ event }) => event === "evict")) assert.ok(seconds(line) <= 1);
      const told = log.findLast(({ event }) => event === "interrupt"); // when blue is open again
      assert.ok(told && seconds(told) <= 4, `${told && seconds(told)} s`);
      assert.deepEqual(closed(on, BLUE.generation), []);
    }
  });
});
