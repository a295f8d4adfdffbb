import assert from "node:assert/strict";
import { SinkError } from "../../../../rollout/alerts/sink.ts";
import { signature, webhook } from "../../../../rollout/alerts/sinks/webhook.ts";
import { Receiver } from "./receiver.ts";
import { sample } from "./samples.ts";

const SECRET = `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`;
const CONFIG = { urlFrom: "PATCHGUARD_WEBHOOK_URL", secretFrom: "PATCHGUARD_WEBHOOK_SECRET" };
const CANARY = "canary-3f9a7c51";

describe("the webhook", () => {
  const receiver = new Receiver();
  let address = "";
  before(async () => {
    address = await receiver.open();
  });
  after(() => receiver.close());
  beforeEach(() => {
    receiver.got.length = 0;
    receiver.replies = [{ status: 204 }];
  });
  const sink = (path = `/hook/${CANARY}?token=${CANARY}`, secret = SECRET) =>
    webhook(CONFIG, { PATCHGUARD_WEBHOOK_URL: address + path, PATCHGUARD_WEBHOOK_SECRET: secret });
  const failure = async (signal = new AbortController().signal): Promise<SinkError> => {
    const error: unknown = await sink()
      .send(sample(), signal)
      .then(
        () => "it was delivered",
        (it: unknown) => it,
      );
    assert.ok(error instanceof SinkError, String(error));
    assert.ok(!`${error.message}${String(error.stack)}`.includes(CANARY), error.message);
    assert.equal(error.cause, undefined);
    return error;
  };

  it("signs as the specification's own example says", () => {
    // https://github.com/standard-webhooks/standard-webhooks: the vector of its reference libraries
    const key = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");
    assert.equal(
      signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}'),
      "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    );
  });

  it("sends the alert as it is, with id, time and a signature over the bytes that arrive", async () => {
    await sink().send(sample(), new AbortController().signal);
    const [got] = receiver.got;
    assert.ok(got);
    assert.deepEqual(got.json, { ...sample() });
    assert.equal(got.headers["webhook-id"], sample().id);
    const seconds = Number(got.headers["webhook-timestamp"]);
    assert.ok(Math.abs(Date.now() / 1000 - seconds) < 300);
    const key = Buffer.from(SECRET.slice("whsec_".length), "base64");
    assert.equal(got.headers["webhook-signature"], signature(key, sample().id, seconds, got.body));
    assert.equal(got.headers["content-type"], "application/json");
  });

  it("a refusal is final; what may pass is tried again, as late as the service asks", async () => {
    receiver.replies = [{ status: 403, body: `no ${CANARY} for ${SECRET}` }];
    const refused = await failure();
    assert.deepEqual(
      [refused.again, refused.message],
      [false, "the webhook answered HTTP 403 (no *** for ***)"],
    );
    receiver.replies = [{ status: 429, headers: { "retry-after": "7" } }];
    const limited = await failure();
    assert.deepEqual([limited.again, limited.retryAfterSeconds], [true, 7]);
    const at = new Date(Date.now() + 60_000).toUTCString();
    receiver.replies = [{ status: 503, headers: { "retry-after": at } }];
    const busy = await failure();
    assert.ok(busy.again && (busy.retryAfterSeconds ?? 0) > 50 && (busy.retryAfterSeconds ?? 0) <= 60);
  });

  it("does not follow a redirect: the address would go elsewhere", async () => {
    receiver.replies = [{ status: 307, headers: { location: `${address}/elsewhere` } }];
    await failure();
    assert.equal(receiver.got.length, 1);
  });

  it("gives up at the deadline, and on an address where nobody listens", async () => {
    receiver.replies = ["silent"];
    const late = await failure(AbortSignal.timeout(50));
    assert.deepEqual([late.again, late.message], [true, "the webhook cannot be reached: no answer in time"]);
    const gone = new Receiver();
    const before = address;
    address = await gone.open();
    await gone.close();
    try {
      const error = await failure();
      assert.equal(error.again, true);
      assert.ok(!error.message.includes(new URL(address).port), error.message);
    } finally {
      address = before;
    }
  });

  it("does not begin with an address or a secret that cannot be used, and does not quote it", () => {
    for (const [path, secret, reason] of [
      ["/x", "", /PATCHGUARD_WEBHOOK_SECRET is not in the environment/],
      ["/x", CANARY, /PATCHGUARD_WEBHOOK_SECRET holds is no signing secret/],
      ["/x", `${SECRET}\n${CANARY}`, /PATCHGUARD_WEBHOOK_SECRET holds has blanks/],
    ] as const)
      assert.throws(
        () => sink(path, secret),
        (error: Error) => reason.test(error.message) && !error.message.includes(CANARY),
      );
    for (const url of [`ftp://${CANARY}`, `https://me:${CANARY}@example.com/`, CANARY])
      assert.throws(
        () => webhook(CONFIG, { PATCHGUARD_WEBHOOK_URL: url, PATCHGUARD_WEBHOOK_SECRET: SECRET }),
        (error: Error) => error.message.includes("PATCHGUARD_WEBHOOK_URL") && !error.message.includes(CANARY),
      );
  });
});
