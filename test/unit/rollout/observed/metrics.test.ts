import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Collector } from "../../../../rollout/observed/collector.ts";
import { joinMetrics, metricsOf } from "../../../../rollout/observed/metrics.ts";
import { evidenceOf, recorded, second } from "./recorded.ts";

const golden = readFileSync(new URL("metrics.golden.prom", import.meta.url), "utf8");

describe("the metrics of a run", () => {
  it("in Prometheus' text format, as recorded", async () => {
    assert.equal(await metricsOf(evidenceOf()), golden);
  });

  it("name no pod and no node, and a hundred budgets by cause beyond the longest twenty", async () => {
    const collector = recorded();
    for (let budget = 0; budget < 100; budget++) {
      const pod = { namespace: "shop", name: `pod-${budget}`, uid: `many-${budget}` };
      const message = `The disruption budget budget-${budget} needs 3 healthy pods and has 3`;
      collector.asked(pod, { outcome: "budget", budget: `budget-${budget}`, message }, second(0));
      collector.asked(pod, { outcome: "evicted" }, second(1 + budget));
    }
    const text = await metricsOf(evidenceOf(collector));
    const blocked = text.split("\n").filter((line) => line.startsWith("patchguard_blocked_seconds_total{"));
    assert.equal(blocked.length, 20 + 4, "twenty by name, and what is left of four causes");
    assert.ok(!/web-1|db-0|pod-\d|"a"/.test(text));
    const sum = blocked.reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
    assert.equal(sum, 5050 + 18 + 10 + 2 + 2, "nothing is lost by summing up");
  });

  it("of a run that moved nothing are whole, too", async () => {
    const text = await metricsOf({ ...evidenceOf(new Collector()), result: "blocked", why: "a budget" });
    assert.match(text, /^patchguard_evictions_total\{stack="shop\/prod",pool="workers"\} 0$/m);
    assert.match(text, /^patchguard_handover_result\{result="blocked",.*\} 1$/m);
    assert.match(text, /^patchguard_handover_result\{result="succeeded",.*\} 0$/m);
  });

  it("of several pools stand together, metric by metric", async () => {
    const batch = await metricsOf(evidenceOf(recorded(), "batch"));
    const joined = joinMetrics([golden, batch]);
    const lines = joined.split("\n").filter((line) => line !== "");
    assert.equal(new Set(lines).size, lines.length, "no line twice");
    const samples = (text: string): string[] => text.split("\n").filter((line) => /^[a-z]/.test(line));
    assert.deepEqual(samples(joined).toSorted(), [...samples(golden), ...samples(batch)].toSorted());
    let current = "";
    for (const line of lines) {
      current = /^# HELP (\S+)/.exec(line)?.[1] ?? current;
      assert.ok(line.replace(/^# (HELP|TYPE) /, "").startsWith(current), `${line} stands under ${current}`);
    }
    assert.equal(joinMetrics([golden]).trim(), golden.trim());
  });
});
