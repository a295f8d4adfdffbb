import assert from "node:assert/strict";
import { gate } from "../../../../rollout/gate.ts";
import { leftovers } from "../../../simulated/aftermath.ts";
import {
  BLUE,
  type Ended,
  GREEN,
  type RunOptions,
  runHandover,
  smallWorld,
  story,
} from "../../../simulated/handovers.ts";
import { errors, type Measure, SimulatedSource, traffic } from "../../../simulated/metrics.ts";
import { world, type World } from "../../../simulated/world.ts";
import { type Metric, SourceError } from "../../../../rollout/health/metric.ts";

const SEED = 5;
const HEALTHY: Measure = (_pod, _workload, question) => traffic(1000, 0.001, question);
/** Every second, so that windows can be short. */
const HEALTH = { windowSeconds: 20, sampleSeconds: 1, extensionSeconds: 10 };

async function run(
  measure: Measure,
  {
    metric = errors(),
    health = {},
    lagSeconds = 0,
    ...options
  }: Partial<RunOptions> & {
    metric?: Metric;
    health?: object;
    lagSeconds?: number;
    before?: (source: SimulatedSource, on: World) => void;
  } = {},
): Promise<{ on: World; source: SimulatedSource; ended: Ended }> {
  const on = await smallWorld(SEED);
  const source = new SimulatedSource(measure, { lagSeconds });
  options.before?.(source, on);
  const ended = await runHandover(on, "only", {
    rollout: { health: { ...HEALTH, ...health } },
    measured: { sources: [source], metrics: [metric] },
    ...options,
  });
  return { on, source, ended };
}

const lines = ({ log }: Ended, text: string): typeof log =>
  log.filter(({ event, message }) => event === "health" && message.includes(text));

