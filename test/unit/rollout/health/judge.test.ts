import assert from "node:assert/strict";
import { judge } from "../../../../rollout/health/judge.ts";
import type { Case } from "../../../../rollout/health/metric.ts";
import {
  after,
  AT_END,
  caseOf,
  ERRORS,
  LAST,
  MEMORY,
  P99,
  PLANNED,
  series,
  THROUGHPUT,
} from "./judge-cases.ts";

const outcomes = (...cases: Case[]): string[] => [judge(cases, AT_END).outcome, judge(cases, LAST).outcome];

/** Samples after which the judge calls it a breach; undefined if it never does. */
function failsAfter(cases: readonly Case[]): number | undefined {
  for (let n = 1; n <= PLANNED; n++)
    if (
      judge(
        cases.map((one) => after(n, one)),
        AT_END,
      ).outcome === "fail"
    )
      return n;
  return undefined;
}

const healthy = (workload: string): Case[] => [
  caseOf(ERRORS, 0.001, series(ERRORS, 0.001), { workload }),
  caseOf(P99, 0.2, series(P99, 0.2), { workload }),
  caseOf(MEMORY, 3e8, series(MEMORY, 3e8), { workload }),
];

describe("judge: what a bad image does", () => {
  it("5 % errors fail within the first half of the window, in words", () => {
    const one = caseOf(ERRORS, 0.001, series(ERRORS, 0.052));
    assert.ok((failsAfter([one]) ?? Infinity) <= PLANNED / 2);
    const [judgement] = judge([{ ...one, blue: series(ERRORS, 0.001) }], LAST).judgements;
    assert.equal(
      judgement?.reason,
      "Deployment shop/web: errors 5.2 % of 15,000 requests on green (blue meanwhile 0.13 %), limit 1 % and 2 times the baseline of 0.13 %",
    );
  });

  it("a p99 that triples fails", () => {
    const one = caseOf(P99, 0.2, series(P99, 0.6));
    assert.deepEqual(outcomes(one), ["fail", "fail"]);
    assert.match(
      judge([one], LAST).judgements[0]?.reason ?? "",
      /^Deployment shop\/web: p99 600 ms as the mean of 20 samples, 20 of them beyond the limit after the drain, limit 2 times the baseline of 200 ms$/,
    );
  });

  it("a leak fails although its samples spread the more the worse it gets", () => {
    const leak = caseOf(
      MEMORY,
      1e8,
      series(MEMORY, (at) => 1e8 * (1 + at / 4), { flat: true }),
    );
    assert.deepEqual(outcomes(leak), ["fail", "fail"]);
  });

  it("one of five workloads that suffers is told from the four others", () => {
    const cases = ["a", "b", "c", "d"].flatMap((name) => healthy(`Deployment shop/${name}`));
    const sick = caseOf(ERRORS, 0.001, series(ERRORS, 0.05), { workload: "Deployment shop/e" });
    const { outcome, judgements } = judge([...cases, sick], AT_END);
    assert.equal(outcome, "fail");
    assert.deepEqual(
      judgements.filter((it) => it.outcome === "fail").map(({ workload, metric }) => `${workload} ${metric}`),
      ["Deployment shop/e errors"],
    );
  });

  it("a crash at the end of a window does not pass", () => {
    const late = caseOf(
      ERRORS,
      0.001,
      series(ERRORS, (at) => (at < 18 ? 0.001 : 0.05)),
    );
    assert.deepEqual(outcomes(late), ["open", "inconclusive"]);
    assert.match(
      judge([late], LAST).judgements[0]?.reason ?? "",
      /its last 3 samples are not within the limit$/,
    );
  });

  it("a single stray sample at the end passes, two do not", () => {
    const ending = (strays: number) =>
      caseOf(
        P99,
        0.3,
        series(P99, (at) => (at >= 20 - strays ? 5 : 0.3)),
      );
    assert.deepEqual(outcomes(ending(1)), ["pass", "pass"]);
    assert.deepEqual(outcomes(ending(2)), ["open", "inconclusive"]);
  });

  it("throughput that falls to a quarter fails, where falling is bad", () => {
    assert.deepEqual(outcomes(caseOf(THROUGHPUT, 50, series(THROUGHPUT, 12))), ["fail", "fail"]);
    assert.deepEqual(outcomes(caseOf(THROUGHPUT, 50, series(THROUGHPUT, 120))), ["pass", "pass"]);
  });
});

