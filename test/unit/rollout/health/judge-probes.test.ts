import assert from "node:assert/strict";
import fc from "fast-check";
import { judge } from "../../../../rollout/health/judge.ts";
import type { Case, Metric, Sample } from "../../../../rollout/health/metric.ts";
import type { Verdict } from "../../../../rollout/health/verdict.ts";
import { after, caseOf, ERRORS, MEMORY, PLANNED, series } from "./judge-cases.ts";

const PROBE: Metric = {
  name: "probe front",
  source: "probe front",
  measure: "probe",
  unit: "%",
  worse: "higher",
  limit: 0,
  critical: false,
  consecutiveSuccesses: 3,
  minimumRequests: 0,
  absent: "none",
  about: "probe front",
};

/** `.` is well, `x` failed, ` ` is no answer. */
const answers = (pattern: string, from = 0): Sample[] =>
  [...pattern].map((it, at): Sample => {
    const instant = from + (at + 1) * 15_000;
    if (it === " ") return { at: instant, value: undefined };
    return it === "x"
      ? { at: instant, value: 1, why: `answered 503 (${at + 1})` }
      : { at: instant, value: 0 };
  });

const probed = (
  pattern: string,
  { before = ".".repeat(PLANNED), ...metric }: Partial<Metric> & { before?: string } = {},
): Case => ({
  workload: "probe front",
  metric: { ...PROBE, ...metric },
  first: answers(before),
  baseline: answers(before, 3_600_000),
  green: answers(pattern, 7_200_000),
  blue: [],
});

/** As a window goes: looked at after each sample, lengthened to twice its length while nothing is decided. */
function window(one: Case, planned = PLANNED): { verdict: Verdict; samples: number } {
  for (let n = 1; ; n++) {
    const last = n >= 2 * planned;
    const verdict = judge([after(n, one)], { planned, last });
    if (verdict.outcome === "fail" || last || (n >= planned && verdict.outcome === "pass"))
      return { verdict, samples: n };
  }
}

describe("judge: probes", () => {
  const outcome = (pattern: string, metric?: Parameters<typeof probed>[1]) =>
    window(probed(pattern, metric)).verdict.outcome;

  it("a probe that is dead from the drain on fails after more than a quarter of the window", () => {
    const { verdict, samples } = window(probed("x".repeat(2 * PLANNED)));
    assert.equal(verdict.outcome, "fail");
    assert.equal(samples, PLANNED / 4 + 1);
    assert.equal(
      verdict.judgements[0]?.reason,
      "probe front failed 6 of 6 times after the drain, limit a quarter of a window's; at last: answered 503 (6)",
    );
  });

  it("names the workload that it speaks for", () => {
    const about = "Deployment shop/web";
    const one = { ...probed("x".repeat(40), { about }), workload: about };
    assert.match(
      window(one).verdict.judgements[0]?.reason ?? "",
      /^Deployment shop\/web: probe front failed 6 of 6/,
    );
  });

  it("one that fails now and then within its limit passes, beyond it fails", () => {
    assert.equal(outcome("x.x.x.x.x..........." + ".".repeat(20)), "pass");
    assert.equal(outcome("x.x.x.x.x.x........." + ".".repeat(20)), "fail");
    assert.equal(outcome("x.......x..........." + ".".repeat(20), { failureLimit: 1 }), "fail");
    assert.equal(outcome("...................." + ".".repeat(20), { failureLimit: 0 }), "pass");
  });

  it("no failure is put down to noise, however many other cases there are", () => {
    const others = Array.from({ length: 200 }, () => caseOf(ERRORS, 0.001, series(ERRORS, 0.001)));
    const verdict = judge([...others, after(6, probed("x".repeat(40)))], { planned: PLANNED, last: false });
    assert.equal(verdict.outcome, "fail");
  });

  it("one that dies at the end of a window does not pass", () => {
    const { verdict, samples } = window(probed(".".repeat(18) + "x".repeat(22)));
    assert.equal(verdict.outcome, "fail");
    assert.ok(samples > PLANNED, `${samples}`);
  });

  it("one that is no longer made is no pass", () => {
    assert.equal(outcome(" ".repeat(40)), "inconclusive");
    assert.equal(outcome(".....".padEnd(40)), "inconclusive");
  });

  it("needs no baseline", () => {
    assert.equal(outcome("x".repeat(40), { before: "" }), "fail");
    assert.equal(outcome(".".repeat(40), { before: "" }), "pass");
  });

  it("leaves the verdicts of others alone", () => {
    const sick = caseOf(MEMORY, 100, series(MEMORY, 400));
    const judged = judge([sick, probed(".".repeat(PLANNED))], { planned: PLANNED, last: false });
    assert.deepEqual(
      judged.judgements.map(({ outcome: of }) => of),
      ["fail", "pass"],
    );
  });

  it("a window of a single probe that failed is no pass, however it may end", () => {
    const rule = { consecutiveSuccesses: 0 };
    assert.equal(judge([probed("x", rule)], { planned: 1, last: true }).outcome, "inconclusive");
    assert.equal(judge([probed("xx", rule)], { planned: 1, last: true }).outcome, "fail");
  });

  describe("for any window, baseline and rule", () => {
    const scene = fc
      .record({
        planned: fc.integer({ min: 1, max: 60 }),
        before: fc.array(fc.constantFrom(".", ".", ".", "x"), { maxLength: 80 }).map((all) => all.join("")),
        consecutiveSuccesses: fc.nat(5),
        share: fc.option(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { nil: undefined }),
      })
      .map(({ share, planned, ...rest }) => ({
        ...rest,
        planned,
        // a limit that a window can reach; the config refuses others
        failureLimit: share === undefined ? undefined : Math.floor(share * planned),
      }));

    it("a probe that fails at every sample after the drain fails", () =>
      fc.assert(
        fc.property(scene, ({ planned, ...rule }) => {
          const { verdict, samples } = window(probed("x".repeat(2 * planned), rule), planned);
          assert.equal(verdict.outcome, "fail");
          assert.ok(samples <= Math.max(2, planned), `${samples} of ${planned}`);
        }),
        { numRuns: 500 },
      ));

    it("one stray failure never fails, and the window passes in the end", () =>
      fc.assert(
        fc.property(scene, fc.nat(), ({ planned, failureLimit, ...rule }, place) => {
          const pattern = ".".repeat(2 * planned + 5).split("");
          pattern[place % planned] = "x";
          const limit = failureLimit === undefined ? undefined : Math.max(1, failureLimit);
          const one = probed(pattern.join(""), { ...rule, failureLimit: limit });
          for (let n = 1; n <= pattern.length; n++)
            assert.notEqual(judge([after(n, one)], { planned, last: n === pattern.length }).outcome, "fail");
          assert.equal(judge([one], { planned, last: true }).outcome, "pass");
        }),
        { numRuns: 500 },
      ));

    it("all well passes, and never fails before", () =>
      fc.assert(
        fc.property(scene, ({ planned, ...rule }) => {
          const { verdict } = window(probed(".".repeat(2 * planned + 5), rule), planned);
          assert.notEqual(verdict.outcome, "fail");
        }),
      ));
  });
});
