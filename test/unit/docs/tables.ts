import { readFileSync } from "node:fs";

/** Text of a file of the repository. */
export const textOf = (path: string): string =>
  readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

/** A row of a Markdown table, by its column heads. `code` values lose their backticks. */
export type Row = Record<string, string>;

/** The tables of a Markdown text, each row by the heads of its table, keyed by the first head. */
export function tablesOf(markdown: string): Map<string, Row[]> {
  const tables = new Map<string, Row[]>();
  let heads: string[] | undefined;
  for (const line of markdown.split("\n")) {
    if (!line.startsWith("|")) {
      heads = undefined;
      continue;
    }
    const cells = line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replace(/^`([^`]*)`$/, "$1"));
    if (heads === undefined) {
      heads = cells;
      if (tables.has(heads[0] ?? "")) throw new Error(`two tables begin with the column ${heads[0]}`);
      tables.set(heads[0] ?? "", []);
    } else if (!cells.every((cell) => /^:?-+:?$/.test(cell))) {
      const row = Object.fromEntries(heads.map((head, index) => [head, cells[index] ?? ""]));
      tables.get(heads[0] ?? "")?.push(row);
    }
  }
  return tables;
}

/** The quoted members of a union type, in the source text of its declaration. */
export function unionMembers(source: string, declaration: RegExp): string[] {
  const text = declaration.exec(source)?.[1];
  if (text === undefined) throw new Error(`no declaration matches ${declaration}`);
  return [...text.matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? "");
}
