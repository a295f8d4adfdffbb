/**
 * Tokens of EKS: `k8s-aws-v1.` and the base64url of a presigned GetCallerIdentity request to STS. The real service
 * sends that request; here its signature is computed again with the sandbox's one secret, so a token for another
 * cluster (the signed header x-k8s-aws-id) or with a wrong signature is refused as there.
 */

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { WORLD } from "../images.ts";

export const SECRET = "sandbox";
const PREFIX = "k8s-aws-v1.";

export interface User {
  username: string;
  uid: string;
  groups: string[];
}

/** Access key id to groups: the default is an administrator, two are there to test missing permissions. */
const groupsOf = (accessKey: string): string[] =>
  accessKey === "denied" ? [] : accessKey === "readonly" ? ["patchguard-readonly"] : ["system:masters"];

/**
 * @param validMs how long after its X-Amz-Date a token is accepted
 * @param hosts hosts beside STS's own for which a request may be signed (a client with a custom endpoint signs for that)
 * @throws Error with the reason, for the log; callers of the API server only ever see 401
 */
export function authenticate(token: string, now: number, validMs: number, hosts: string[]): User {
  if (!token.startsWith(PREFIX)) throw new Error("not an EKS token");
  const url = new URL(Buffer.from(token.slice(PREFIX.length), "base64url").toString("utf8"));
  if (!/^sts(\.[a-z0-9-]+)?\.amazonaws\.com$/.test(url.host) && !hosts.includes(url.host))
    throw new Error(`signed for ${url.host}, not for STS`);
  const query = url.searchParams;
  if (query.get("Action") !== "GetCallerIdentity") throw new Error("not a GetCallerIdentity request");
  const signed = (query.get("X-Amz-SignedHeaders") ?? "").split(";");
  if (!signed.includes("x-k8s-aws-id")) throw new Error("the header x-k8s-aws-id is not signed");

  const time = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/
    .exec(query.get("X-Amz-Date") ?? "")
    ?.slice(1)
    .map(Number);
  if (!time) throw new Error("no X-Amz-Date");
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = time;
  const age = now - Date.UTC(year, month - 1, day, hour, minute, second);
  if (age > validMs)
    throw new Error(`expired: signed ${Math.round(age / 1000)} s ago, valid for ${validMs / 1000} s`);
  if (age < -300_000) throw new Error("signed in the future");

  const accessKey = (query.get("X-Amz-Credential") ?? "").split("/")[0] ?? "";
  const expected = Buffer.from(signature(url, { host: url.host, "x-k8s-aws-id": WORLD.cluster }));
  const given = Buffer.from(query.get("X-Amz-Signature") ?? "");
  if (expected.length !== given.length || !timingSafeEqual(expected, given))
    throw new Error(`wrong signature: a wrong secret, or signed for another cluster than ${WORLD.cluster}`);
  return {
    username: `arn:aws:iam::${WORLD.account}:user/${accessKey}`,
    uid: `aws-iam-authenticator:${WORLD.account}:${accessKey}`,
    groups: groupsOf(accessKey),
  };
}

/** Signature Version 4 of a presigned request with an empty body. */
export function signature(url: URL, headers: Record<string, string>): string {
  const query = url.searchParams;
  const [, date = "", region = "", service = ""] = (query.get("X-Amz-Credential") ?? "").split("/");
  const encode = (s: string): string =>
    encodeURIComponent(s).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const canonicalQuery = [...query]
    .filter(([key]) => key !== "X-Amz-Signature")
    .map(([key, value]) => `${encode(key)}=${encode(value)}`)
    .sort()
    .join("&");
  const names = (query.get("X-Amz-SignedHeaders") ?? "").split(";");
  const canonical = [
    "GET",
    url.pathname,
    canonicalQuery,
    ...names.map((name) => `${name}:${headers[name] ?? ""}`),
    "",
    names.join(";"),
    createHash("sha256").update("").digest("hex"),
  ].join("\n");
  const scope = `${date}/${region}/${service}/aws4_request`;
  const text = [
    "AWS4-HMAC-SHA256",
    query.get("X-Amz-Date") ?? "",
    scope,
    createHash("sha256").update(canonical).digest("hex"),
  ].join("\n");
  const hmac = (key: string | Buffer, data: string): Buffer =>
    createHmac("sha256", key).update(data).digest();
  const key = hmac(hmac(hmac(hmac(`AWS4${SECRET}`, date), region), service), "aws4_request");
  return createHmac("sha256", key).update(text).digest("hex");
}

interface TokenReview {
  spec?: { token?: string };
}

/** The answer of the API server's webhook. */
export function review(
  body: string,
  now: number,
  validMs: number,
  hosts: string[],
): { answer: object; reason?: string } {
  const request = JSON.parse(body) as TokenReview;
  const answer = (status: object): object => ({
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenReview",
    status,
  });
  try {
    return {
      answer: answer({
        authenticated: true,
        user: authenticate(request.spec?.token ?? "", now, validMs, hosts),
      }),
    };
  } catch (error) {
    return { answer: answer({ authenticated: false }), reason: (error as Error).message };
  }
}
