import type { Finding } from "./finding.ts";
import { checkSources } from "./health/check.ts";
import { sourcesOf } from "./health/sources/index.ts";
import { Inventory } from "./inventory.ts";
import { heldBy, otherHolder } from "./lease.ts";
import { LABEL_POOL } from "./names.ts";
import { isCordonedByUs, ownershipOf } from "./ownership.ts";
import { passPreflight } from "./preflight.ts";
import { failedBefore, owedBy, readRecord } from "./run-state.ts";
import type { Job } from "./run.ts";
import { sizesOfGreen } from "./sizes.ts";
import { isBlue, type Target } from "./target.ts";
import type { Cluster } from "./cluster/cluster.ts";
import type { Node } from "./cluster/types.ts";
import { Refused } from "./errors.ts";

/** What the Gate found out before anything costs money. */
export interface GateResult {
  /** Nodes by zone, from live blue: green's size where an autoscaler owns it. */
  sizes: Record<string, number>;
  warnings: Finding[];
}

/**
 * Pre-flight before green exists: nothing in the cloud or the cluster is created or changed until it passes.
 * @throws Blocked at the deadline; Refused when another handover holds the Lease.
 */
export async function gate(job: Job): Promise<GateResult> {
  const { cluster, clock, target } = job;
  const blue = await listBlue(cluster, target);
  if (blue.length === 0) return { sizes: {}, warnings: [] };
  const holder = await otherHolder(cluster, clock, job.stack);
  if (holder !== undefined) throw heldBy(holder);
  const record = await readRecord(cluster, target.pool);
  const unfinished =
    record?.generation === target.generation && Object.keys(record.nodes).length > 0 ? record : undefined;
  const inventory = await Inventory.open(cluster);
  try {
    const found = await passPreflight(job, inventory, {
      resumed: unfinished,
      owed: owedBy(record, target.generation),
    });
    const measured = job.measured ?? (await sourcesOf(job.config.health, job));
    await checkSources(job, inventory, measured, failedBefore(record, target.generation).failed);
    const nodes = inventory.all("Node").filter((node) => isBlue(target, node));
    return {
      sizes: sizesOfGreen(nodes, record !== undefined && record.phase !== "succeeded"),
      warnings: found.filter(({ severity }) => severity === "warning"),
    };
  } finally {
    inventory.close();
  }
}

/** The blue nodes of a pool, by two label queries at most (no watch: a preview asks this on every run). */
export async function listBlue(cluster: Cluster, target: Target): Promise<Node[]> {
  const nodes = await cluster.list("Node", { labelSelector: `${LABEL_POOL}=${target.pool}` });
  if (target.adopt !== undefined) {
    const labelSelector = Object.entries(target.adopt)
      .map(([key, value]) => `${key}=${value}`)
      .join(",");
    if (labelSelector === "")
      throw new Refused(`pool ${target.pool}: adopt needs at least one label, or it would adopt every node`);
    const known = new Set(nodes.map(({ metadata }) => metadata.uid));
    nodes.push(
      ...(await cluster.list("Node", { labelSelector })).filter(({ metadata }) => !known.has(metadata.uid)),
    );
  }
  return nodes.filter((node) => isBlue(target, node));
}

/**
 * Is there anything to hand over? What `diff` asks on every preview and up, with reads only: left-over nodes of another
 * generation that are not finished, or a run that did not end well.
 * @returns why, or undefined when there is nothing to do.
 */
export async function workLeft(cluster: Cluster, target: Target): Promise<string | undefined> {
  const blue = await listBlue(cluster, target);
  const open = blue.filter(
    (node) => !(isCordonedByUs(node) && ownershipOf(node)?.generation === target.generation),
  );
  if (open.length > 0)
    return `${open.length} nodes of pool ${target.pool} are not on generation ${target.generation} (${open[0]?.metadata.name} first)`;
  const record = await readRecord(cluster, target.pool);
  if (record?.generation === target.generation && record.phase !== "succeeded")
    return `the handover of pool ${target.pool} did not finish (${record.phase})`;
  if (blue.length > 0 && record?.generation !== target.generation)
    return `blue nodes of pool ${target.pool} are closed, but their handover was not recorded`;
  return undefined;
}
