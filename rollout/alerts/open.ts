import { ApiError, type Cluster } from "../cluster/cluster.ts";
import { alertsName, STATE_NAMESPACE } from "../names.ts";
import type { Cause } from "./alert.ts";

/** An alert that fires: what a later run needs to resolve it. */
export interface OpenAlert {
  cause: Cause;
  /** The run that raised it. */
  run: string;
}

/** More are not kept: the ConfigMap stays small. What is beyond is resolved by this run or by hand. */
export const OPEN_LIMIT = 200;

/**
 * A pool's open alerts, by key, from one run to the next: in a ConfigMap of its own, since a pre-flight that blocks before anything
 * is begun has no run state.
 * @throws Error when it cannot be read
 */
export async function readOpen(cluster: Cluster, pool: string): Promise<Map<string, OpenAlert>> {
  return (await read(cluster, pool)).stored;
}

async function read(
  cluster: Cluster,
  pool: string,
): Promise<{ stored: Map<string, OpenAlert>; resourceVersion: string | undefined }> {
  const map = await cluster.get("ConfigMap", alertsName(pool), STATE_NAMESPACE);
  const resourceVersion = map?.metadata.resourceVersion;
  const text = map?.data?.["open"];
  if (text === undefined) return { stored: new Map(), resourceVersion };
  const found = JSON.parse(text) as { version: number; alerts: OpenAlert[] };
  if (found.version !== 1 || !Array.isArray(found.alerts))
    throw new Error(`ConfigMap ${STATE_NAMESPACE}/${alertsName(pool)} was written by another version`);
  return { stored: new Map(found.alerts.map((alert) => [alert.cause.key, alert])), resourceVersion };
}

/** Other runs write here, too: one that was refused because this one is at work, say. Times. */
const ATTEMPTS = 5;

/**
 * Writes down what has changed, and leaves alone what other runs have written.
 * @param change is given what stands there; called once more when somebody else has written meanwhile
 * @throws Error when it cannot be written
 */
export async function changeOpen(
  cluster: Cluster,
  pool: string,
  change: (stored: Map<string, OpenAlert>) => void,
): Promise<void> {
  const name = alertsName(pool);
  for (let attempt = 1; ; attempt++) {
    try {
      const { stored, resourceVersion } = await read(cluster, pool);
      const before = JSON.stringify([...stored]);
      change(stored);
      if (JSON.stringify([...stored]) === before) return;
      const data = {
        // the latest are kept: how a run ended comes after what blocked it
        open: JSON.stringify({ version: 1, alerts: [...stored.values()].slice(-OPEN_LIMIT) }),
      };
      if (resourceVersion === undefined)
        await cluster.create("ConfigMap", { metadata: { name, namespace: STATE_NAMESPACE }, data });
      else await cluster.patch("ConfigMap", name, STATE_NAMESPACE, { metadata: { resourceVersion }, data });
      return;
    } catch (error) {
      const raced = error instanceof ApiError && (error.status === 409 || error.status === 404);
      if (!raced || attempt === ATTEMPTS) throw error;
    }
  }
}
