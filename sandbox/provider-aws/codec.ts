/** Turns values between the SDK's words and the AWS API's, by the schema. */
import type { Fields, Property, Values } from "./schema.ts";
import { isRecord } from "./schema.ts";

/** EC2, Auto Scaling and IAM write members `LikeThis`, EKS `likeThis`. */
export type Style = "pascal" | "camel";

const apiName = (name: string, property: Property, style: Style): string =>
  property.api ?? (style === "pascal" ? name.charAt(0).toUpperCase() + name.slice(1) : name);

/** The API's form of the given members; those that are absent are left out. */
export function toApi(fields: Fields, values: Values, style: Style): Values {
  const result: Values = {};
  for (const [name, property] of Object.entries(fields)) {
    const value = values[name];
    if (value !== undefined && value !== null)
      result[apiName(name, property, style)] = valueToApi(property, value, style);
  }
  return result;
}

function valueToApi(property: Property, value: unknown, style: Style): unknown {
  switch (property.kind) {
    case "boolean-text":
      return value === "true";
    case "tags":
      return Object.entries(value as Values).map(([Key, Value]) => ({ Key, Value }));
    case "object":
      return toApi(property.fields ?? {}, value as Values, style);
    case "list":
    case "set": {
      const { of } = property;
      return of ? (value as unknown[]).map((v) => valueToApi(of, v, style)) : value;
    }
    case "string":
    case "number":
    case "boolean":
    case "json":
    case "map":
      return value;
  }
}

/** The SDK's form of what the API answered; members the schema does not name are left out. */
export function fromApi(fields: Fields, answer: unknown, style: Style): Values {
  const result: Values = {};
  if (!isRecord(answer)) return result;
  for (const [name, property] of Object.entries(fields)) {
    const value = answer[apiName(name, property, style)];
    if (value !== undefined && value !== null) result[name] = valueFromApi(property, value, style);
  }
  return result;
}

function valueFromApi(property: Property, value: unknown, style: Style): unknown {
  switch (property.kind) {
    case "string":
      return typeof value === "string" ? value : JSON.stringify(value);
    case "boolean-text":
      return String(value);
    case "tags":
      return Object.fromEntries(
        (value as { Key?: string; Value?: string }[]).map((t) => [t.Key ?? "", t.Value ?? ""]),
      );
    case "object":
      return fromApi(property.fields ?? {}, value, style);
    case "list":
    case "set": {
      const { of } = property;
      return of ? (value as unknown[]).map((v) => valueFromApi(of, v, style)) : value;
    }
    case "number":
    case "boolean":
    case "json":
    case "map":
      return value;
  }
}

/** Keys to set and keys to remove that lead from one map to another. */
export function mapChanges(old: unknown, now: unknown): { put: Record<string, string>; remove: string[] } {
  const before = (old ?? {}) as Record<string, string>;
  const after = (now ?? {}) as Record<string, string>;
  return {
    put: Object.fromEntries(Object.entries(after).filter(([k, v]) => before[k] !== v)),
    remove: Object.keys(before).filter((k) => !Object.hasOwn(after, k)),
  };
}

/** The inputs with one of the two names of their launch template: the state has both, and the APIs refuse both. */
export function oneReference(inputs: Values): Values {
  const { launchTemplate } = inputs;
  if (!isRecord(launchTemplate) || !launchTemplate.id) return inputs;
  const { name: _, ...reference } = launchTemplate;
  return { ...inputs, launchTemplate: reference };
}
