/** Waiting for a component: by its own readiness answer, with a deadline, and with its log at hand when it fails. */
import { readFileSync } from "node:fs";
import { get as httpGet } from "node:http";
import { get as httpsGet } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type { Component } from "./components.ts";
import { isAlive, type ProcessRecord } from "./processes.ts";

/** A component whose port was taken between our choice and its start. The supervisor chooses other ports. */
export class PortTakenError extends Error {}

/** One question with a 2 s limit: the status, or undefined when there is no answer. TLS is verified with `ca`. */
export async function probe(url: string, ca: string, token?: string): Promise<number | undefined> {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  return new Promise((resolve) => {
    const options = { headers, timeout: 2000, agent: false as const };
    const request = url.startsWith("https:")
      ? httpsGet(url, { ...options, ca }, done)
      : httpGet(url, options, done);
    function done(response: { statusCode?: number; resume: () => void }): void {
      response.resume();
      resolve(response.statusCode);
    }
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(undefined));
  });
}

/** Whether a readiness answer is a yes: any 2xx (moto answers 201). */
export function isReady(status: number | undefined): boolean {
  return status !== undefined && status >= 200 && status < 300;
}

/** The last lines of a log, for an error message. */
export function logTail(path: string, lines = 5): string {
  try {
    return readFileSync(path, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } catch (error) {
    return `(no log: ${(error as Error).message})`;
  }
}

/** Resolves when the component is ready. Throws when it ends or its deadline passes, naming the log. */
export async function waitReady(
  component: Component,
  record: ProcessRecord,
  ca: string,
  token: string,
): Promise<void> {
  const deadline = Date.now() + component.readySeconds * 1000;
  for (;;) {
    const status = await probe(component.readyUrl, ca, token);
    if (!isAlive(record)) {
      const tail = logTail(record.log);
      const text = `${component.name} ended while starting; its log is ${record.log}. Last lines:\n${tail}`;
      throw /address already in use|EADDRINUSE|bind: /i.test(logTail(record.log, 40))
        ? new PortTakenError(text)
        : new Error(text);
    }
    if (isReady(status)) return;
    if (Date.now() > deadline) {
      const answer = status === undefined ? "no answer" : `status ${status}`;
      throw new Error(
        `${component.name} was not ready within ${component.readySeconds} s (${answer} from ${component.readyUrl}); its log is ${record.log}. Last lines:\n${logTail(record.log)}`,
      );
    }
    await sleep(100);
  }
}
