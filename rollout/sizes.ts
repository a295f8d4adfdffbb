import type { Node } from "./cluster/types.ts";
import { LABEL_GENERATION, LABEL_POOL } from "./names.ts";
import { zoneOf } from "./target.ts";
import type { GreenSpec } from "./targets.ts";

/**
 * How many nodes green begins with in each zone, where an autoscaler owns the size. Pure.
 *
 * One blue generation: as many as it has, empty ones too, since nobody asked for a smaller pool.
 * Several: they are left of handovers that did not end. Each was made as large as the one before it, and the same pods are spread over
 * them, so they stand in for each other: the largest counts, zone by zone, and never the sum. What the pods have grown by since, the
 * autoscaler adds, while they wait.
 * Nodes that the pool takes over have no generation: they count as one more when a handover is half done (their pods are among those
 * that moved), and in addition when none is (they hold pods of their own).
 * @param halfDone the pool's last handover did not end well.
 */
export function sizesOfGreen(blue: readonly Node[], halfDone: boolean): Record<string, number> {
  const zones = [...Map.groupBy(blue, zoneOf)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    zones.map(([zone, nodes]) => {
      const byGeneration = Map.groupBy(nodes, generationOf);
      const takenOver = byGeneration.get(undefined)?.length ?? 0;
      byGeneration.delete(undefined);
      const largest = Math.max(0, ...[...byGeneration.values()].map(({ length }) => length));
      return [zone, halfDone ? Math.max(largest, takenOver) : largest + takenOver];
    }),
  );
}

/** Green's nodes by zone: as configured, or as many as `sizesOfGreen` says within the bounds of its groups. */
export function wantedSizes(
  { zones }: GreenSpec,
  blue: readonly Node[],
  halfDone: boolean,
): Record<string, number> {
  const now = sizesOfGreen(blue, halfDone);
  return Object.fromEntries(
    zones.map(({ zone, min, max, desired }) => [
      zone,
      desired ?? Math.min(Math.max(now[zone] ?? min, min), max),
    ]),
  );
}

/** Undefined on a node that PatchGuard did not make. */
const generationOf = ({ metadata: { labels } }: Node): string | undefined =>
  labels?.[LABEL_POOL] === undefined ? undefined : (labels[LABEL_GENERATION] ?? "");
