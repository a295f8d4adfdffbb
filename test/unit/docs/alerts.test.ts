import assert from "node:assert/strict";
import { KINDS } from "../../../rollout/alerts/alert.ts";
import { tablesOf, textOf } from "./tables.ts";
import { sample } from "../rollout/alerts/samples.ts";

describe("docs/alerts.md says what is sent", () => {
  const page = textOf("docs/alerts.md");
  const column = (name: string): string[] => (tablesOf(page).get(name) ?? []).map((row) => row[name] ?? "");

  it("every kind", () => assert.deepEqual(column("Kind").toSorted(), [...KINDS].toSorted()));

  it("every field, in the table", () => {
    const told = column("Field").flatMap((cell) => cell.split(/`?, `?/).map((it) => it.replaceAll("`", "")));
    const more = ["workload", "pod", "nodes", "metric"];
    assert.deepEqual(told.toSorted(), [...Object.keys(sample()), ...more].toSorted());
  });

  it("its example is an alert", () => {
    const [, text = ""] = /```json\n([^]*?)```/.exec(page) ?? [];
    assert.deepEqual(Object.keys(JSON.parse(text) as object).toSorted(), Object.keys(sample()).toSorted());
  });
});
