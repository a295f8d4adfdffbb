import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { code, prose } from "../../../../rollout/report/escape.ts";
import { commentBody, LIMIT, MARKER, type Review } from "../../../../rollout/report/markdown.ts";
import { type Report, reportSchema } from "../../../../rollout/report/schema.ts";

const sample = (name: string): string => readFileSync(new URL(`samples/${name}`, import.meta.url), "utf8");
const report = (): Report => reportSchema.parse(JSON.parse(sample("report.json")));
const prod = (change: Partial<Review> = {}): Review => ({ stack: "prod", report: report(), ...change });

/** The sample with its second pool changed. */
function changed(change: (pool: Report["pools"][number]) => void): Report {
  const it = report();
  change(it.pools[1]!);
  return it;
}

describe("the comment on a pull request", () => {
  it("says what blocks, what to do, the plan and the diff (golden)", () => {
    const body = commentBody([prod({ diff: sample("preview.txt") })], {
      commit: "8407388f2e5c",
      run: "https://github.com/acme/platform/actions/runs/123",
    });
    assert.equal(body, sample("comment.golden.txt"));
  });

  it("begins with the marker by which it is found again", () => {
    for (const reviews of [[], [prod()], [prod(), prod({ stack: "staging" })]])
      assert.ok(commentBody(reviews).startsWith(`${MARKER}\n`));
  });

  for (const [verdict, said] of [
    ["clear", "### ✅ `prod`: clear, nothing stands in the way"],
    ["nothing to move", "### ⚪ `prod`: nothing to move, every node is on its pinned image"],
  ] as const)
    it(`a report with verdict "${verdict}" has a headline of its own`, () => {
      const body = commentBody([prod({ report: { ...report(), verdict, pools: [] } })]);
      assert.ok(body.includes(said), body);
      assert.ok(!body.includes("BLOCKED"));
    });

  it("a pre-flight that could not answer is said with its reason, never as clear", () => {
    const body = commentBody([
      { stack: "prod", error: "preflight: pods is forbidden: @admin must <grant> it", diff: "x" },
    ]);
    assert.match(body, /### ❌ `prod`: pre-flight could not answer/);
    assert.match(body, /^> preflight: pods is forbidden: `@admin` must &#60;grant&#62; it$/m);
  });

  it("a preview that failed is not clear, whatever pre-flight says", () => {
    const body = commentBody([
      prod({ report: { ...report(), verdict: "clear" }, previewFailed: true, diff: "error: no such stack" }),
    ]);
    assert.match(body, /### ❌ `prod`: `pulumi preview` failed/);
    assert.ok(body.includes("error: no such stack"));
  });

  it("several stacks: a line each first, then the details", () => {
    const clear = prod({ stack: "staging", report: { ...report(), verdict: "clear" } });
    const body = commentBody([prod(), clear, { stack: "lab", error: "no access" }]);
    const lines = body.split("\n").filter((it) => /^\| (⛔|✅|❌) \|/.test(it));
    assert.deepEqual(lines, [
      "| ⛔ | `prod` | **BLOCKED** | 6 nodes, 34 pods, about 44 min |",
      "| ✅ | `staging` | clear | 6 nodes, 34 pods, about 44 min |",
      "| ❌ | `lab` | no answer |  |",
    ]);
    assert.equal([...body.matchAll(/^### /gm)].length, 4);
  });

  it("what two pools have in common stands once, with both names", () => {
    const it = report();
    it.pools.push({ ...it.pools[1]!, pool: "stateful" });
    const body = commentBody([prod({ report: it })]);
    assert.equal([...body.matchAll(/checkout-6d9f7c5b8-x2k4p is in/g)].length, 1);
    assert.ok(body.includes("<br>pool `workers`, `stateful` |"));
  });

  it("caps the findings, blocks before warnings, and says how many are missing", () => {
    const many = changed((pool) => {
      const [block, , warning] = pool.findings;
      pool.findings = [
        { ...block!, severity: "wait", why: "own pods" },
        ...Array.from({ length: 20 }, (_, at) => ({ ...warning!, why: `warning ${at}` })),
        ...Array.from({ length: 33 }, (_, at) => ({ ...block!, why: `block ${at}` })),
      ];
    });
    const body = commentBody([prod({ report: many })]);
    assert.equal([...body.matchAll(/^\| ⛔/gm)].length, 30);
    assert.ok(!body.includes("own pods"));
    assert.ok(body.includes("And 4 more: `npm run preflight` shows all."));
    assert.ok(body.includes("And 20 more: `npm run preflight` shows all."));
    assert.ok(body.includes("BLOCKED by 33 findings"));
  });

  it("an address or a commit that is none is left out", () => {
    const body = commentBody([prod()], { commit: "$(id)", run: "javascript:alert(1)" });
    assert.ok(!body.includes("About commit"));
    assert.ok(!body.includes("javascript"));
  });
});

describe("the comment stays below GitHub's limit", () => {
  const long = (lines: number): string =>
    Array.from(
      { length: lines },
      (_, at) => `    + aws:eks/nodeGroup:NodeGroup: (create) ${at} ünïcödé`,
    ).join("\n");

  it("by cutting the diff first, in its middle, and by saying so", () => {
    const body = commentBody([prod({ diff: long(20_000) })]);
    assert.ok(Buffer.byteLength(body) <= LIMIT);
    assert.ok(Buffer.byteLength(body) > LIMIT - 2000, "room is used");
    assert.ok(body.includes("(create) 0 ") && body.includes("(create) 19999 "), "head and tail are shown");
    assert.match(body, /\d+ lines in the middle are cut/);
    assert.equal([...body.matchAll(/^\| \d+ \|/gm)].length, 6, "the plan is whole");
  });

  it("one line that is longer than a comment", () => {
    const body = commentBody([prod({ diff: "x".repeat(200_000) })]);
    assert.ok(Buffer.byteLength(body) <= LIMIT);
    assert.ok(body.includes("BLOCKED by 2 findings"));
    assert.ok(body.includes("is too long for a comment"));
  });

  it("forty stacks with a thousand findings and nodes each, and a long diff", () => {
    const huge = changed((pool) => {
      const [first] = pool.findings;
      pool.findings = Array.from({ length: 1000 }, (_, at) => ({
        ...first!,
        why: `${at} ${"|@<é".repeat(300)}`,
      }));
      pool.plan!.nodes = Array.from({ length: 1000 }, () => pool.plan!.nodes[5]!);
    });
    const body = commentBody(
      Array.from({ length: 40 }, (_, at) => ({ stack: `s${at}`, report: huge, diff: long(5000) })),
    );
    assert.ok(Buffer.byteLength(body) <= LIMIT);
    assert.ok(body.includes("| ⛔ | `s0` | **BLOCKED** |"));
    assert.ok(body.includes("And 15 more stacks"));
    assert.equal([...body.matchAll(/^### ⛔ `s\d+`: BLOCKED by 1000 findings$/gm)].length, 25);
  });
});

describe("text of others in the comment", () => {
  for (const [what, text, shown] of [
    ["a pipe ends no cell", "a|b", "a&#124;b"],
    ["a mention pings nobody", "ask @acme/admins, now", "ask `@acme/admins`, now"],
    ["an address is no mention", "mail ops@example.com.", "mail `ops@example.com`."],
    ["HTML is shown, not rendered", "<img src=x onerror=y>", "&#60;img src=x onerror=y&#62;"],
    ["a comment opens nothing", "<!-- x -->", "&#60;!-- x --&#62;"],
    ["an issue is not linked", "see acme/x#12 and #3", "see `acme/x#12` and `#3`"],
    ["a link is not linked", "at https://evil.example/x", "at `https://evil.example/x`"],
    ["emphasis and links stay text", "*a* _b_ [c](d)", "&#42;a&#42; &#95;b&#95; &#91;c&#93;(d)"],
    ["an entity is not decoded", "&lt;b&gt;", "&#38;lt;b&#38;gt;"],
    ["a formula is not set", "$Latest$ is", "`$Latest$` is"],
    ["lines become one", "a\r\n\n# b", "a # b"],
    ["a command stays a command", "run `kubectl get po` now", "run `kubectl get po` now"],
    ["a command with a pipe stays whole", "`a | b`", "<code>a &#124; b</code>"],
    ["a lone backtick opens nothing", "a ` b", "a &#96; b"],
    ["what turns text round is dropped", "a\u202eb\u200bc", "a b c"],
    ["a time of day is no emoji", "at 21:07:40Z", "at 21:07:40Z"],
  ] as const)
    it(what, () => assert.equal(prose(text), shown));

  it("in code: backticks, pipes and backslashes cannot end it", () => {
    assert.equal(code("a`b"), "<code>a&#96;b</code>");
    assert.equal(code("a\\|b"), "<code>a&#92;&#124;b</code>");
    assert.equal(code("@x <b>"), "`@x <b>`");
  });

  it("a diff cannot close its own block, and its colours are dropped", () => {
    const diff = "a\n```\n</details> @everyone\n````\n\u001b[32mgreen\u001b[0m";
    const body = commentBody([prod({ diff })]);
    assert.ok(body.includes("`````diff\na\n```\n</details> @everyone\n````\ngreen\n`````\n"));
  });

  it("a hostile name reaches a table as text", () => {
    const hostile = changed((pool) => {
      pool.findings[0]!.object = { kind: "Pod", namespace: "a", name: "x` | <b> @all" };
      pool.plan!.nodes[0]!.node = "n|1`";
    });
    const body = commentBody([prod({ report: hostile })]);
    for (const row of body.split("\n").filter((it) => it.startsWith("| ⛔")))
      assert.equal(row.split("|").length, 5, row);
    assert.ok(!body.includes("<b>"));
  });
});
