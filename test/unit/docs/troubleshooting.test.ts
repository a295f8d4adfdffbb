import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { tablesOf, textOf } from "./tables.ts";

/** Source text with its messages in one piece: `a ${x} b` + `c` → a … bc. */
function messagesIn(source: string): string {
  let text = "";
  for (let at = 0; at < source.length; at++) {
    if (!source.startsWith("${", at)) {
      text += source[at];
      continue;
    }
    for (let depth = 0; ; at++) {
      if (source[at] === "{") depth++;
      if (source[at] === "}" && --depth === 0) break;
    }
    text += "…";
  }
  return text
    .replace(/[`"]\s*\+\s*[`"]/g, "")
    .replaceAll("\\`", "`")
    .replace(/\s+/g, " ");
}

const product = ["rollout", "components"].flatMap((folder) =>
  readdirSync(new URL(`../../../${folder}`, import.meta.url), { recursive: true })
    .map(String)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => messagesIn(textOf(`${folder}/${file}`))),
);

const HEAD = "Message (part of it)";
/** The fixed parts of the messages in the table. */
const fragments = (tablesOf(textOf("docs/troubleshooting.md")).get(HEAD) ?? []).map((row) =>
  (row[HEAD] ?? "")
    .replaceAll("`", "…")
    .split("…")
    .map((part) => part.trim())
    .filter((part) => part.length > 5),
);

/** Ends of a handover whose words are those of another error, or that cannot happen. */
const WITHOUT_A_ROW = [
  /^error\.message/,
  /^"unreachable"/,
  /evicted pods were still on their way/, // a line of the log, on the way to another hold
  /did not end in time/, // the clock itself stopped
  /adopt needs at least one label/, // the config refuses it first
];

describe("docs/troubleshooting.md", () => {
  it("has rows", () => assert.ok(fragments.length > 40));
  it("quotes messages as the code has them", () => {
    const unknown = fragments.flat().filter((part) => !product.some((text) => text.includes(part)));
    assert.deepEqual(unknown, [], "no message says this");
  });
  it("has a row for every way in which a handover or a guard ends badly", () => {
    const known = fragments.flat().filter((part) => part.length > 9);
    const ends = product.flatMap((text) =>
      [...text.matchAll(/new (?:Hold|Breach|Blocked|Paused|Interrupted|Abandoned|Refused)\( ?/g)].map(
        (match) => text.slice(match.index + match[0].length, match.index + 500),
      ),
    );
    const missing = ends
      .filter((message) => !WITHOUT_A_ROW.some((pattern) => pattern.test(message.slice(0, 120))))
      .filter((message) => !known.some((part) => message.includes(part)));
    assert.deepEqual(
      missing.map((message) => message.slice(0, 160)),
      [],
      "no row for this",
    );
  });
});
