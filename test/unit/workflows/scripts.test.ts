import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MARKER } from "../../../rollout/report/markdown.ts";
import { ROOT } from "./files.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchguard-scripts-"));
  mkdirSync(join(folder, "bin"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A command on PATH that notes its arguments and does as told. */
const stub = (name: string, does: string): void =>
  writeFileSync(
    join(folder, "bin", name),
    `#!/bin/bash\nprintf '%s\\n' "$*" >>"${folder}/${name}.calls"\n${does}\n`,
    {
      mode: 0o755,
    },
  );
const calls = (name: string): string[] =>
  existsSync(join(folder, `${name}.calls`))
    ? readFileSync(join(folder, `${name}.calls`), "utf8")
        .trim()
        .split("\n")
    : [];
const kept = (file: string): string => readFileSync(join(folder, "reviews/prod", file), "utf8");

function run(
  script: string,
  args: string[],
  env: Record<string, string> = {},
): { code: number | null; out: string } {
  const { status, stdout, stderr } = spawnSync("bash", [`${ROOT}.github/scripts/${script}`, ...args], {
    cwd: folder,
    env: { PATH: `${join(folder, "bin")}:${process.env["PATH"] ?? ""}`, ...env },
    encoding: "utf8",
  });
  return { code: status, out: stdout + stderr };
}

describe("look.sh", () => {
  for (const [what, npm, npx, codes] of [
    ["clear", "echo '{}'", "echo diff", ["0", "0"]],
    ["blocked", "echo '{}'; exit 2", "echo diff", ["2", "0"]],
    ["no access, and no engine", "echo no access >&2; exit 1", "echo broken >&2; exit 255", ["1", "255"]],
  ] as const)
    it(`keeps both answers and ends well: ${what}`, () => {
      stub("npm", npm);
      stub("npx", npx);
      assert.equal(run("look.sh", ["prod", "--refresh"]).code, 0);
      assert.deepEqual([kept("preflight.code").trim(), kept("preview.code").trim()], codes);
      assert.match(calls("npm")[0] ?? "", /preflight -- --stack prod --json$/);
      assert.match(calls("npx")[0] ?? "", /^pulumi preview --stack prod --diff .*--refresh$/);
      assert.doesNotMatch(calls("npx")[0] ?? "", /show-secrets/);
      assert.equal(kept("preview.txt"), npx.includes("broken") ? "broken\n" : "diff\n");
    });
});

describe("verdict.sh", () => {
  const keep = (files: Record<string, string>): void => {
    mkdirSync(join(folder, "reviews/prod"), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, "reviews/prod", name), text);
  };
  for (const [what, files, env, code, says] of [
    ["clear", { "preflight.code": "0", "preview.code": "0" }, {}, 0, /^$/],
    [
      "blocked",
      { "preflight.code": "2", "preview.code": "0" },
      {},
      1,
      /^::error title=Stack prod::Pre-flight is blocked/,
    ],
    [
      "blocked, and no setting",
      { "preflight.code": "2", "preview.code": "0" },
      { BLOCKED: "" },
      1,
      /^::error/,
    ],
    [
      "blocked, which is only to warn",
      { "preflight.code": "2", "preview.code": "0" },
      { BLOCKED: "warn" },
      0,
      /^::warning/,
    ],
    [
      "no answer",
      { "preflight.code": "1", "preflight.err": "no access\n100%", "preview.code": "0" },
      { BLOCKED: "warn" },
      1,
      /^::error title=Stack prod::Pre-flight could not answer: no access%0A100%25$/m,
    ],
    [
      "a failed preview",
      { "preflight.code": "0", "preview.code": "255", "preview.txt": "a\nerror: drift" },
      {},
      1,
      /^::error .*ended with 255: a%0Aerror: drift/,
    ],
    ["nothing kept", {}, {}, 1, /^::error .*could not answer/],
  ] as const)
    it(what, () => {
      keep(files);
      const { code: ended, out } = run("verdict.sh", ["prod"], env);
      assert.match(out, says);
      assert.equal(ended, code);
    });
});

describe("comment.sh", () => {
  const env = { REPOSITORY: "acme/platform", NUMBER: "7", GH_TOKEN: "x", STACKS: '[{"stack":"prod"}]' };
  beforeEach(() => writeFileSync(join(folder, "comment.md"), `${MARKER}\n\n### news\n`));

  it("creates the first comment", () => {
    stub("gh", "true");
    assert.equal(run("comment.sh", ["comment.md"], env).code, 0);
    assert.match(
      calls("gh")[1] ?? "",
      /^api --method POST repos\/acme\/platform\/issues\/7\/comments -F body=@comment\.md/,
    );
  });
  it("updates it in place", () => {
    stub("gh", '[ "$2" = --paginate ] && echo 41 && echo 42; true');
    assert.equal(run("comment.sh", ["comment.md"], env).code, 0);
    assert.match(calls("gh")[1] ?? "", /^api --method PATCH repos\/acme\/platform\/issues\/comments\/41 -F/);
    assert.equal(calls("gh").length, 2);
  });
  it("makes none where no stack is touched", () => {
    stub("gh", "true");
    assert.equal(run("comment.sh", ["comment.md"], { ...env, STACKS: "[]" }).code, 0);
    assert.equal(calls("gh").length, 1);
  });
  it("fails where GitHub does not answer, and writes nothing", () => {
    stub("gh", "exit 1");
    assert.notEqual(run("comment.sh", ["comment.md"], env).code, 0);
    assert.equal(calls("gh").length, 1);
  });
  it("asks for comments of the bot that begin with the marker", () => {
    stub("gh", 'echo "$MARKER" >marker; true');
    run("comment.sh", ["comment.md"], env);
    assert.equal(readFileSync(join(folder, "marker"), "utf8"), `${MARKER}\n`);
    assert.match(calls("gh")[0] ?? "", /github-actions\[bot\].*startswith\(env\.MARKER\)/);
  });
});

describe("the command lines", function () {
  this.timeout(30_000);
  const node = (args: string[], cwd: string): { code: number | null; out: string } => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8" });
    return { code: status, out: stdout + stderr };
  };

  it("touched.ts tells two commits apart, and refuses the older one", () => {
    const git = (...args: string[]): string =>
      execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], {
        cwd: folder,
        encoding: "utf8",
      });
    mkdirSync(join(folder, ".github"));
    const role = "arn:aws:iam::123456789012:role/r";
    const entry = { region: "us-east-1", previewRole: role, upRole: role };
    writeFileSync(join(folder, ".github/stacks.json"), JSON.stringify({ prod: entry, lab: entry }));
    git("init", "-q");
    git("add", ".github");
    git("commit", "-qm", "a");
    writeFileSync(join(folder, "Pulumi.lab.yaml"), "");
    git("add", "Pulumi.lab.yaml");
    git("commit", "-qm", "b");
    const touched = (...args: string[]) => node([`${ROOT}rollout/commands/touched.ts`, ...args], folder);
    const stacks = (out: string): string[] =>
      (JSON.parse(out.slice(out.indexOf("["), out.lastIndexOf("]") + 1)) as { stack: string }[]).map(
        (it) => it.stack,
      );
    assert.deepEqual(stacks(touched("--from", "HEAD^1", "--to", "HEAD").out), ["lab"]);
    assert.deepEqual(stacks(touched("--from", "0".repeat(40), "--to", "HEAD").out), ["prod", "lab"]);
    assert.deepEqual(stacks(touched("--all").out), ["prod", "lab"]);
    assert.deepEqual(stacks(touched("--stack", "lab").out), ["lab"]);
    assert.match(touched("--stack", "x").out, /has no stack x; it has prod, lab/);
    assert.equal(touched("--from", "HEAD^1", "--to", "HEAD", "--refuse", "prod").code, 0);
    const refused = touched("--from", "HEAD^1", "--to", "HEAD", "--refuse", "lab");
    assert.equal(refused.code, 1);
    assert.match(
      refused.out,
      /HEAD has changed stack lab since HEAD\^1: approve the run of the newer commit/,
    );
  });

  it("comment.ts reads what look.sh kept, and misses no stack", () => {
    mkdirSync(join(folder, "reviews/lab"), { recursive: true });
    writeFileSync(join(folder, "reviews/lab/preflight.err"), "preflight: pods is forbidden\n");
    const { code, out } = node(
      [
        `${ROOT}rollout/commands/comment.ts`,
        "--reviews",
        "reviews",
        "--expect",
        '[{"stack":"prod"},{"stack":"lab"}]',
      ],
      folder,
    );
    assert.equal(code, 0, out);
    assert.match(out, /### ❌ `lab`: pre-flight could not answer\n\n> preflight: pods is forbidden\n/);
    assert.match(out, /### ❌ `prod`: pre-flight could not answer\n\n> its job ended before pre-flight ran/);
  });

  for (const [what, text, said] of [
    ["is no JSON", "oops", /^comment: .*report\.json is not JSON/],
    ["is no report", '{"version":1}', /^comment: .*report\.json is not a pre-flight report: stack: /],
  ] as const)
    it(`comment.ts says when a report ${what}`, () => {
      writeFileSync(join(folder, "report.json"), text);
      const args = [`${ROOT}rollout/commands/comment.ts`, "--stack", "a", "--report", "report.json"];
      const { code, out } = node(args, folder);
      assert.equal(code, 1);
      assert.match(out, said);
    });
});
