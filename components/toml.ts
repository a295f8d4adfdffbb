import type { FreeForm } from "../rollout/config/index.ts";

type Table = { [key: string]: FreeForm };

const isTable = (value: FreeForm): value is Table => typeof value === "object" && !Array.isArray(value);

/** A bare key, or one in quotes (https://toml.io/en/v1.0.0#keys). */
const keyText = (key: string): string => (/^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key));

function valueText(value: FreeForm): string {
  if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`;
  if (isTable(value)) {
    const members = Object.entries(value).map(([key, part]) => `${keyText(key)} = ${valueText(part)}`);
    return `{ ${members.join(", ")} }`;
  }
  // JSON's escapes are all known to TOML, but for the DEL character, which TOML wants escaped, too
  return JSON.stringify(value).replaceAll("\u007f", "\\u007f");
}

/**
 * TOML of a table of tables, as Bottlerocket's user data wants it: values first, then sub-tables under their full names, in the
 * order of their keys, so that the same settings always give the same text.
 */
export function toToml(table: Table, path: string[] = []): string {
  const entries = Object.entries(table).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const values = entries.filter(([, value]) => !isTable(value));
  const tables = entries.filter((entry): entry is [string, Table] => isTable(entry[1]));
  const lines = values.map(([key, value]) => `${keyText(key)} = ${valueText(value)}\n`);
  // a table without values of its own needs no header unless it is empty
  const header =
    path.length > 0 && (lines.length > 0 || tables.length === 0) ? `[${path.map(keyText).join(".")}]\n` : "";
  const parts = tables.map(([key, value]) => toToml(value, [...path, key]));
  return [header + lines.join(""), ...parts].filter((part) => part !== "").join("\n");
}