describe("health windows with metrics", () => {
  it("pass over healthy workloads, each in its own length and two seconds at most", async function () {
    this.timeout(30_000);
    const { ended, on } = await run(HEALTHY);
    assert.ok(ended.outcome, `${ended.error?.message}\n${story(on, ended)}`);
    const at = (text: string): number[] => lines(ended, text).map(({ time }) => Date.parse(time));
    const opened = at("health window of");
    const passed = at("passed");
    assert.equal(opened.length, 3);
    assert.equal(passed.length, 3);
    for (const [index, end] of passed.entries()) {
      const seconds = (end - (opened[index] ?? 0)) / 1000;
      assert.ok(seconds >= 20 && seconds <= 22, `window ${index + 1} took ${seconds} s`);
    }
  });

  it("roll back when pods on green err, and name workload, metric, values and limit", async function () {
    this.timeout(30_000);
    const { ended, on } = await run((pod, workload, question) =>
      traffic(1000, workload.name === "web" && pod.generation === "green" ? 0.05 : 0.001, question),
    );
    assert.equal(ended.error?.name, "Breach", story(on, ended));
    assert.match(ended.error.message, /ReplicaSet default\/web.*errors.*5 %/);
    assert.doesNotMatch(ended.error.message, /kafka/);
    assert.deepEqual(leftovers(on, { closed: [GREEN.generation] }), []);
  });

  it("ask a source once for each metric and sample, whatever the number of workloads", async function () {
    this.timeout(30_000);
    const { source } = await run(HEALTHY);
    const asked = source.questions.map(({ to }) => to);
    assert.ok(asked.length > 60);
    assert.equal(new Set(asked).size, asked.length);
    assert.ok(source.questions.every(({ workloads }) => workloads.length === 2));
  });

  it("let no sample from before the drain in, however far the source runs behind", async function () {
    this.timeout(30_000);
    // sick until a node is drained: a window that looked back would see it
    let drainedAt = Infinity;
    const { ended, on } = await run(
      (pod, _workload, question) =>
        traffic(
          50,
          question.from < drainedAt && question.to > drainedAt - 5000 && pod.generation === "green"
            ? 0.5
            : 0.001,
          question,
        ),
      {
        lagSeconds: 7,
        onLine: ({ event, time }) => {
          if (event === "node-drained") drainedAt = Date.parse(time);
        },
      },
    );
    assert.ok(ended.outcome, `${ended.error?.message}\n${story(on, ended)}`);
    const [opened] = lines(ended, "health window of");
    const [passed] = lines(ended, "passed");
    const seconds = (Date.parse(passed?.time ?? "") - Date.parse(opened?.time ?? "")) / 1000;
    assert.ok(seconds >= 27 && seconds <= 29, `the window took ${seconds} s`);
  });

  describe("refuse to start", () => {
    const untouched = ({ ended, on }: { ended: Ended; on: World }, message: RegExp): void => {
      assert.equal(ended.error?.name, "Hold", story(on, ended));
      assert.match(ended.error.message, message);
      assert.match(ended.error.message, /Blue was not touched.*To go on: /);
      assert.deepEqual(leftovers(on), []);
      assert.deepEqual(
        on.workloadPods(GREEN.generation).map(({ metadata }) => metadata.name),
        [],
      );
    };

    it("when a source is offline", async function () {
      this.timeout(30_000);
      const failure = new Error("connect ECONNREFUSED 10.0.0.9:9090");
      untouched(
        await run(HEALTHY, { before: (source) => (source.failure = failure) }),
        /source simulated does not answer \(connect ECONNREFUSED 10.0.0.9:9090\)/,
      );
    });

    it("when a metric says nothing of any workload", async function () {
      this.timeout(30_000);
      untouched(
        await run(() => undefined),
        /metric errors: source simulated returned nothing about any of the 2 workloads/,
      );
    });

    it("when a metric is beyond its limit already", async function () {
      this.timeout(30_000);
      untouched(
        await run((_pod, _workload, question) => traffic(1000, 0.03, question)),
        /default\/(web|kafka): errors is 3 % before anything was moved, beyond its limit of 1 %/,
      );
    });
  });

  describe("in the Gate, before anything is created", () => {
    const gated = (measure: Measure, options: Parameters<typeof run>[1] = {}) =>
      run(measure, { ...options, work: async (job) => ({ ...(await gate(job)), pods: 0 }) as never });

    it("let pass what answers, asked once for each metric", async function () {
      this.timeout(30_000);
      const { ended, source } = await gated(HEALTHY);
      assert.ok(ended.outcome, ended.error?.message);
      assert.equal(source.questions.length, 1);
    });

    it("refuse a source that is offline, after some patience", async function () {
      this.timeout(30_000);
      const { ended, source } = await gated(HEALTHY, {
        before: (it) => (it.failure = new Error("connect ECONNREFUSED 10.0.0.9:9090")),
      });
      assert.equal(ended.error?.name, "Refused");
      assert.match(
        ended.error.message,
        /source simulated does not answer .*ECONNREFUSED.*Nothing was created. To go on: /,
      );
      assert.equal(source.questions.length, 3);
    });

    it("refuse a metric that says nothing of any workload", async function () {
      this.timeout(30_000);
      const { ended } = await gated(() => undefined);
      assert.match(
        ended.error?.message ?? "",
        /metric errors: .*returned nothing about any of the 2 workloads .*Nothing was created/,
      );
    });
  });

  it("say of how many workloads any metric knows", async function () {
    this.timeout(30_000);
    const { ended } = await run((pod, workload, question) =>
      workload.name === "web" ? HEALTHY(pod, workload, question) : undefined,
    );
    assert.ok(lines(ended, "over 2 workloads, 1 of which any metric knows").length > 0);
  });

  describe("that decide nothing", () => {
    const vanishing: Measure = (pod, _workload, question) =>
      pod.generation === "green" ? undefined : traffic(1000, 0.001, question);

    it("hold, and say which metric has no data", async function () {
      this.timeout(30_000);
      const { ended, on } = await run(vanishing);
      assert.equal(ended.error?.name, "Hold", story(on, ended));
      assert.match(ended.error.message, /decided nothing: .*errors.*To go on: /);
      assert.deepEqual(leftovers(on), []);
    });

    it("roll back where the config says so", async function () {
      this.timeout(30_000);
      const { ended } = await run(vanishing, { health: { onInconclusive: "rollback" } });
      assert.equal(ended.error?.name, "Breach");
    });

    it("go on where the config says so, and tell it each time", async function () {
      this.timeout(30_000);
      const { ended, on } = await run(vanishing, { health: { onInconclusive: "continue" } });
      assert.ok(ended.outcome, `${ended.error?.message}\n${story(on, ended)}`);
      assert.equal(lines(ended, "goes on").length, 3);
    });
  });

  it("hold when a source goes away in mid-window, and name it", async function () {
    this.timeout(30_000);
    let source: SimulatedSource | undefined;
    const { ended, on } = await run(HEALTHY, {
      before: (it) => (source = it),
      onLine: ({ event, message }) => {
        if (event === "health" && message.includes("health window of") && source !== undefined)
          source.failure = new Error("503 Service Unavailable");
      },
    });
    assert.equal(ended.error?.name, "Hold", story(on, ended));
    assert.match(
      ended.error.message,
      /source simulated failed 5 times in a row \(503 Service Unavailable\).*To go on: bring simulated back/,
    );
    assert.deepEqual(leftovers(on), []);
  });

  it("hold at once when a source says that it will not answer until somebody acts", async function () {
    this.timeout(30_000);
    let source: SimulatedSource | undefined;
    let failedAt = 0;
    const { ended, on } = await run(HEALTHY, {
      before: (it) => (source = it),
      onLine: ({ event, message, time }) => {
        if (event !== "health" || !message.includes("health window of") || source === undefined) return;
        source.failure = new SourceError("the key has expired", { passing: false });
        failedAt = Date.parse(time);
      },
    });
    assert.match(
      ended.error?.message ?? "",
      /source simulated failed 1 times in a row \(the key has expired\)/,
    );
    const held = ended.log.find(({ verdict }) => verdict === "error");
    assert.ok(Date.parse(held?.time ?? "") - failedAt < 2000, story(on, ended));
  });

  it("leave a source alone for as long as it asks, and go on when it answers again", async function () {
    this.timeout(30_000);
    let asked: number | undefined;
    const rests: number[] = [];
    const { ended, on } = await run(HEALTHY, {
      before: (source) => {
        const read = source.read.bind(source);
        source.read = (question) => {
          if (source.questions.length === 40 && asked === undefined) {
            asked = question.to;
            return Promise.reject(new SourceError("429", { passing: true, retryAfterSeconds: 6 }));
          }
          if (asked !== undefined) rests.push(question.to - asked);
          return read(question);
        };
      },
    });
    assert.ok(ended.outcome, `${ended.error?.message}\n${story(on, ended)}`);
    assert.ok((rests[0] ?? 0) >= 6000, `asked again after ${rests[0]} ms`);
  });

  it("are judged by the baseline of the first run when a run goes on", async function () {
    this.timeout(60_000);
    const on = await smallWorld(SEED);
    const source = new SimulatedSource(HEALTHY);
    const options = { rollout: { health: HEALTH }, measured: { sources: [source], metrics: [errors()] } };
    const first = await runHandover(on, "first", { ...options, crashAfterWrite: 40 });
    assert.ok(first.crashed, story(on, first));
    // what the first run has moved is sick; a baseline taken now would hide it
    source.measure = (pod, _workload, question) =>
      traffic(1000, pod.generation === "green" ? 0.05 : 0.001, question);
    const second = await runHandover(on, "second", options);
    assert.equal(second.error?.name, "Breach", story(on, second));
  });

  it("are in nobody's way where nothing would move", async function () {
    this.timeout(30_000);
    const on = await world({ seed: SEED })
      .pool("workers", { ...BLUE, perZone: 1 })
      .daemonSet("agent")
      .settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const source = new SimulatedSource(HEALTHY);
    const ended = await runHandover(on, "only", {
      rollout: { health: HEALTH },
      measured: { sources: [source], metrics: [errors()] },
    });
    assert.ok(ended.outcome, `${ended.error?.message}\n${story(on, ended)}`);
    assert.equal(source.questions.length, 0);
  });

  it("take their time for a workload that needs to warm up", async function () {
    this.timeout(30_000);
    let drainedAt = Infinity;
    const cold: Measure = (pod, workload, question) =>
      traffic(
        50,
        workload.name === "web" && pod.generation === "green" && question.from < drainedAt + 8000
          ? 0.5
          : 0.001,
        question,
      );
    const warmUps = [{ namespace: "default", name: "web", seconds: 8 }];
    const { ended, on } = await run(cold, {
      health: { warmUps },
      onLine: ({ event, time }) => {
        if (event === "node-drained") drainedAt = Date.parse(time);
      },
    });
    assert.ok(ended.outcome, `${ended.error?.message}\n${story(on, ended)}`);
  });
});
