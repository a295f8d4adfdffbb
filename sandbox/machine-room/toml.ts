/**
 * The part of TOML 1.0 that Bottlerocket's settings use: tables, dotted and quoted keys, strings, numbers, booleans,
 * arrays of them. Anything else is an error, as it would be for the host.
 */

export type TomlValue = string | number | boolean | TomlValue[] | TomlTable;
export interface TomlTable {
  [key: string]: TomlValue;
}

export function parseToml(text: string): TomlTable {
  const root: TomlTable = {};
  let table = root;
  const lines = new Lines(text);
  for (;;) {
    lines.skipBlank();
    if (lines.atEnd()) return root;
    if (lines.take("[")) {
      if (lines.take("[")) throw lines.error("arrays of tables are not used in Bottlerocket's settings");
      const path = lines.keys();
      lines.expect("]");
      table = descend(root, path, lines);
    } else {
      const path = lines.keys();
      lines.expect("=");
      const last = path.pop() ?? "";
      const target = descend(table, path, lines);
      if (Object.hasOwn(target, last)) throw lines.error(`the key ${last} is set twice`);
      target[last] = lines.value();
    }
    lines.endOfLine();
  }
}

function descend(from: TomlTable, path: string[], lines: Lines): TomlTable {
  let table = from;
  for (const key of path) {
    const next = (table[key] ??= {});
    if (typeof next !== "object" || Array.isArray(next)) throw lines.error(`${key} is a value, not a table`);
    table = next;
  }
  return table;
}

class Lines {
  private at = 0;
  private readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  atEnd(): boolean {
    return this.at >= this.text.length;
  }
  error(what: string): Error {
    return new Error(`line ${this.text.slice(0, this.at).split("\n").length} of the TOML: ${what}`);
  }
  private match(pattern: RegExp): string | undefined {
    const sticky = new RegExp(pattern.source, "y");
    sticky.lastIndex = this.at;
    const found = sticky.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }
  /** Spaces, empty lines and comments. */
  skipBlank(): void {
    this.match(/(?:\s|#[^\n]*)*/);
  }
  take(token: string): boolean {
    this.match(/[ \t]*/);
    if (!this.text.startsWith(token, this.at)) return false;
    this.at += token.length;
    return true;
  }
  expect(token: string): void {
    if (!this.take(token)) throw this.error(`expected ${token}`);
  }
  endOfLine(): void {
    if (this.match(/[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/) === undefined)
      throw this.error("something follows the value");
  }
  keys(): string[] {
    const path: string[] = [];
    do {
      this.match(/[ \t]*/);
      path.push(this.quoted() ?? this.match(/[A-Za-z0-9_-]+/) ?? this.fail("expected a key"));
    } while (this.take("."));
    return path;
  }
  private fail(what: string): never {
    throw this.error(what);
  }
  private quoted(): string | undefined {
    const basic = this.match(/"(?:[^"\\\n]|\\.)*"/);
    if (basic !== undefined) return JSON.parse(basic) as string;
    return this.match(/'[^'\n]*'/)?.slice(1, -1);
  }
  value(): TomlValue {
    this.match(/[ \t]*/);
    const text = this.quoted();
    if (text !== undefined) return text;
    if (this.take("[")) {
      const items: TomlValue[] = [];
      for (;;) {
        this.skipBlank();
        if (this.take("]")) return items;
        items.push(this.value());
        this.skipBlank();
        if (!this.take(",")) {
          this.expect("]");
          return items;
        }
      }
    }
    const word = this.match(/[^\s,\]#]+/) ?? "";
    if (word === "true" || word === "false") return word === "true";
    if (/^[+-]?\d[\d_]*(\.\d+)?$/.test(word)) return Number(word.replaceAll("_", ""));
    throw this.error(`${word || "nothing"} is not a value`);
  }
}

/** Writes a tree of tables; used for EKS's merged copy of a user's settings. */
export function writeToml(root: TomlTable, path: string[] = []): string {
  const own: string[] = [];
  const inner: string[] = [];
  for (const [key, value] of Object.entries(root)) {
    if (typeof value === "object" && !Array.isArray(value)) inner.push(writeToml(value, [...path, key]));
    else own.push(`${JSON.stringify(key)} = ${JSON.stringify(value)}\n`);
  }
  const head = own.length > 0 && path.length > 0 ? `[${path.map((k) => JSON.stringify(k)).join(".")}]\n` : "";
  return head + own.join("") + inner.join("");
}
