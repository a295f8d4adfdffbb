import assert from "node:assert/strict";
import { authenticate, review, signature } from "../../../../sandbox/machine-room/tokens.ts";

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

/** A token as an EKS client makes it. */
function token(
  change: { key?: string; cluster?: string; host?: string; ageMs?: number; action?: string } = {},
): string {
  const date = new Date(NOW - (change.ageMs ?? 0)).toISOString().replace(/[-:]|\.\d+/g, "");
  const url = new URL(`https://${change.host ?? "sts.us-east-1.amazonaws.com"}/`);
  url.search = new URLSearchParams({
    Action: change.action ?? "GetCallerIdentity",
    Version: "2011-06-15",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": `${change.key ?? "sandbox"}/${date.slice(0, 8)}/us-east-1/sts/aws4_request`,
    "X-Amz-Date": date,
    "X-Amz-Expires": "60",
    "X-Amz-SignedHeaders": "host;x-k8s-aws-id",
  }).toString();
  url.searchParams.set(
    "X-Amz-Signature",
    signature(url, { host: url.host, "x-k8s-aws-id": change.cluster ?? "sandbox" }),
  );
  return `k8s-aws-v1.${Buffer.from(url.toString()).toString("base64url")}`;
}
const check = (t: string) => authenticate(t, NOW, 900_000, ["127.0.0.1:4000"]);

describe("EKS tokens", () => {
  it("name the caller, an administrator by default", () => {
    assert.deepEqual(check(token()), {
      username: "arn:aws:iam::123456789012:user/sandbox",
      uid: "aws-iam-authenticator:123456789012:sandbox",
      groups: ["system:masters"],
    });
    assert.deepEqual(check(token({ key: "readonly" })).groups, ["patchguard-readonly"]);
    assert.deepEqual(check(token({ key: "denied" })).groups, []);
    assert.equal(check(token({ host: "127.0.0.1:4000" })).groups.length, 1);
  });
  const refused: [string, string, RegExp][] = [
    ["too old", token({ ageMs: 901_000 }), /expired/],
    ["for another cluster", token({ cluster: "other" }), /another cluster/],
    ["for another service", token({ host: "example.com" }), /not for STS/],
    ["for another action", token({ action: "AssumeRole" }), /GetCallerIdentity/],
    ["of another kind", "eyJhbGciOi", /not an EKS token/],
    ["no URL", "k8s-aws-v1.eA", /Invalid URL/],
  ];
  for (const [what, text, why] of refused)
    it(`are refused when they are ${what}`, () => assert.throws(() => check(text), why));
  it("answer a TokenReview without telling why", () => {
    const { answer, reason } = review(
      JSON.stringify({ spec: { token: token({ ageMs: 901_000 }) } }),
      NOW,
      900_000,
      [],
    );
    assert.deepEqual((answer as { status: object }).status, { authenticated: false });
    assert.match(reason ?? "", /expired/);
  });
});