describe("judge: what is no breach", () => {
  it("noisy but healthy workloads pass, at the end of the window and not before", () => {
    const cases = healthy("Deployment shop/web");
    assert.equal(judge(cases, AT_END).outcome, "pass");
    assert.equal(
      judge(
        cases.map((one) => after(PLANNED - 2, one)),
        AT_END,
      ).outcome,
      "open",
    );
  });

  it("beyond both limits, or it is no breach; of a critical metric either is enough", () => {
    const doubled = caseOf(ERRORS, 0.001, series(ERRORS, 0.006));
    assert.deepEqual(outcomes(doubled), ["pass", "pass"]);
    const critical = { ...doubled, metric: { ...ERRORS, critical: true } };
    assert.deepEqual(outcomes(critical), ["fail", "fail"]);
    const usual = caseOf(ERRORS, 0.02, series(ERRORS, 0.03));
    assert.deepEqual(outcomes(usual), ["pass", "pass"], "more than 1 %, but as nearly before");
  });

  it("beyond a limit that lies within the noise is not the image's fault, as long as noise explains it", () => {
    const tight = { ...P99, timesBaseline: 1.02 };
    const one = caseOf(tight, 0.2, series(P99, 0.21));
    assert.deepEqual(outcomes(one), ["open", "inconclusive"]);
    assert.match(
      judge([one], LAST).judgements[0]?.reason ?? "",
      /no further from the baseline than noise explains$/,
    );
  });

  it("the more is compared at once, the surer a breach must be", () => {
    const slight = { ...P99, timesBaseline: 1.05 };
    const one = caseOf(slight, 0.2, series(P99, 0.32));
    const others = Array.from({ length: 79 }, (_, at) =>
      caseOf(P99, 0.2, series(P99, 0.2), { workload: `Deployment shop/other-${at}` }),
    );
    const chance = (...cases: Case[]): number => judge(cases, LAST).judgements[0]?.chance ?? NaN;
    assert.ok(chance(one) > 0);
    assert.equal((chance(one, ...others) / chance(one)).toFixed(6), "80.000000");
    assert.equal(judge([one], LAST).outcome, "fail");
    assert.equal(judge([one, ...others], LAST).outcome, "inconclusive");
  });

  it("what blue suffers as well, at the same time, is not the image's fault", () => {
    for (const [metric, usual, now] of [
      [ERRORS, 0.001, 0.05],
      [P99, 0.2, 0.8],
    ] as const) {
      const one = caseOf(metric, usual, series(metric, now), { blue: series(metric, now) });
      assert.deepEqual(outcomes(one), ["open", "inconclusive"], metric.name);
      assert.match(judge([one], LAST).judgements[0]?.reason ?? "", /it is not the image$/);
      const alone = { ...one, blue: series(metric, usual) };
      assert.deepEqual(outcomes(alone), ["fail", "fail"], `${metric.name}: blue is well`);
      const worse = { ...one, blue: series(metric, now / 2) };
      assert.deepEqual(outcomes(worse), ["fail", "fail"], `${metric.name}: blue is ill, but less so`);
    }
  });

  it("a load that swings by a third over hours is no decay", () => {
    const day = caseOf(P99, 0.26, series(P99, 0.27), { first: series(P99, 0.14) });
    assert.deepEqual(outcomes(day), ["pass", "pass"]);
  });

  it("a decay from node to node is one: a fresh baseline counts at most twice the first", () => {
    const decayed = caseOf(P99, 0.9, series(P99, 1), { first: series(P99, 0.2) });
    assert.deepEqual(outcomes(decayed), ["fail", "fail"]);
    assert.equal(judge([decayed], LAST).judgements[0]?.baseline?.toFixed(3), "0.400");
  });
});

describe("judge: what says nothing", () => {
  it("a metric that vanishes in mid-window is inconclusive, never a pass", () => {
    for (const gone of [10, 18]) {
      const one = caseOf(
        P99,
        0.2,
        series(P99, (at) => (at < gone ? 0.2 : undefined)),
      );
      assert.deepEqual(outcomes(one), ["open", "inconclusive"], `after ${gone} samples`);
    }
    const errors = caseOf(
      ERRORS,
      0.001,
      series(ERRORS, (at) => (at < 17 ? 0.001 : undefined)),
    );
    assert.deepEqual(outcomes(errors), ["open", "inconclusive"]);
  });

  it("traffic that drops to nothing is inconclusive: neither its errors nor its latency pass", () => {
    const requests = (at: number): number => (at < 12 ? 750 : 0);
    for (const [metric, usual] of [
      [ERRORS, 0.001],
      [P99, 0.2],
    ] as const)
      assert.deepEqual(
        outcomes(caseOf(metric, usual, series(metric, usual, { requests }))),
        ["open", "inconclusive"],
        metric.name,
      );
  });

  it("too few requests are inconclusive, even if all of them went well, or none", () => {
    for (const errors of [0, 1])
      assert.deepEqual(outcomes(caseOf(ERRORS, 0, series(ERRORS, errors, { requests: 4 }))), [
        "open",
        "inconclusive",
      ]);
  });

  it("no errors under traffic are none", () => {
    assert.deepEqual(outcomes(caseOf(ERRORS, 0, series(ERRORS, 0))), ["pass", "pass"]);
  });

  it("without a baseline the absolute limit alone decides, and a relative one nothing", () => {
    const none = { baseline: [], first: [] };
    assert.deepEqual(outcomes(caseOf(ERRORS, 0, series(ERRORS, 0.001), none)), ["pass", "pass"]);
    assert.deepEqual(outcomes(caseOf(ERRORS, 0, series(ERRORS, 0.05), none)), ["fail", "fail"]);
    assert.deepEqual(outcomes(caseOf(P99, 0, series(P99, 0.05), none)), ["open", "inconclusive"]);
  });

  it("a source that measures more rarely than it is asked is judged by what it measures", () => {
    const rarely = (usual: number, from = 0) => series(MEMORY, usual, { n: 5, from, every: 60 });
    const rare = { first: rarely(3e8), baseline: rarely(3e8, 3_600_000) };
    assert.deepEqual(outcomes(caseOf(MEMORY, 3e8, rarely(3e8), rare)), ["pass", "pass"]);
    assert.deepEqual(outcomes(caseOf(MEMORY, 3e8, rarely(12e8), rare)), ["fail", "fail"]);
  });

  it("the worst case decides: a breach before what says nothing", () => {
    const sick = caseOf(ERRORS, 0.001, series(ERRORS, 0.05));
    const silent = caseOf(P99, 0.2, []);
    assert.deepEqual(outcomes(silent, sick), ["fail", "fail"]);
    assert.deepEqual(outcomes(silent, ...healthy("Deployment shop/web")), ["open", "inconclusive"]);
  });
});
