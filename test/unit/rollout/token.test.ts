/** EKS tokens: their form, and when they are made anew. */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import type { Clock } from "../../../rollout/clock.ts";
import { CloudError } from "../../../rollout/cloud/cloud.ts";
import { createEksTokens, presign, stsHost } from "../../../rollout/cluster/eks-token.ts";

const KEYS = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const AT = new Date("2026-11-22T20:00:00Z");

const urlOf = (token: string): URL =>
  new URL(Buffer.from(token.slice("k8s-aws-v1.".length), "base64url").toString());

/** Signature version 4 by the book, to check the library's use against. */
function signature(url: URL, cluster: string, region: string, secret: string): string {
  const query = [...url.searchParams]
    .filter(([key]) => key !== "X-Amz-Signature")
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`)
    .sort()
    .join("&");
  const empty = createHash("sha256").update("").digest("hex");
  const canonical = [
    "GET",
    "/",
    query,
    `host:${url.host}`,
    `x-k8s-aws-id:${cluster}`,
    "",
    "host;x-k8s-aws-id",
    empty,
  ];
  const time = url.searchParams.get("X-Amz-Date") ?? "";
  const scope = `${time.slice(0, 8)}/${region}/sts/aws4_request`;
  const digest = createHash("sha256").update(canonical.join("\n")).digest("hex");
  const hmac = (key: string | Buffer, data: string): Buffer =>
    createHmac("sha256", key).update(data).digest();
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, time.slice(0, 8)), region), "sts"), "aws4_request");
  return hmac(key, ["AWS4-HMAC-SHA256", time, scope, digest].join("\n")).toString("hex");
}

function manualClock(): Clock & { at: number } {
  return {
    at: AT.getTime(),
    now: function () {
      return this.at;
    },
    sleep: async () => undefined,
  };
}

describe("EKS token", () => {
  it("is a presigned GetCallerIdentity with the cluster in a signed header", async () => {
    const token = await presign(KEYS, "prod", "eu-west-1", AT);
    assert.match(token, /^k8s-aws-v1\.[A-Za-z0-9_-]+$/, "base64url without padding");
    const url = urlOf(token);
    assert.equal(url.origin + url.pathname, "https://sts.eu-west-1.amazonaws.com/");
    const { "X-Amz-Signature": signed, ...rest } = Object.fromEntries(url.searchParams);
    assert.deepEqual(rest, {
      Action: "GetCallerIdentity",
      Version: "2011-06-15",
      "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
      "X-Amz-Credential": "AKIDEXAMPLE/20261122/eu-west-1/sts/aws4_request",
      "X-Amz-Date": "20261122T200000Z",
      "X-Amz-Expires": "60",
      "X-Amz-SignedHeaders": "host;x-k8s-aws-id",
    });
    assert.equal(signed, signature(url, "prod", "eu-west-1", KEYS.secretAccessKey));
  });

  it("carries the session token of temporary credentials", async () => {
    const token = await presign({ ...KEYS, sessionToken: "a+b/c=" }, "prod", "eu-west-1", AT);
    assert.equal(urlOf(token).searchParams.get("X-Amz-Security-Token"), "a+b/c=");
    assert.equal(
      urlOf(token).searchParams.get("X-Amz-Signature"),
      signature(urlOf(token), "prod", "eu-west-1", KEYS.secretAccessKey),
    );
  });

  const hosts = {
    "us-east-1": "sts.us-east-1.amazonaws.com",
    "cn-north-1": "sts.cn-north-1.amazonaws.com.cn",
  };
  for (const [region, host] of Object.entries(hosts))
    it(`names ${host}`, () => assert.equal(stsHost(region), host));

  it("does not follow AWS_ENDPOINT_URL", async () => {
    const before = process.env["AWS_ENDPOINT_URL"];
    process.env["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1";
    try {
      assert.equal(urlOf(await presign(KEYS, "prod", "eu-west-1", AT)).host, "sts.eu-west-1.amazonaws.com");
    } finally {
      if (before === undefined) delete process.env["AWS_ENDPOINT_URL"];
      else process.env["AWS_ENDPOINT_URL"] = before;
    }
  });

  function tokens(answers: (() => Promise<typeof KEYS>)[]): {
    clock: ReturnType<typeof manualClock>;
    made: () => number;
    tokens: ReturnType<typeof createEksTokens>;
  } {
    const clock = manualClock();
    let made = 0;
    const credentials = () => () => (answers[made++] ?? (() => Promise.resolve(KEYS)))();
    return {
      clock,
      made: () => made,
      tokens: createEksTokens({ clusterName: "prod", region: "eu-west-1", clock, credentials }),
    };
  }

  it("is kept for ten minutes and then made anew", async () => {
    const it = tokens([]);
    const first = await it.tokens.get();
    it.clock.at += 10 * 60_000 - 1;
    assert.equal(await it.tokens.get(), first);
    it.clock.at += 1;
    assert.notEqual(await it.tokens.get(), first);
    assert.equal(it.made(), 2);
  });

  it("is made once for requests that ask together", async () => {
    const it = tokens([]);
    const [a, b] = await Promise.all([it.tokens.get(), it.tokens.get()]);
    assert.equal(a, b);
    assert.equal(it.made(), 1);
  });

  it("is made anew once when several requests report the same refused one", async () => {
    const it = tokens([]);
    const refused = await it.tokens.get();
    it.clock.at += 1000;
    it.tokens.invalidate(refused);
    const next = await it.tokens.get();
    assert.notEqual(next, refused);
    it.tokens.invalidate(refused); // the second request learns of it later
    assert.equal(await it.tokens.get(), next);
    assert.equal(it.made(), 2);
  });

  it("does not keep a failure, and says what to do about it", async () => {
    const it = tokens([
      () => Promise.reject(Object.assign(new Error("no providers"), { name: "CredentialsProviderError" })),
    ]);
    await assert.rejects(
      it.tokens.get(),
      (error) => error instanceof CloudError && /prod.*no AWS credentials.*Log in again/.test(error.message),
    );
    assert.match(await it.tokens.get(), /^k8s-aws-v1\./);
  });
});
