import { createHmac } from "node:crypto";
import type { Alert } from "../alert.ts";
import type { Sink } from "../sink.ts";
import { post } from "./request.ts";
import { BadSecret, type Environment, secretFrom, urlFrom } from "./secret.ts";

/** Length of a signing key: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
const KEY_BYTES = { least: 24, most: 64 };

/** What `webhook-signature` says: an HMAC-SHA256 over id, time and body, in base64. @param seconds since the epoch */
export function signature(key: Uint8Array, id: string, seconds: number, body: string): string {
  return `v1,${createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64")}`;
}

/** Any HTTP endpoint: the alert as JSON, signed as Standard Webhooks says, so that receivers find a library that verifies it. */
export function webhook(config: { urlFrom: string; secretFrom: string }, env: Environment): Sink {
  const url = urlFrom(env, config.urlFrom, true);
  const secret = secretFrom(env, config.secretFrom);
  const key = keyIn(secret, config.secretFrom);
  return {
    name: "the webhook",
    takes: () => true,
    async send(alert: Alert, signal) {
      const body = JSON.stringify(alert);
      const seconds = Math.floor(Date.now() / 1000); // of each attempt: receivers refuse what is old
      const headers = {
        "webhook-id": alert.id,
        "webhook-timestamp": String(seconds),
        "webhook-signature": signature(key, alert.id, seconds, body),
      };
      await post(
        { to: "the webhook", url, headers, body, secrets: [secret, secret.replace(/^whsec_/, "")] },
        signal,
      );
    },
  };
}

function keyIn(secret: string, variable: string): Buffer {
  const text = secret.replace(/^whsec_/, "");
  const key = Buffer.from(text, "base64");
  const { least, most } = KEY_BYTES;
  if (!/^[A-Za-z0-9+/]+=*$/.test(text) || key.length < least || key.length > most)
    throw new BadSecret(
      `what ${variable} holds is no signing secret: whsec_ and ${least} to ${most} random bytes in base64 (\`echo whsec_$(openssl rand -base64 32)\`)`,
    );
  return key;
}
