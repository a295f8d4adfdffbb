import assert from "node:assert/strict";
import { CAUSES, evidenceSchema, RESULTS } from "../../../rollout/observed/evidence.ts";
import { tablesOf, textOf } from "./tables.ts";

describe("docs/observed.md says what is recorded", () => {
  const page = textOf("docs/observed.md");
  const column = (name: string): (string | undefined)[] =>
    (tablesOf(page).get(name) ?? []).map((row) => row[name]);

  it("every part of the evidence", () => {
    const parts = Object.keys(evidenceSchema.shape).filter((part) => part !== "version");
    // two stand in the row of the evictions
    assert.deepEqual([...column("Part"), "refusals", "rehearsals"].toSorted(), parts.toSorted());
  });
  it("every cause", () => assert.deepEqual(column("Cause").toSorted(), [...CAUSES].toSorted()));
  it("every result", () => {
    for (const result of RESULTS) assert.match(page, new RegExp(`\`${result}\``));
  });
  it("every metric, with its type and its labels", () => {
    const golden = textOf("test/unit/rollout/observed/metrics.golden.prom");
    const rows = (tablesOf(page).get("Metric") ?? []).map(
      ({ Metric, Type, Labels = "" }) => `${Metric} ${Type} ${Labels.replaceAll("`", "")}`,
    );
    const metrics = [...golden.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type]) => {
      const labels = new Set(
        [...golden.matchAll(new RegExp(`^${name}(?:_bucket)?\\{(.*)\\}`, "gm"))].flatMap(([, pairs = ""]) =>
          [...pairs.matchAll(/(\w+)="/g)].map((match) => match[1] ?? ""),
        ),
      );
      for (const label of ["stack", "pool", "le"]) labels.delete(label);
      return `${name} ${type} ${[...labels].join(", ")}`;
    });
    assert.deepEqual(rows, metrics);
  });
  it("the alerts use metrics and labels that exist", () => {
    const names = column("Metric");
    for (const [, metric = ""] of page.matchAll(/\b(patchguard_\w+?)(?:_bucket)?\{/g))
      assert.ok(names.includes(metric), metric);
  });
});
