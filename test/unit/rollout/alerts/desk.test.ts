import assert from "node:assert/strict";
import type { Announcement } from "../../../../rollout/alert.ts";
import { Desk } from "../../../../rollout/alerts/desk.ts";
import { readOpen } from "../../../../rollout/alerts/open.ts";
import { Outbox } from "../../../../rollout/alerts/outbox.ts";
import type { Cluster } from "../../../../rollout/cluster/cluster.ts";
import { Paused, Refused } from "../../../../rollout/errors.ts";
import { type LogLine, RunLog } from "../../../../rollout/log.ts";
import { EVENT, type EventReason } from "../../../../rollout/names.ts";
import { smallWorld } from "../../../simulated/handovers.ts";
import type { World } from "../../../simulated/world.ts";
import { Listener } from "./samples.ts";

const SEED = 7;
const POOL = "workers";

/** A run's desk, with one sink that takes all. */
async function deskOf(
  on: World,
  runId: string,
  through: (cluster: Cluster) => Cluster = (cluster) => cluster,
): Promise<{ desk: Desk; sink: Listener; log: LogLine[] }> {
  const { cluster, clock } = on.client(runId);
  const log: LogLine[] = [];
  const runLog = new RunLog(clock, [(line) => log.push(line)]);
  const sink = new Listener();
  const world = { cluster: through(cluster), clock, log: runLog, runId, stack: "shop/prod", pool: POOL };
  const open = await on.run(readOpen(cluster, POOL));
  return { desk: new Desk(world, [new Outbox(sink, world)], open), sink, log };
}

const news = (reason: EventReason, message: string = reason): Announcement => ({
  event: "health",
  reason,
  object: { kind: "ConfigMap", namespace: "kube-system", name: "patchguard-workers" },
  message,
});

/** As a health window ends. */
const judged = (verdict: string, outcome: string): LogLine => ({
  time: "2026-11-23T10:00:00.000Z",
  level: "warning",
  event: "health",
  message: "health window after node blue-1",
  verdict,
  nodes: ["blue-1"],
  judgements: [{ outcome, metric: "p99", workload: "Deployment shop/web", reason: "p99 of web", samples: 1 }],
});

describe("the alert desk", () => {
  it("a window that decided nothing, after which the run went on, is no reason of a later abort", async () => {
    const on = await smallWorld(SEED);
    const { desk, sink } = await deskOf(on, "first");
    desk.line(judged("inconclusive", "inconclusive"));
    desk.hear(news(EVENT.inconclusive));
    desk.hear(news(EVENT.rolledBack));
    await on.run(desk.flush(5));
    assert.deepEqual(sink.said, ["firing inconclusive"]);
    assert.deepEqual([sink.got[0]?.metric, sink.got[0]?.workload], ["p99", "Deployment shop/web"]);
  });

  it("a hold because a window decided nothing names the metric and the workload", async () => {
    const on = await smallWorld(SEED);
    const { desk, sink } = await deskOf(on, "first");
    desk.line(judged("inconclusive", "inconclusive"));
    desk.hear(news(EVENT.held));
    await on.run(desk.flush(5));
    assert.deepEqual(sink.said, ["firing hold"]);
    const [{ metric, workload, nodes } = {}] = sink.got;
    assert.deepEqual([metric, workload, nodes], ["p99", "Deployment shop/web", ["blue-1"]]);
  });

  it("a pause that became the run's end is told again, as what must be done now is another thing", async () => {
    const on = await smallWorld(SEED);
    const { desk, sink } = await deskOf(on, "first");
    desk.hear(news(EVENT.paused, "paused before the next node: `npm run resume` goes on"));
    desk.hear(news(EVENT.paused, "paused for 600 s, and nobody resumed it: run `pulumi up` again"));
    desk.end(new Paused("paused for 600 s"));
    await on.run(desk.flush(5));
    assert.deepEqual(sink.said, ["firing pause", "firing pause"]);
    assert.equal(sink.got[0]?.key, sink.got[1]?.key);
    assert.equal(sink.got[0]?.since, sink.got[1]?.since);
    assert.match(sink.got[1]?.summary ?? "", /run `pulumi up` again/);
  });

  it("a run that was paused and killed: the pause is resolved as soon as the next run goes on", async () => {
    const on = await smallWorld(SEED);
    const killed = await deskOf(on, "first");
    killed.desk.hear(news(EVENT.paused));
    await on.run(killed.desk.flush(5));
    const { desk, sink } = await deskOf(on, "second");
    desk.line({ ...judged("", ""), event: "node-start", message: "Node blue-2 is being drained" });
    await on.run(desk.flush(5));
    assert.deepEqual(sink.said, ["resolved pause"]);
    assert.equal(sink.got[0]?.key, killed.sink.got[0]?.key);
  });

  it("a run that is refused because another one is at work leaves that one's alerts alone", async () => {
    const on = await smallWorld(SEED);
    const { cluster: reader } = on.client("reader");
    const live = await deskOf(on, "live");
    live.desk.hear(news(EVENT.paused, "paused before the next node"));
    await on.clock.pass(5);
    const refused = await deskOf(on, "refused");
    refused.desk.end(new Refused("the Lease is held by live"));
    await on.run(refused.desk.flush(5));
    assert.deepEqual(refused.sink.said, ["firing failed"]);
    const left = await on.run(readOpen(reader, POOL));
    assert.deepEqual([...left.values()].map(({ cause: { kind }, run }) => `${run} ${kind}`).sort(), [
      "live pause",
      "refused failed",
    ]);
    // the live one knows nothing of it, and its success resolves it all the same
    live.desk.hear(news(EVENT.resumed));
    await on.clock.pass(5);
    assert.equal((await on.run(readOpen(reader, POOL))).size, 1, "it was not overwritten");
    live.desk.hear(news(EVENT.succeeded));
    live.desk.end(undefined);
    await on.run(live.desk.flush(5));
    assert.deepEqual(live.sink.said, [
      "firing pause",
      "resolved pause",
      "resolved success",
      "resolved failed",
    ]);
    assert.equal((await on.run(readOpen(reader, POOL))).size, 0);
  });

  it("an API server that does not answer at the end costs the flush's time and is told", async () => {
    const on = await smallWorld(SEED);
    const { desk, log } = await deskOf(on, "first", (cluster) => {
      const hung = Object.create(cluster) as Cluster;
      hung.get = () => new Promise(() => undefined);
      return hung;
    });
    desk.hear(news(EVENT.held));
    await on.run(desk.flush(5));
    const [lost, ...more] = log.filter(({ event }) => event === "alert-lost");
    assert.deepEqual(more, []);
    assert.match(
      lost?.message ?? "",
      /not written down, .*: the API server did not answer before the run ended/,
    );
  });
});
