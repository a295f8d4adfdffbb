import { gunzipSync, gzipSync } from "node:zlib";
import { ApiError, type Cluster } from "../cluster/cluster.ts";
import { baselineName, STATE_NAMESPACE } from "../names.ts";
import type { Metric, Sample } from "./metric.ts";

/**
 * What was measured before anything was closed: the ceiling for the whole run, however often it is resumed. Kept in a ConfigMap of its
 * own beside the run state, since it is large: compressed, numbers to four digits.
 */
export interface Baseline {
  /** The generation moved to; that of another one says nothing about this run. */
  generation: string;
  windowSeconds: number;
  /** By workload (`Deployment shop/web`) and metric's name. */
  samples: Record<string, Record<string, Sample[]>>;
}

/** What the API server takes in a ConfigMap, less some room for its metadata (https://kubernetes.io/docs/concepts/configuration/configmap/). */
const LIMIT_BYTES = 1_000_000;

export const firstOf = (
  baseline: Baseline | undefined,
  workload: string,
  { name }: Metric,
): readonly Sample[] => baseline?.samples[workload]?.[name] ?? [];

/** @returns undefined where there is none of these generations, or none that this version can read */
export async function loadBaseline(
  cluster: Cluster,
  pool: string,
  ...generations: readonly string[]
): Promise<Baseline | undefined> {
  const map = await cluster.get("ConfigMap", baselineName(pool), STATE_NAMESPACE);
  const text = map?.data?.["baseline"];
  if (text === undefined) return undefined;
  try {
    const baseline = JSON.parse(gunzipSync(Buffer.from(text, "base64")).toString()) as Baseline;
    return generations.includes(baseline.generation) ? baseline : undefined;
  } catch {
    return undefined; // a newer PatchGuard's, or a hand's edit: it is taken anew
  }
}

/** @throws Error when it is too large to be kept: a run that could not be resumed under its own ceiling is not begun */
export async function saveBaseline(cluster: Cluster, pool: string, baseline: Baseline): Promise<void> {
  const text = gzipSync(JSON.stringify(baseline, (_key, value: unknown) => rounded(value))).toString(
    "base64",
  );
  const name = baselineName(pool);
  if (text.length > LIMIT_BYTES) {
    throw new Error(
      `the metric baseline of pool ${pool} has ${text.length} bytes, more than ConfigMap ${STATE_NAMESPACE}/${name} can hold: ` +
        `watch fewer metrics, or sample less often (rollout.health.sampleSeconds).`,
    );
  }
  const data = { baseline: text };
  try {
    await cluster.create("ConfigMap", { metadata: { name, namespace: STATE_NAMESPACE }, data });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
    await cluster.patch("ConfigMap", name, STATE_NAMESPACE, { data });
  }
}

/** Four digits are more than any verdict needs; instants keep all of theirs. */
const rounded = (value: unknown): unknown =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
