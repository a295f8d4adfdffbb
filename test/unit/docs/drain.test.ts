import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { tablesOf, textOf } from "./tables.ts";

/** `[name](../test/….test.ts): title`, several of them apart by `<br>`. */
const TEST = /^\[([\w-]+)\]\(\.\.\/(test\/\S+\.test\.ts)\): (\S.*)$/;

describe("traps of a drain", () => {
  const rows = tablesOf(textOf("docs/drain.md")).get("Trap") ?? [];

  it("are a table, and none stands there twice", () => {
    assert.ok(rows.length > 20, `${rows.length} rows`);
    const traps = rows.map(({ Trap }) => Trap);
    assert.deepEqual(traps, [...new Set(traps)]);
  });

  for (const row of rows) {
    it(`${row["Trap"]}: has a text, and tests that exist`, () => {
      assert.notEqual(row["What PatchGuard does"], "");
      for (const named of (row["Test"] ?? "").split("<br>")) {
        const [, name, path = "", title = ""] = TEST.exec(named) ?? [];
        assert.ok(name !== undefined, `"${named}" is no link to a test with its title`);
        assert.equal(path.split("/").at(-1), `${name}.test.ts`);
        assert.ok(existsSync(new URL(`../../../${path}`, import.meta.url)), `there is no ${path}`);
        // in quotes: a title in its whole length, or a row of a table of cases
        assert.ok(textOf(path).includes(`"${title}"`), `${path} has no test "${title}"`);
      }
    });
  }

  it("every test of the traps' own files stands in the table", () => {
    const told = rows.map((row) => row["Test"]).join("\n");
    const files = readdirSync(new URL("../../cluster/", import.meta.url)).filter((it) => /^traps-/.test(it));
    assert.ok(files.length > 0);
    for (const file of files) {
      const titles = [...textOf(`test/cluster/${file}`).matchAll(/\bit\(\s*"([^"]+)"/g)];
      assert.ok(titles.length > 0);
      for (const [, title = ""] of titles)
        assert.ok(told.includes(`../test/cluster/${file}): ${title}`), `${file}: ${title}`);
    }
  });
});
