import { loadYaml } from "@kubernetes/client-node";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { ConfigError } from "./error.ts";
import type { RawConfig } from "./load.ts";

const PREFIX = "patchguard:";
const KEYS = ["cluster", "pools", "rollout", "destroy"];

/**
 * Reads the `patchguard:*` values of a stack file (Pulumi.<stack>.yaml), for command lines that run without the engine.
 * Encrypted values of other keys stay what they are; nothing is decrypted.
 * @throws ConfigError where the file is missing or is not YAML
 */
export async function loadStackFile(path: string): Promise<RawConfig> {
  const source = basename(path);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === "ENOENT"
        ? "does not exist; is this the project's folder, and the stack's name right?"
        : String(error);
    throw new ConfigError([{ path: source, reason }], source);
  }
  const config = configOf(text, source);
  const own = Object.entries(config).flatMap(([key, value]) =>
    key.startsWith(PREFIX) ? [[key.slice(PREFIX.length), plain(value)] as const] : [],
  );
  const values = Object.fromEntries(own);
  return {
    cluster: values.cluster,
    pools: values.pools,
    rollout: values.rollout,
    destroy: values.destroy,
    otherKeys: own.map(([key]) => key).filter((key) => !KEYS.includes(key)),
  };
}

function configOf(text: string, source: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = loadYaml<unknown>(text);
  } catch (error) {
    const reason = `is not YAML: ${error instanceof Error ? error.message : String(error)}`;
    throw new ConfigError([{ path: source, reason }], source);
  }
  const config = isMap(document) ? document.config : undefined;
  if (!isMap(config))
    throw new ConfigError([{ path: `${source}: config`, reason: "is missing or not a map" }], source);
  return config;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** As the engine hands it over: JSON (an unquoted day in YAML is a date here and text there). */
function plain(value: unknown): unknown {
  if (typeof value === "string" && /^\s*[[{]/.test(value)) {
    try {
      return JSON.parse(value);
    } catch {
      return value; // text that only looks like JSON: the schema says what should stand here
    }
  }
  return JSON.parse(JSON.stringify(value)) as unknown;
}
