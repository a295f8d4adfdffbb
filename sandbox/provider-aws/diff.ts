/** What changes between the state and the program's inputs, and which changes replace the resource. */
import type { Fields, Property, Values } from "./schema.ts";
import { isRecord, UNKNOWN } from "./schema.ts";

export interface Change {
  /** Path of the property, such as `launchTemplate.version`. */
  path: string;
  kind: "add" | "update" | "delete";
  replaces: boolean;
}

/**
 * The changes from the recorded state `olds` to the checked inputs `news`. The state is compared, not the earlier
 * inputs, as the real provider does: so drift that a refresh found shows, and a value that equals what the cloud filled
 * in does not. A property with `keep` is compared with the earlier inputs `oldInputs` and only where those had one.
 */
export function diffInputs(fields: Fields, oldInputs: Values, olds: Values, news: Values): Change[] {
  return Object.entries(fields).flatMap(([name, property]) => {
    if (!property.keep) return diffValue(property, olds[name], news[name], name, property.replaces ?? false);
    if (oldInputs[name] === undefined) return [];
    return diffValue(property, oldInputs[name], news[name], name, property.replaces ?? false);
  });
}

function diffValue(
  property: Property,
  old: unknown,
  now: unknown,
  path: string,
  replaces: boolean,
): Change[] {
  if (now === undefined) {
    return property.computed || isZero(old) ? [] : [{ path, kind: "delete", replaces }];
  }
  if (isZero(old) && isZero(now)) return [];
  if (old === undefined || old === null) return [{ path, kind: "add", replaces }];
  if (property.kind === "object" && isRecord(old) && isRecord(now)) {
    return Object.entries(property.fields ?? {}).flatMap(([name, field]) =>
      diffValue(field, old[name], now[name], `${path}.${name}`, replaces || (field.replaces ?? false)),
    );
  }
  return same(property, old, now) ? [] : [{ path, kind: "update", replaces }];
}

/** Whether two values mean the same to the API. An unknown value is never the same. */
export function same(property: Property, old: unknown, now: unknown): boolean {
  if (now === UNKNOWN) return false;
  if (isZero(now) && isZero(old)) return true;
  switch (property.kind) {
    case "list":
    case "set": {
      const { of } = property;
      if (!Array.isArray(old) || !Array.isArray(now) || !of || old.length !== now.length) return false;
      if (property.kind === "list") return now.every((v, i) => same(of, old[i], v));
      const left: unknown[] = [...(old as unknown[])];
      return now.every((v) => {
        const at = left.findIndex((o) => same(of, o, v));
        if (at >= 0) left.splice(at, 1);
        return at >= 0;
      });
    }
    case "object":
      if (!isRecord(old) || !isRecord(now)) return false;
      return diffValue(property, old, now, "", false).length === 0;
    case "map":
    case "tags":
      if (!isRecord(old) || !isRecord(now)) return false;
      return [...new Set([...Object.keys(old), ...Object.keys(now)])].every(
        (k) => Object.hasOwn(old, k) && Object.hasOwn(now, k) && String(old[k]) === String(now[k]),
      );
    case "json":
      return canonical(old) === canonical(now);
    case "string":
    case "number":
    case "boolean":
    case "boolean-text":
      return plain(old) === plain(now);
  }
}

const plain = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** Terraform does not tell an empty value from an absent one. */
function isZero(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false || value === 0) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isRecord(value) && Object.keys(value).length === 0;
}

function canonical(value: unknown): string {
  const sorted = (v: unknown): unknown =>
    Array.isArray(v)
      ? v.map(sorted)
      : isRecord(v)
        ? Object.fromEntries(
            Object.keys(v)
              .sort()
              .map((k) => [k, sorted(v[k])]),
          )
        : v;
  try {
    return JSON.stringify(sorted(typeof value === "string" ? JSON.parse(value) : value));
  } catch {
    return String(value); // not JSON (a policy somebody wrote by hand): compared as it stands
  }
}
