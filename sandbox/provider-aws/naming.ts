/** Physical names where the program gives none: `<logical name>-<7 hex digits>`, as the real provider does. */
import { createHash, randomBytes } from "node:crypto";
import type { Values } from "./schema.ts";

/** Inputs that check filled in rather than the program; the real provider records them under the same key. */
const DEFAULTS = "__defaults";

export const isAutonamed = (inputs: Values, nameProperty: string): boolean =>
  Array.isArray(inputs[DEFAULTS]) && inputs[DEFAULTS].includes(nameProperty);

/**
 * Adds the name to `inputs`: the program's, the one already in use, or a new one made from `seed` (the engine's, so that
 * preview and update agree; random when empty).
 */
export function withName(
  inputs: Values,
  nameProperty: string,
  olds: Values,
  logicalName: string,
  seed: Uint8Array,
): Values {
  if (inputs[nameProperty] !== undefined) return { ...inputs, [DEFAULTS]: [] };
  const kept = olds[nameProperty];
  const random =
    seed.length > 0 ? createHash("sha256").update(seed).digest("hex") : randomBytes(8).toString("hex");
  const name = typeof kept === "string" && kept !== "" ? kept : `${logicalName}-${random.slice(0, 7)}`;
  return { ...inputs, [nameProperty]: name, [DEFAULTS]: [nameProperty] };
}
