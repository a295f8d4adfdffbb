import fc from "fast-check";
import assert from "node:assert/strict";
import { judge } from "../../../../rollout/health/judge.ts";
import type { Case, Metric, Sample } from "../../../../rollout/health/metric.ts";
import { ERRORS, MEMORY, P99, PLANNED, THROUGHPUT } from "./judge-cases.ts";

/** What must hold for any samples: the judge is a pure function. */

const METRICS = [ERRORS, MEMORY, P99, THROUGHPUT];

const metric: fc.Arbitrary<Metric> = fc
  .record({
    base: fc.constantFrom(...METRICS),
    limit: fc.option(fc.constantFrom(0.01, 0.3, 1, 4), { nil: undefined }),
    timesBaseline: fc.constantFrom(0.5, 1, 1.5, 2, 3),
    critical: fc.boolean(),
    failureLimit: fc.option(fc.nat(8), { nil: undefined }),
    consecutiveSuccesses: fc.nat(4),
  })
  .map(({ base, ...rule }) => ({ ...base, ...rule }));

/** Numbers nearer to zero lose digits in another unit: no source measures them. */
const LEAST = 1e-9;

/** Values about 1, some far from it, some missing. */
const value = fc.oneof(
  { weight: 8, arbitrary: fc.double({ min: 0.5, max: 2, noNaN: true }) },
  {
    weight: 2,
    arbitrary: fc.double({ min: 0, max: 20, noNaN: true }).map((it) => (it < LEAST ? 0 : it)),
  },
);

function samplesOf(
  of: Metric,
  raw: readonly (readonly [number | undefined, number])[],
  from: number,
): Sample[] {
  return raw.map(([level, total], index): Sample => {
    const at = from + (index + 1) * 15_000;
    if (level === undefined) return { at, value: undefined };
    if (of.measure === "level") return { at, value: level };
    if (of.measure === "histogram") return { at, value: total > 0 ? level : undefined, total };
    const bad = Math.min(total, Math.round((total * level) / 100));
    return { at, value: total > 0 ? bad / total : undefined, bad, total };
  });
}

const raw = (least: number) =>
  fc.array(fc.tuple(fc.option(value, { nil: undefined, freq: 12 }), fc.nat(1000)), {
    minLength: least,
    maxLength: PLANNED + 6,
  });

const oneCase = (name: string): fc.Arbitrary<Case> =>
  fc.record({ metric, first: raw(0), baseline: raw(0), green: raw(0), blue: raw(0) }).map((it) => ({
    workload: `Deployment shop/${name}`,
    metric: it.metric,
    first: samplesOf(it.metric, it.first, 0),
    baseline: samplesOf(it.metric, it.baseline, 3_600_000),
    green: samplesOf(it.metric, it.green, 7_200_000),
    blue: samplesOf(it.metric, it.blue, 7_200_000),
  }));

const cases = fc
  .array(fc.constant(0), { minLength: 1, maxLength: 6 })
  .chain((all) => fc.tuple(...all.map((_, at) => oneCase(String(at)))));

const look = fc.record({ planned: fc.constant(PLANNED), last: fc.boolean() });

const outcomes = (all: readonly Case[], at: { planned: number; last: boolean }): Record<string, string> =>
  Object.fromEntries(judge(all, at).judgements.map(({ workload, outcome }) => [workload, outcome]));

/** Every number of a case in another unit; powers of two, so that nothing is rounded. */
function scaled(one: Case, factor: number): Case {
  const each = (samples: readonly Sample[]): Sample[] =>
    samples.map((it) => ({ ...it, value: it.value === undefined ? undefined : it.value * factor }));
  const { limit } = one.metric;
  return {
    ...one,
    metric: { ...one.metric, limit: limit === undefined ? undefined : limit * factor },
    first: each(one.first),
    baseline: each(one.baseline),
    green: each(one.green),
    blue: each(one.blue),
  };
}

/** The same samples, one of them worse. */
function worse(one: Case, at: number, by: number): Case {
  const { measure } = one.metric;
  const falls = one.metric.worse === "lower";
  const green = one.green.map((it, index): Sample => {
    if (index !== at || it.value === undefined) return it;
    if (measure !== "ratio") return { ...it, value: falls ? it.value / by : it.value * by };
    const total = it.total ?? 0;
    const bad = falls ? Math.floor((it.bad ?? 0) / by) : Math.min(total, Math.ceil((it.bad ?? 0) * by) + 1);
    return { ...it, bad, value: bad / total };
  });
  return { ...one, green };
}

describe("judge: properties", () => {
  it("another unit changes no outcome", () => {
    fc.assert(
      fc.property(cases, look, fc.integer({ min: -10, max: 20 }), (all, at, power) => {
        const levels = all.filter(({ metric: { measure } }) => measure !== "ratio");
        assert.deepEqual(
          outcomes(
            levels.map((one) => scaled(one, 2 ** power)),
            at,
          ),
          outcomes(levels, at),
        );
      }),
    );
  });

  it("another order of the workloads changes no outcome", () => {
    fc.assert(
      fc.property(
        cases.chain((all) =>
          fc.tuple(fc.constant(all), fc.shuffledSubarray([...all], { minLength: all.length })),
        ),
        look,
        ([all, shuffled], at) => {
          assert.deepEqual(outcomes(shuffled, at), outcomes(all, at));
          assert.equal(judge(shuffled, at).outcome, judge(all, at).outcome);
        },
      ),
    );
  });

  it("worse samples never turn anything into a pass", () => {
    fc.assert(
      fc.property(
        oneCase("web"),
        look,
        fc.nat(PLANNED),
        fc.double({ min: 1, max: 100, noNaN: true }),
        (one, at, index, by) => {
          if (judge([one], at).outcome !== "pass")
            assert.notEqual(judge([worse(one, index, by)], at).outcome, "pass");
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("no data never passes, and never fails", () => {
    fc.assert(
      fc.property(oneCase("web"), look, fc.nat(PLANNED), (one, at, n) => {
        const green = Array.from({ length: n }, (_, index) => ({ at: index, value: undefined }));
        assert.equal(judge([{ ...one, green }], at).outcome, at.last ? "inconclusive" : "open");
      }),
    );
  });

  it("what is as it was before never fails, wherever the limits are", () => {
    fc.assert(
      fc.property(oneCase("web"), look, (one, at) => {
        if (one.baseline.length === 0) return;
        const same = { ...one, green: one.baseline, first: one.baseline };
        if (one.baseline.some(({ value: known }) => known !== undefined))
          assert.notEqual(judge([same], at).outcome, "fail");
      }),
      { numRuns: 1000 },
    );
  });

  it("a pass rests on enough samples, a last look decides, and a reason names workload and metric", () => {
    fc.assert(
      fc.property(cases, look, (all, at) => {
        const { outcome, judgements } = judge(all, at);
        if (at.last) assert.notEqual(outcome, "open");
        for (const [index, it] of judgements.entries()) {
          assert.ok(it.reason.startsWith(`${it.workload}: ${it.metric} `), it.reason);
          const green = all[index]?.green ?? [];
          if (it.outcome === "pass") assert.ok(green.some(({ value: known }) => known !== undefined));
        }
      }),
    );
  });

  it("more healthy workloads beside it never make a breach of what was none", () => {
    fc.assert(
      fc.property(cases, look, (all, at) => {
        const [one, ...others] = all;
        if (one !== undefined && judge([one], at).outcome !== "fail") {
          const among = judge([one, ...others], at).judgements[0]?.outcome;
          assert.notEqual(among, "fail");
        }
      }),
    );
  });
});
