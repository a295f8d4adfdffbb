import assert from "node:assert/strict";
import { systemClock } from "../../../../rollout/clock.ts";
import { gate } from "../../../../rollout/gate.ts";
import { SourceError } from "../../../../rollout/health/metric.ts";
import { probed } from "../../../../rollout/health/sources/probes.ts";
import type { Judgement } from "../../../../rollout/health/verdict.ts";
import { RunLog } from "../../../../rollout/log.ts";
import { leftovers } from "../../../simulated/aftermath.ts";
import {
  type Ended,
  GREEN,
  type RunOptions,
  runHandover,
  smallWorld,
  story,
} from "../../../simulated/handovers.ts";
import { errors, SimulatedSource, traffic } from "../../../simulated/metrics.ts";
import type { World } from "../../../simulated/world.ts";

const SEED = 5;
/** Every second, so that windows can be short. */
const HEALTH = { windowSeconds: 20, sampleSeconds: 1, extensionSeconds: 10 };

/** What a probe says: undefined where all is well, else why not. */
type Answer = () => string | undefined;
/** How far the handover is. */
interface Stage {
  drained: number;
  windows: number;
}

interface Options extends Partial<RunOptions> {
  workload?: string;
  failureLimit?: number;
}

async function run(
  answer: (stage: Stage) => ReturnType<Answer>,
  { workload, failureLimit, ...options }: Options = {},
): Promise<{ on: World; ended: Ended; asked: number }> {
  const on = await smallWorld(SEED);
  const stage: Stage = { drained: 0, windows: 0 };
  let asked = 0;
  const measured = probed(
    { name: "front", workload, failureLimit, consecutiveSuccesses: 3 },
    0.5,

    async () => {
      asked++;
      return answer(stage);
    },
    new RunLog(systemClock, []),
  );
  const ended = await runHandover(on, "only", {
    rollout: { health: HEALTH },
    measured,
    ...options,
    onLine: (line) => {
      if (line.event === "node-drained") stage.drained++;
      if (line.event === "health" && line.message.startsWith("health window of")) stage.windows++;
      options.onLine?.(line);
    },
  });
  return { on, ended, asked };
}

