import { loadYaml } from "@kubernetes/client-node";
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { loadConfig } from "../../../rollout/config/index.ts";
import { textOf } from "./tables.ts";

const PAGES = [
  "README",
  "docs/alerts",
  "docs/architecture",
  "docs/ci",
  "docs/configuration",
  "docs/controls",
  "docs/drain",
  "docs/observed",
  "docs/permissions",
  "docs/reference",
  "docs/troubleshooting",
];

const slug = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");

const anchorsOf = (markdown: string): string[] =>
  [...markdown.matchAll(/^#+ (.+)$/gm)].map((match) => slug(match[1] ?? ""));

describe("README and docs", () => {
  it("the configuration example of the README is a valid config", () => {
    const [, text = ""] = /```yaml\n([^]*?)```/.exec(textOf("README.md")) ?? [];
    const { config } = loadYaml<{ config: Record<string, unknown> }>(text);
    const loaded = loadConfig({
      cluster: config["patchguard:cluster"],
      pools: config["patchguard:pools"],
      rollout: config["patchguard:rollout"],
    });
    assert.deepEqual(
      loaded.pools.map(({ name }) => name),
      ["workers", "batch"],
    );
  });
  for (const page of PAGES) {
    it(`links of ${page}.md lead somewhere`, () => {
      const markdown = textOf(`${page}.md`);
      const folder = page.startsWith("docs/") ? "docs/" : "";
      for (const [, target = ""] of markdown.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue;
        const [path = "", anchor] = target.split("#");
        const url = new URL(`../../../${folder}${path}`, import.meta.url);
        assert.ok(path === "" || existsSync(url), `${page}.md links to ${target}, which does not exist`);
        if (anchor === undefined) continue;
        const anchors = anchorsOf(path === "" ? markdown : textOf(`${folder}${path}`));
        assert.ok(anchors.includes(anchor), `${page}.md links to ${target}; there is no such heading`);
      }
    });
  }
});
