import assert from "node:assert/strict";
import { messageOf, slack } from "../../../../rollout/alerts/sinks/slack.ts";
import { refusalsOf } from "./refusals.ts";
import { sample } from "./samples.ts";

interface Text {
  type: string;
  text: string;
}
interface Message {
  text: string;
  blocks: { type: string; text?: Text; fields?: Text[] }[];
}

const PATH = "/services/T00000000/B00000000/canary3f9a7c51canary3f9a";

describe("Slack", () => {
  const { receiver, sent, refused } = refusalsOf((address) =>
    slack({ urlFrom: "PATCHGUARD_SLACK_URL" }, { PATCHGUARD_SLACK_URL: address() + PATH }),
  );

  it("is told headline, summary, fix and facts, none of which is read as a mention or a format", async () => {
    receiver.replies = [{ status: 200, body: "ok" }];
    await sent(sample({ summary: "pod <!channel> & co holds" }));
    const [got] = receiver.got;
    assert.equal(got?.path, PATH);
    const { text, blocks } = got.json as unknown as Message;
    assert.equal(text, "🟠 Warning: blocked, pool workers of shop/prod: pod &lt;!channel&gt; &amp; co holds");
    assert.deepEqual(
      blocks.map(({ type, text: it }) => [type, it?.type, it?.text]),
      [
        ["header", "plain_text", "🟠 Warning: blocked, pool workers of shop/prod"],
        ["section", "plain_text", "pod <!channel> & co holds"],
        ["section", "plain_text", "To go on: mend the pod <web-1> & run again"],
        ["section", undefined, undefined],
      ],
    );
    const fields = blocks[3]?.fields?.map((field) => field.text) ?? [];
    for (const fact of [
      "*Object*\nPodDisruptionBudget shop/web",
      "*Needs*\n2",
      "*Has*\n1",
      "*Cluster*\nprod",
    ])
      assert.ok(fields.includes(fact), fact);
  });

  it("keeps to Slack's limits, whatever an alert holds", () => {
    const long = "x".repeat(5000);
    const full = sample({
      summary: long,
      fix: long,
      workload: long,
      pod: long,
      metric: long,
      nodes: [long],
      stack: long,
    });
    const { blocks } = messageOf(full) as Message;
    for (const { type, text, fields = [] } of blocks) {
      assert.ok((text?.text.length ?? 1) <= (type === "header" ? 150 : 3000));
      assert.ok(fields.length <= 10 && fields.every((field) => field.text.length <= 2000));
    }
  });

  it("a resolved alert and a success look like it", () => {
    const head = (change: Parameters<typeof sample>[0]) =>
      (messageOf(sample(change)) as Message).blocks[0]?.text?.text;
    assert.equal(head({ status: "resolved" }), "✅ Resolved: blocked, pool workers of shop/prod");
    assert.equal(head({ status: "resolved", kind: "success" }), "✅ Success: pool workers of shop/prod");
    assert.equal(
      head({ kind: "hold", severity: "critical" }),
      "🔴 Critical: hold, pool workers of shop/prod",
    );
  });

  // https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors
  refused(
    "a webhook that was taken away",
    { status: 404, body: "no_service" },
    /^Slack answered HTTP 404 \(no_service\)$/,
    false,
  );
  refused(
    "a message that Slack cannot read",
    { status: 400, body: "invalid_payload" },
    /HTTP 400 \(invalid_payload\)/,
    false,
  );
  refused("too many messages", { status: 429, headers: { "retry-after": "30" } }, /HTTP 429/, 30);
  refused("a fault of Slack's", { status: 500, body: "rollup_error" }, /HTTP 500 \(rollup_error\)/, true);
});
