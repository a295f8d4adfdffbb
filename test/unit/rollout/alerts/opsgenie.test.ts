import assert from "node:assert/strict";
import { aliasOf, opsgenie } from "../../../../rollout/alerts/sinks/opsgenie.ts";
import { CANARY, refusalsOf } from "./refusals.ts";
import { sample } from "./samples.ts";

const CONFIG = { apiKeyFrom: "PATCHGUARD_OPSGENIE_KEY", site: "eu" } as const;
const ENV = { PATCHGUARD_OPSGENIE_KEY: CANARY };

describe("Opsgenie", () => {
  const { receiver, sent, refused } = refusalsOf((address) =>
    opsgenie(CONFIG, ENV, `${address()}/v2/alerts`),
  );
  // https://docs.opsgenie.com/docs/alert-api#create-alert
  const accepted = { status: 202, body: '{"result":"Request will be processed","took":0.3,"requestId":"r"}' };

  it("creates an alert under an alias that fits into an address", async () => {
    receiver.replies = [accepted];
    await sent();
    const [got] = receiver.got;
    assert.equal(got?.path, "/v2/alerts");
    assert.equal(got.headers.authorization, `GenieKey ${CANARY}`);
    const { details, description, ...rest } = got.json as {
      details: Record<string, string>;
      description: string;
    };
    assert.deepEqual(rest, {
      message: "PatchGuard blocked: pool workers of shop/prod",
      alias: aliasOf(sample().key),
      entity: "PodDisruptionBudget shop/web",
      source: "prod",
      priority: "P3",
      tags: ["patchguard", "blocked"],
    });
    assert.match(aliasOf(sample().key), /^patchguard-[0-9a-f]{32}$/);
    assert.equal(description, `${sample().summary}\n\nTo go on: mend the pod <web-1> & run again`);
    assert.deepEqual([details["Needs"], details["Has"], details["Key"]], ["2", "1", sample().key]);
    assert.ok(Object.values(details).every((value) => typeof value === "string"));
  });

  it("closes it by that alias, with a note", async () => {
    receiver.replies = [accepted];
    await sent(sample({ status: "resolved", summary: "it no longer blocks" }));
    const [got] = receiver.got;
    assert.equal(got?.path, `/v2/alerts/${aliasOf(sample().key)}/close?identifierType=alias`);
    assert.deepEqual(got.json, { source: "prod", note: "it no longer blocks" });
  });

  it("keeps to its limits, and calls nobody for a success or what nothing resolves", async () => {
    receiver.replies = [accepted];
    const long = "x".repeat(20_000);
    await sent(sample({ stack: long, cluster: long, summary: long, object: { kind: "Pod", name: long } }));
    const { message, description, entity, source } = receiver.got[0]?.json as Record<string, string>;
    assert.deepEqual(
      [message, description, entity, source].map((it) => it?.length),
      [130, 15_000, 512, 100],
    );
    const sink = opsgenie(CONFIG, ENV);
    assert.deepEqual(
      (["hold", "success", "inconclusive"] as const).map((kind) => sink.takes(sample({ kind }))),
      [true, false, false],
    );
  });

  refused(
    "a key that is not accepted",
    { status: 403, body: `{"message":"Key ${CANARY} is not eligible"}` },
    /^Opsgenie answered HTTP 403 .*Key \*\*\* is/,
    false,
  );
  refused(
    "an alert that it cannot read",
    { status: 422, body: '{"message":"Request body is not processable"}' },
    /HTTP 422/,
    false,
  );
  refused("too many requests", { status: 429, headers: { "retry-after": "3" } }, /HTTP 429/, 3);
  refused("a fault of its own", { status: 503 }, /HTTP 503/, true);
});
