import assert from "node:assert/strict";
import { eventOf, pagerDuty } from "../../../../rollout/alerts/sinks/pagerduty.ts";
import { CANARY, refusalsOf } from "./refusals.ts";
import { sample } from "./samples.ts";

const KEY = CANARY.padEnd(32, "0");
const CONFIG = { routingKeyFrom: "PATCHGUARD_PAGERDUTY_KEY", region: "us" } as const;

describe("PagerDuty", () => {
  const { receiver, sent, refused } = refusalsOf((address) =>
    pagerDuty(CONFIG, { PATCHGUARD_PAGERDUTY_KEY: KEY }, `${address()}/v2/enqueue`),
  );
  // https://developer.pagerduty.com/docs/events-api-v2/overview/#response-codes--retry-logic
  const accepted = { status: 202, body: '{"status":"success","message":"Event processed","dedup_key":"k"}' };

  it("opens an incident under the alert's key", async () => {
    receiver.replies = [accepted];
    await sent();
    const [got] = receiver.got;
    assert.equal(got?.path, "/v2/enqueue");
    const { summary } = sample();
    assert.deepEqual(got.json, {
      routing_key: KEY,
      event_action: "trigger",
      dedup_key: sample().key,
      client: "PatchGuard",
      payload: {
        summary: `shop/prod, pool workers: ${summary}`,
        source: "prod",
        severity: "warning",
        timestamp: sample().time,
        component: "PodDisruptionBudget web",
        group: "shop/prod/workers",
        class: "blocked",
        custom_details: {
          Cluster: "prod",
          Object: "PodDisruptionBudget shop/web",
          Needs: "2",
          Has: "1",
          Rule: "budget-crash-loop",
          Since: sample().since,
          Run: "1a2b3c4d",
          Evidence: "kube-system/patchguard-workers-evidence, .patchguard/x.evidence.json",
          "To go on": "mend the pod <web-1> & run again",
        },
      },
    });
  });

  it("closes it under the same key", async () => {
    receiver.replies = [accepted];
    await sent(sample({ status: "resolved" }));
    const [got] = receiver.got;
    assert.deepEqual(got?.json, { routing_key: KEY, event_action: "resolve", dedup_key: sample().key });
  });

  it("keeps to its limits, and calls nobody for a success or what nothing resolves", () => {
    const { payload } = eventOf(sample({ summary: "x".repeat(2000) })) as { payload: { summary: string } };
    assert.equal(payload.summary.length, 1024);
    const sink = pagerDuty(CONFIG, { PATCHGUARD_PAGERDUTY_KEY: KEY });
    assert.deepEqual(
      (["hold", "success", "inconclusive"] as const).map((kind) => sink.takes(sample({ kind }))),
      [true, false, false],
    );
  });

  it("does not begin with what is no key, and does not quote it", () => {
    assert.throws(
      () => pagerDuty(CONFIG, { PATCHGUARD_PAGERDUTY_KEY: CANARY }),
      ({ message }: Error) =>
        /PATCHGUARD_PAGERDUTY_KEY holds is no integration key/.test(message) && !message.includes(CANARY),
    );
  });

  const invalid = `{"status":"invalid event","message":"Event object is invalid","errors":["no ${KEY}"]}`;
  refused(
    "an event that it cannot read",
    { status: 400, body: invalid },
    /^PagerDuty answered HTTP 400 .*"no \*\*\*"/,
    false,
  );
  refused("too many events", { status: 429 }, /HTTP 429/, true);
  refused("a fault of its own", { status: 503, headers: { "retry-after": "12" } }, /HTTP 503/, 12);
});