describe("health windows with probes", function () {
  this.timeout(30_000);

  it("pass while the probe is well, once for each sample", async () => {
    const { on, ended, asked } = await run(() => undefined);
    assert.ok(ended.outcome, `${ended.error?.message}\n${story(on, ended)}`);
    assert.ok(asked >= 80 && asked < 300, `${asked}`);
    assert.ok(
      ended.log.some(({ message }) =>
        /health window of 20 s after .* workloads?, and 1 probe$/.test(message),
      ),
    );
  });

  it("roll back when it fails from a drain on, and say why it failed", async () => {
    const { on, ended } = await run(({ drained }) =>
      drained > 0 ? "http://shop/ answered 503: no backend" : undefined,
    );
    assert.equal(ended.error?.name, "Breach", story(on, ended));
    assert.match(
      ended.error.message,
      /: probe front failed 6 of 6 times after the drain, .*; at last: http:\/\/shop\/ answered 503: no backend/,
    );
    assert.deepEqual(leftovers(on, { closed: [GREEN.generation] }), []);
    const failed = ended.log.find(({ verdict }) => verdict === "failed");
    const [judged] = failed?.["judgements"] as Judgement[];
    assert.deepEqual(
      judged?.samples.map(({ why }) => why),
      Array.from({ length: 6 }, () => "http://shop/ answered 503: no backend"),
    );
  });

  it("roll back in the window in which it begins to fail, be it the last", async () => {
    const { on, ended } = await run(({ windows }) => (windows === 3 ? "exit code 1" : undefined));
    assert.equal(ended.error?.name, "Breach", story(on, ended));
    assert.match(ended.error.message, /probe front failed .*exit code 1/);
  });

  it("bear one failure in each window, and in the baseline", async () => {
    let last = -1;
    const { on, ended } = await run(({ windows }) => {
      if (windows === last) return undefined;
      last = windows;
      return "no answer within 5 s";
    });
    assert.ok(ended.outcome, `${ended.error?.message}\n${story(on, ended)}`);
    assert.equal(last, 3);
  });

  it("heed a limit of the probe's own", async () => {
    let failures = 0;
    const { on, ended } = await run(
      ({ drained }) => (drained > 0 && failures++ < 1 ? "exit code 1" : undefined),
      { failureLimit: 0 },
    );
    assert.equal(ended.error?.name, "Breach", story(on, ended));
  });

  it("judge one that speaks for a workload when that has moved, by its name", async () => {
    const ill = ({ drained }: Stage): string | undefined => (drained > 0 ? "exit code 1" : undefined);
    const web = await run(ill, { workload: "ReplicaSet default/web" });
    assert.match(web.ended.error?.message ?? "", /ReplicaSet default\/web: probe front failed/);
    const elsewhere = await run(ill, { workload: "Deployment shop/other" });
    assert.ok(elsewhere.ended.outcome, `${elsewhere.ended.error?.message}`);
  });

  it("judge one that a resumed run is given, of which its baseline knows nothing", async () => {
    const on = await smallWorld(SEED);
    const rollout = { health: HEALTH };
    const source = new SimulatedSource((_pod, _workload, question) => traffic(1000, 0.001, question));
    const metrics = { sources: [source], metrics: [errors()] };
    const first = await runHandover(on, "first", { rollout, measured: metrics, crashAfterWrite: 40 });
    assert.ok(first.crashed, story(on, first));
    let ill = false;
    const front = probed(
      { name: "front", consecutiveSuccesses: 3 },
      0.5,
      () => Promise.resolve(ill ? "exit code 1" : undefined),
      new RunLog(systemClock, []),
    );
    const second = await runHandover(on, "second", {
      rollout,
      measured: {
        sources: [...metrics.sources, ...front.sources],
        metrics: [...metrics.metrics, ...front.metrics],
      },
      onLine: ({ event }) => void (ill ||= event === "node-drained"),
    });
    assert.equal(second.error?.name, "Breach", story(on, second));
    assert.match(second.error.message, /probe front failed/);
  });

  it("hold when it can no longer be made: nobody knows then", async () => {
    const { on, ended } = await run(({ drained }) => {
      if (drained > 0) throw new SourceError("command ./smoke cannot be started", { passing: false });
      return undefined;
    });
    assert.equal(ended.error?.name, "Hold", story(on, ended));
    assert.match(ended.error.message, /source probe front failed .*\.\/smoke cannot be started/);
    assert.deepEqual(leftovers(on), []);
  });

  describe("refuse to start", () => {
    it("when it fails before anything is closed", async () => {
      for (const ill of [(): string => "exit code 1", between(0.5)]) {
        const { on, ended } = await run(ill);
        assert.equal(ended.error?.name, "Hold", story(on, ended));
        assert.match(
          ended.error.message,
          /probe front failed \d+ of \d+ times before anything was moved \(at last: exit code 1\)\. Blue was not touched\. To go on: /,
        );
        assert.deepEqual(leftovers(on), []);
      }
    });

    it("when it has just begun to fail", async () => {
      let asked = 0;
      const { on, ended } = await run(() => (++asked > 18 ? "exit code 1" : undefined));
      assert.equal(ended.error?.name, "Hold", story(on, ended));
      assert.match(ended.error.message, /probe front failed [3-5] of \d+ times before anything was moved/);
    });
  });

  describe("in the Gate, before anything is created", () => {
    const gated = (answer: Answer, options: Options = {}) =>
      run(answer, { ...options, work: async (job) => ({ ...(await gate(job)), pods: 0 }) as never });

    it("let pass what is well, also after a stumble", async () => {
      let asked = 0;
      const { ended } = await gated(() => (++asked < 3 ? "connection refused (ECONNREFUSED)" : undefined));
      assert.ok(ended.outcome, ended.error?.message);
      assert.equal(asked, 3);
    });

    it("refuse what fails each time, by its name", async () => {
      const { ended, asked } = await gated(() => "http://shop/ cannot be reached: no such host (ENOTFOUND)");
      assert.equal(ended.error?.name, "Refused");
      assert.match(
        ended.error.message,
        /^probe front failed 3 times before anything was moved \(at last: .*no such host.*\)\. Nothing was created\. To go on: /,
      );
      assert.equal(asked, 3);
    });

    it("refuse at once what cannot be made", async () => {
      const { ended, asked } = await gated(() => {
        throw new SourceError("command ./smoke cannot be started: it is not there (ENOENT)", {
          passing: false,
        });
      });
      assert.equal(ended.error?.name, "Refused");
      assert.match(
        ended.error.message,
        /source probe front does not answer \(command .\/smoke .*Nothing was created/,
      );
      assert.equal(asked, 1);
    });

    it("refuse a workload of which there is no pod", async () => {
      const { ended } = await gated(() => undefined, { workload: "Deployment shop/wbe" });
      assert.equal(ended.error?.name, "Refused");
      assert.match(
        ended.error.message,
        /^probe front speaks of Deployment shop\/wbe, and no pod of this cluster is of that\. Nothing was created\. To go on: /,
      );
      assert.ok((await gated(() => undefined, { workload: "ReplicaSet default/web" })).ended.outcome);
    });
  });
});

/** Fails so often: half of the time is every second one. */
function between(share: number): Answer {
  let owed = 0;
  return () => {
    owed += share;
    if (owed < 1) return undefined;
    owed -= 1;
    return "exit code 1";
  };
}
