/** What a resource's inputs look like: names, kinds, and what a change of each does. */

export type Values = Record<string, unknown>;

/** How the engine writes a value that a preview cannot know yet. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export interface Flags {
  /** A change replaces the resource (Terraform's ForceNew). */
  replaces?: boolean;
  /** The cloud fills it in when the program leaves it out, so its absence is no change (Optional and Computed). */
  computed?: boolean;
  required?: boolean;
  /** The API never tells it back, or it is an instruction to the provider: the state keeps what the program said. */
  keep?: boolean;
  /** What the real provider assumes when the program leaves it out. */
  fallback?: string | number | boolean;
  /** Its name in the AWS API where that is not the same word (first letter upper case in EC2 and Auto Scaling). */
  api?: string;
}

export interface Property extends Flags {
  /**
   * `boolean-text`: the SDK's "true"/"false" for the API's boolean; `tags`: a map here, Key/Value pairs in the API;
   * `json`: a JSON document, compared by meaning.
   */
  kind:
    "string" | "number" | "boolean" | "boolean-text" | "json" | "map" | "tags" | "list" | "set" | "object";
  /** Elements of a list or set. */
  of?: Property;
  /** Members of an object. */
  fields?: Fields;
}

export type Fields = Record<string, Property>;

export const text = (flags: Flags = {}): Property => ({ kind: "string", ...flags });
export const number = (flags: Flags = {}): Property => ({ kind: "number", ...flags });
export const boolean = (flags: Flags = {}): Property => ({ kind: "boolean", ...flags });
export const booleanText = (flags: Flags = {}): Property => ({ kind: "boolean-text", ...flags });
export const json = (flags: Flags = {}): Property => ({ kind: "json", ...flags });
export const map = (flags: Flags = {}): Property => ({ kind: "map", ...flags });
export const tags = (flags: Flags = {}): Property => ({ kind: "tags", ...flags });
export const list = (of: Property, flags: Flags = {}): Property => ({ kind: "list", of, ...flags });
export const set = (of: Property, flags: Flags = {}): Property => ({ kind: "set", of, ...flags });
export const object = (fields: Fields, flags: Flags = {}): Property => ({ kind: "object", fields, ...flags });

export interface Failure {
  property: string;
  reason: string;
}

export const isRecord = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** True for a value that a preview cannot know, also when only a part of it is unknown. */
export function hasUnknown(value: unknown): boolean {
  if (value === UNKNOWN) return true;
  if (Array.isArray(value)) return value.some(hasUnknown);
  return isRecord(value) && Object.values(value).some(hasUnknown);
}

/**
 * Brings the program's inputs into their declared kinds and fills in defaults. Every unknown name, missing required
 * value and value of a wrong kind becomes one failure.
 */
export function checkInputs(
  token: string,
  fields: Fields,
  news: Values,
): { inputs: Values; failures: Failure[] } {
  const failures: Failure[] = [];
  const inputs = checkFields(token, fields, news, "", failures);
  return { inputs, failures };
}

function checkFields(
  token: string,
  fields: Fields,
  news: Values,
  prefix: string,
  failures: Failure[],
): Values {
  const result: Values = {};
  for (const [name, value] of Object.entries(news)) {
    if (value === null || value === undefined || name === "__defaults") continue;
    const path = prefix + name;
    const property = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (property) result[name] = checkValue(token, property, value, path, failures);
    else failures.push({ property: path, reason: unknownInput(token, path, fields, prefix) });
  }
  for (const [name, property] of Object.entries(fields)) {
    if (result[name] !== undefined) continue;
    if (property.fallback !== undefined) result[name] = property.fallback;
    else if (property.required)
      failures.push({ property: prefix + name, reason: `${token} needs a value for \`${prefix + name}\`` });
  }
  return result;
}

const unknownInput = (token: string, path: string, fields: Fields, prefix: string): string =>
  `the sandbox's aws provider does not know input \`${path}\` of ${token}; it knows ${
    Object.keys(fields)
      .map((name) => prefix + name)
      .join(", ") || "none"
  }. Add it under sandbox/provider-aws/types, sent to the API, if a test needs it`;

function checkValue(
  token: string,
  property: Property,
  value: unknown,
  path: string,
  failures: Failure[],
): unknown {
  if (value === UNKNOWN) return value;
  const wrong = (expected: string) => {
    failures.push({
      property: path,
      reason: `\`${path}\` of ${token} must be ${expected}, not ${JSON.stringify(value)}`,
    });
    return value;
  };
  switch (property.kind) {
    case "string":
      return typeof value === "string"
        ? value
        : typeof value === "object"
          ? wrong("a string")
          : JSON.stringify(value);
    case "json":
      return typeof value === "string" ? value : JSON.stringify(value);
    case "number":
      return value === "" || typeof value === "object" || Number.isNaN(Number(value))
        ? wrong("a number")
        : Number(value);
    case "boolean":
      return value === true || value === "true"
        ? true
        : value === false || value === "false"
          ? false
          : wrong("true or false");
    case "boolean-text":
      return value === true || value === "true"
        ? "true"
        : value === false || value === "false"
          ? "false"
          : wrong('"true" or "false"');
    case "map":
    case "tags":
      if (!isRecord(value)) return wrong("a map of strings");
      return Object.fromEntries(
        Object.entries(value)
          .filter(([, v]) => v !== null && v !== undefined)
          .map(([k, v]) => [k, String(v)]),
      );
    case "object":
      if (!isRecord(value)) return wrong("an object");
      return checkFields(token, property.fields ?? {}, value, `${path}.`, failures);
    case "list":
    case "set": {
      const { of } = property;
      if (!Array.isArray(value) || !of) return wrong("a list");
      return value.map((v, i) => checkValue(token, of, v, `${path}[${i}]`, failures));
    }
  }
}
