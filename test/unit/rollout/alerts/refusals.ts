import assert from "node:assert/strict";
import type { Alert } from "../../../../rollout/alerts/alert.ts";
import { type Sink, SinkError } from "../../../../rollout/alerts/sink.ts";
import { Receiver, type Reply } from "./receiver.ts";
import { sample } from "./samples.ts";

/** Stands in every secret of the sinks' tests; no error may hold it. */
export const CANARY = "canary3f9a7c51";

/** What the tests of a sink share: a server, and a test for each way of being refused. Call it in a `describe`. */
export function refusalsOf(make: (address: () => string) => Sink) {
  const receiver = new Receiver();
  let address = "";
  before(async () => {
    address = await receiver.open();
  });
  after(() => receiver.close());
  beforeEach(() => {
    receiver.got.length = 0;
  });
  const sent = (alert: Alert = sample()): Promise<void> =>
    make(() => address).send(alert, new AbortController().signal);
  /** @param again whether it may be tried again, or after how many seconds */
  const refused = (
    what: string,
    reply: Exclude<Reply, "silent">,
    said: RegExp,
    again: boolean | number,
  ): void => {
    it(`${what}: ${again === false ? "given up" : "tried again"}, and told without a secret`, async () => {
      receiver.replies = [{ ...reply, body: `${reply.body ?? ""}` }];
      const error: unknown = await sent().then(
        () => "it was taken",
        (it: unknown) => it,
      );
      assert.ok(error instanceof SinkError, String(error));
      assert.match(error.message, said);
      assert.equal(error.again, again !== false);
      if (typeof again === "number") assert.equal(error.retryAfterSeconds, again);
      assert.ok(!`${error.message} ${String(error.stack)}`.includes(CANARY), error.message);
    });
  };
  return { receiver, sent, refused };
}
