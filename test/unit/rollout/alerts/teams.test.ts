import assert from "node:assert/strict";
import { messageOf, teams } from "../../../../rollout/alerts/sinks/teams.ts";
import { CANARY, refusalsOf } from "./refusals.ts";
import { sample } from "./samples.ts";

interface Run {
  text: string;
  color?: string;
}
interface Message {
  type: string;
  attachments: {
    contentType: string;
    content: { type: string; version: string; body: { type: string; inlines: Run[] }[] };
  }[];
}

const PATH = `/powerautomate/automations/direct/workflows/${CANARY}/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=${CANARY}`;

describe("Teams", () => {
  const { receiver, sent, refused } = refusalsOf((address) =>
    teams({ urlFrom: "PATCHGUARD_TEAMS_URL" }, { PATCHGUARD_TEAMS_URL: address() + PATH }),
  );
  const lines = (message: object): string[] =>
    (message as Message).attachments[0]?.content.body.map(({ inlines }) =>
      inlines.map(({ text }) => text).join(""),
    ) ?? [];

  it("is told headline, summary, fix and facts, in an adaptive card of plain text", async () => {
    receiver.replies = [{ status: 202 }];
    await sent();
    const [got] = receiver.got;
    assert.equal(got?.path, PATH);
    const message = got.json as unknown as Message;
    assert.equal(message.type, "message");
    assert.equal(message.attachments.length, 1);
    const [{ contentType, content } = assert.fail()] = message.attachments;
    assert.equal(contentType, "application/vnd.microsoft.card.adaptive");
    assert.equal(content.type, "AdaptiveCard");
    assert.ok(content.body.every(({ type }) => type === "RichTextBlock"));
    const shown = lines(message);
    assert.deepEqual(shown.slice(0, 3), [
      "Warning: blocked, pool workers of shop/prod",
      sample().summary,
      "To go on: mend the pod <web-1> & run again",
    ]);
    for (const fact of ["Object: PodDisruptionBudget shop/web", "Needs: 2", "Has: 1"])
      assert.ok(shown.includes(fact), fact);
  });

  it("keeps to the size that Teams takes, whatever an alert holds", () => {
    const long = "ü".repeat(5000);
    const summary = long.slice(0, 1000); // as long as one ever is
    const object = { kind: "Pod", name: long };
    const change = {
      fix: long,
      workload: long,
      pod: long,
      metric: long,
      rule: long,
      nodes: [long],
      stack: long,
    };
    const text = JSON.stringify(messageOf(sample({ summary, object, cluster: long, run: long, ...change })));
    assert.ok(Buffer.byteLength(text) < 28_000, `${Buffer.byteLength(text)} bytes`);
  });

  it("shows by its colour what is resolved and what is urgent", () => {
    const color = (change: Parameters<typeof sample>[0]): string | undefined =>
      (messageOf(sample(change)) as Message).attachments[0]?.content.body[0]?.inlines[0]?.color;
    assert.equal(color({ status: "resolved", severity: "critical" }), "Good");
    assert.equal(color({ severity: "critical" }), "Attention");
    assert.equal(color({ severity: "warning" }), "Warning");
  });

  const gone = `{"error":{"code":"WorkflowNotFound","message":"The workflow ${CANARY} could not be found."}}`;
  refused(
    "a workflow that is gone",
    { status: 404, body: gone },
    /^Teams answered HTTP 404 .*workflow \*\*\* could/,
    false,
  );
  refused("an address whose signature is not right", { status: 401 }, /HTTP 401/, false);
  refused("a card that is too large", { status: 413 }, /HTTP 413/, false);
  refused("too many messages", { status: 429, headers: { "retry-after": "20" } }, /HTTP 429/, 20);
  refused("a fault of its own", { status: 502 }, /HTTP 502/, true);
});
