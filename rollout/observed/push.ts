import { EnvHttpProxyAgent, fetch } from "undici";
import { networkReason } from "../cluster/network.ts";
import type { Clock } from "../clock.ts";

/** Of a single attempt, and the pause between two. Milliseconds. */
const ATTEMPT_MS = 5000;
const PAUSE_MS = 1000;
/** Environment variable with the credential for the Pushgateway (or what stands before it): a bearer token. */
export const TOKEN_VARIABLE = "PATCHGUARD_METRICS_TOKEN";

export interface PushTarget {
  /** Of the Pushgateway, without `/metrics/…`. */
  url: string;
  /** Value of the label `job`. */
  job: string;
  /** Value of the label `stack`: with `job` the key of the group that is replaced. */
  stack: string;
}

export interface PushOptions {
  clock: Clock;
  /** Deadline of all attempts together. */
  timeoutSeconds: number;
  token?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** `…/metrics/job/<job>/stack@base64/<stack>`: a value with a slash can only stand there in base64. */
export function groupUrl({ url, job, stack }: PushTarget): string {
  const encoded = (value: string): string => Buffer.from(value).toString("base64url");
  return `${url.replace(/\/+$/, "")}/metrics/job@base64/${encoded(job)}/stack@base64/${encoded(stack)}`;
}

/**
 * Replaces the group (PUT, https://github.com/prometheus/pushgateway#put-method): what it held before and the text has not, goes.
 * Tries again what may pass (no connection, no answer, 408, 429, 5xx) until the deadline.
 * @throws Error with one line that names the address and the last reason; never the token
 */
export async function push(target: PushTarget, text: string, options: PushOptions): Promise<void> {
  const { clock, timeoutSeconds, token, signal } = options;
  const deadline = clock.now() + timeoutSeconds * 1000;
  const url = groupUrl(target);
  const dispatcher = new EnvHttpProxyAgent();
  try {
    for (;;) {
      const left = Math.min(ATTEMPT_MS, deadline - clock.now());
      const { reason, again } = await attempt(url, text, token, dispatcher, Math.max(left, 1), signal);
      if (reason === undefined) return;
      if (!again || signal?.aborted || clock.now() + PAUSE_MS >= deadline)
        throw new Error(`${new URL(url).origin} did not take them: ${reason}`);
      await clock.sleep(PAUSE_MS, signal);
    }
  } finally {
    void dispatcher.destroy();
  }
}

async function attempt(
  url: string,
  body: string,
  token: string | undefined,
  dispatcher: EnvHttpProxyAgent,
  milliseconds: number,
  signal: AbortSignal | undefined,
): Promise<{ reason: string | undefined; again: boolean }> {
  const timeout = AbortSignal.timeout(milliseconds);
  try {
    const response = await fetch(url, {
      method: "PUT",
      headers: {
        "content-type": "text/plain; version=0.0.4; charset=utf-8",
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      body,
      dispatcher,
      redirect: "error", // a credential must not follow
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    });
    const said = (await response.text()).replace(/\s+/g, " ").trim().slice(0, 200);
    if (response.ok) return { reason: undefined, again: false };
    const again = response.status >= 500 || response.status === 429 || response.status === 408;
    return { reason: `HTTP ${response.status}${said === "" ? "" : ` (${said})`}`, again };
  } catch (error) {
    if (timeout.aborted) return { reason: `no answer within ${milliseconds / 1000} s`, again: true };
    return { reason: networkReason(error).text, again: true };
  }
}
