import assert from "node:assert/strict";
import type { Alert } from "../../../../rollout/alerts/alert.ts";
import { Outbox, QUEUE_LIMIT } from "../../../../rollout/alerts/outbox.ts";
import { type Sink, SinkError } from "../../../../rollout/alerts/sink.ts";
import { type LogLine, RunLog } from "../../../../rollout/log.ts";
import { VirtualClock } from "../../../simulated/clock.ts";
import { deadSink, sample } from "./samples.ts";

/** A sink that does with the n-th attempt what the n-th answer says: takes it, or throws; then it takes everything. */
function scripted(clock: VirtualClock, answers: (SinkError | undefined)[]) {
  const attempts: { at: number; id: string }[] = [];
  const sink: Sink = {
    name: "the sink",
    takes: ({ kind }) => kind !== "success",
    send({ id }) {
      attempts.push({ at: clock.now(), id });
      const answer = answers.shift();
      return answer === undefined ? Promise.resolve() : Promise.reject(answer);
    },
  };
  return { sink, attempts };
}

describe("the outbox of a sink", () => {
  let clock: VirtualClock;
  let lines: LogLine[];
  const outbox = (sink: Sink) =>
    new Outbox(sink, { clock, log: new RunLog(clock, [(line) => lines.push(line)]) });
  const alert = (id: string, change: Partial<Alert> = {}) => sample({ id, ...change });
  beforeEach(() => {
    clock = new VirtualClock();
    lines = [];
  });

  it("keeps the order while it tries again, with longer and longer pauses", async () => {
    const busy = () => new SinkError("busy", { again: true });
    const { sink, attempts } = scripted(clock, [busy(), busy(), busy()]);
    const box = outbox(sink);
    const from = clock.now();
    box.post(alert("a"));
    box.post(alert("b", { status: "resolved" }));
    await clock.run(box.idle());
    assert.deepEqual(
      attempts.map(({ at, id }) => [id, (at - from) / 1000]),
      [
        ["a", 0],
        ["a", 1],
        ["a", 3],
        ["a", 7],
        ["b", 7],
      ],
    );
    assert.deepEqual(lines, []);
  });

  it("waits as long as the service asks, but not for ever", async () => {
    const { sink, attempts } = scripted(clock, [
      new SinkError("later", { again: true, retryAfterSeconds: 30 }),
      new SinkError("much later", { again: true, retryAfterSeconds: 86_400 }),
    ]);
    const box = outbox(sink);
    const from = clock.now();
    box.post(alert("a"));
    await clock.run(box.idle());
    assert.deepEqual(
      attempts.map(({ at }) => (at - from) / 1000),
      [0, 30, 330],
    );
  });

  it("gives up what is refused for good, says so by name, and goes on", async () => {
    const { sink, attempts } = scripted(clock, [
      new SinkError("the sink answered HTTP 400", { again: false }),
    ]);
    const box = outbox(sink);
    box.post(alert("a"));
    box.post(alert("b"));
    await clock.run(box.idle());
    assert.deepEqual(
      attempts.map(({ id }) => id),
      ["a", "b"],
    );
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.event, "alert-lost");
    assert.match(
      lines[0].message,
      /"blocked, firing" did not reach the sink: the sink answered HTTP 400\. It said: paused before/,
    );
  });

  it("never quotes what a library throws", async () => {
    const sink: Sink = {
      name: "the sink",
      takes: () => true,
      send: () => Promise.reject(new TypeError("https://hooks.example.com/canary is no address")),
    };
    const box = outbox(sink);
    box.post(alert("a"));
    await clock.run(box.idle());
    assert.match(lines[0]?.message ?? "", /unexpected: TypeError/);
    assert.ok(!JSON.stringify(lines).includes("canary"));
  });

  it("leaves a sink behind that answers nothing and heeds no signal, and tells what was lost", async () => {
    const box = outbox(deadSink);
    box.post(alert("a"));
    box.post(alert("b"));
    await clock.pass(600);
    box.close();
    await clock.run(box.idle());
    box.post(alert("c"));
    assert.deepEqual(
      lines.map(({ message }) => /did not reach the dead sink: no answer within 10 s/.test(message)),
      [true, true],
    );
  });

  it("is bounded: the oldest that waits goes first, and is told", async () => {
    const box = outbox(deadSink);
    for (let n = 0; n < QUEUE_LIMIT + 2; n++) box.post(alert(`${n}`, { key: `key ${n}` }));
    assert.deepEqual(
      lines.map((line) => line["key"]),
      ["key 1", "key 2"],
    );
    box.close();
    assert.equal(lines.length, QUEUE_LIMIT + 2);
    await clock.run(box.idle());
  });

  it("passes over what a sink does not take", async () => {
    const { sink, attempts } = scripted(clock, []);
    const box = outbox(sink);
    box.post(alert("a", { kind: "success" }));
    await clock.run(box.idle());
    assert.deepEqual(attempts, []);
  });
});
