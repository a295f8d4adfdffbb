/** Starts the components in the order of their needs, each as early as it can be. */
import { readFileSync } from "node:fs";
import { certificatePaths } from "./certificates.ts";
import type { Component, ComponentName } from "./components.ts";
import { endProcesses, isAlive, launch, type ProcessRecord } from "./processes.ts";
import { PortTakenError, waitReady } from "./ready.ts";
import type { SandboxState } from "./state.ts";
import type { Progress } from "../terminal.ts";

/**
 * Launches what does not run, and waits for all. When one fails, what was launched here is ended before the first error
 * is thrown, so that a failed `up` leaves no process behind that the next one would have to guess about.
 */
export async function startComponents(
  dir: string,
  list: readonly Component[],
  records: readonly ProcessRecord[],
  state: SandboxState,
  progress: Progress,
): Promise<void> {
  const ca = readFileSync(certificatePaths(dir).ca, "utf8");
  const launched: ProcessRecord[] = [];
  let failed = false;
  const ready = new Map<ComponentName, Promise<void>>();

  const start = async (component: Component): Promise<void> => {
    for (const name of component.after) await ready.get(name);
    if (failed) return;
    const old = records.find((record) => record.name === component.name && isAlive(record));
    const record = old ?? launch(dir, component.launch);
    if (!old) launched.push(record);
    const step = progress.start(component.name);
    try {
      await waitReady(component, record, ca, state.tokens["admin"] ?? "");
      step.done(old ? "was running" : undefined);
    } catch (error) {
      failed = true;
      step.failed();
      throw error;
    }
  };
  for (const component of list) ready.set(component.name, start(component));
  const results = await Promise.allSettled(ready.values());
  const broken = results.find((result) => result.status === "rejected");
  const ended = launched.find((record) => !isAlive(record));
  if (!broken && !ended) return;
  await endProcesses(dir, launched);
  if (broken) throw broken.reason;
  // somebody else on its port answered in its place
  throw new PortTakenError(`${ended?.name} ended right after its start; its log is ${ended?.log}.`);
}
