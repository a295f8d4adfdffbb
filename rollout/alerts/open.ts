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
  const map = await cluster.get("ConfigMap", alertsName(pool), STATE_NAMESPACE);
  const text = map?.data?.["open"];
  if (text === undefined) return new Map();
  const stored = JSON.parse(text) as { version: number; alerts: OpenAlert[] };
  if (stored.version !== 1 || !Array.isArray(stored.alerts))
    throw new Error(`ConfigMap ${STATE_NAMESPACE}/${alertsName(pool)} was written by another version`);
  return new Map(stored.alerts.map((alert) => [alert.cause.key, alert]));
}

export async function saveOpen(
  cluster: Cluster,
  pool: string,
  open: ReadonlyMap<string, OpenAlert>,
): Promise<void> {
  const name = alertsName(pool);
  const data = { open: JSON.stringify({ version: 1, alerts: [...open.values()].slice(0, OPEN_LIMIT) }) };
  try {
    await cluster.patch("ConfigMap", name, STATE_NAMESPACE, { data });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    await cluster.create("ConfigMap", { metadata: { name, namespace: STATE_NAMESPACE }, data });
  }
}
