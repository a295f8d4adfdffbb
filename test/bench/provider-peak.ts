/** Memory of the process that runs a handover, on the large cluster that live-fill.ts wrote: until the first pod is evicted, when it has read, watched and judged everything. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Transport } from "../../rollout/cluster/transport.ts";
import type { Told } from "./drain/child.ts";
import { collections, POOL, type Size } from "./synthetic.ts";

/** The generation of the nodes that take the blue ones' pods. */
const GREEN = "bbbbbbbb";
/** Every tenth node is blue; the next one is made green. */
const GREEN_EVERY = 10;

/** @returns MiB at the peak */
export async function providerPeak(kubeconfig: string): Promise<number> {
  const child = fork(fileURLToPath(new URL("drain/child.ts", import.meta.url)));
  const events: string[] = [];
  return new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) =>
      reject(new Error(`the handover's process ended with ${code}: ${events.join("; ")}`)),
    );
    child.on("message", (told: Told) => {
      if ("line" in told) {
        const { event, message } = told.line;
        events.push(`${event}: ${message}`);
        if (event === "evict" && child.connected) child.send("stop");
        return;
      }
      if (events.some((line) => line.startsWith("evict: "))) resolve(told.ended.peakMiB);
      else reject(new Error(`nothing was evicted (${told.ended.failure}): ${events.slice(-5).join("; ")}`));
    });
    child.send({ kubeconfig, pool: POOL, generation: GREEN, rollout: {} });
  });
}

/** Turns every tenth node green, and gives every budget room: nothing is to stop the run before its first eviction. */
export async function makeRoom(transport: Transport, size: Size): Promise<void> {
  const all = collections(size);
  const merge = (path: string, body: object): Promise<unknown> =>
    transport.json({ method: "PATCH", path, body, contentType: "application/merge-patch+json" });
  const named = (collection: string, index: number): { name: string; namespace: string } =>
    (all[collection]?.at(index) as { metadata: { name: string; namespace: string } }).metadata;
  for (let at = 1; at < size.nodes; at += GREEN_EVERY) {
    const labels = { "patchguard.dev/pool": POOL, "patchguard.dev/generation": GREEN };
    await merge(`/api/v1/nodes/${named("/api/v1/nodes", at).name}`, { metadata: { labels } });
  }
  for (let at = 0; at < size.budgets; at++) {
    const { namespace, name } = named("/policy/v1/poddisruptionbudgets", at);
    const path = `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets/${name}`;
    const { metadata } = (await merge(path, { spec: { minAvailable: 1 } })) as {
      metadata: { generation: number };
    };
    const status = { disruptionsAllowed: 1, desiredHealthy: 1, observedGeneration: metadata.generation };
    await merge(`${path}/status`, { status });
  }
}
