import type { RolloutConfig } from "./config/index.ts";
import type { Place } from "./order.ts";
import { zoneOf } from "./target.ts";

/**
 * Cuts the order into waves: nodes that are drained together. A wave stays within a tier and a zone, so that a bad image is met by one
 * zone at a time, and each wave's health window knows what it looks at. A node with an operator-run primary is a wave of its own.
 */
export function wavesOf(
  order: readonly Place[],
  maxParallel: RolloutConfig["drain"]["maxParallel"],
): Place[][] {
  const most = maxParallel === "auto" ? Number.POSITIVE_INFINITY : maxParallel;
  const waves: Place[][] = [];
  for (const place of order) {
    const wave = waves.at(-1);
    const first = wave?.[0];
    const joins =
      wave !== undefined &&
      first !== undefined &&
      wave.length < most &&
      !first.alone &&
      !place.alone &&
      first.tier === place.tier &&
      zoneOf(first.node) === zoneOf(place.node);
    if (joins) wave.push(place);
    else waves.push([place]);
  }
  return waves;
}
