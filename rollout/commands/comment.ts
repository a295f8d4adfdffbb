/**
 * `npm run comment -- --stack S --report F --diff F`: prints the body of the comment on a pull request, for one stack.
 * `npm run comment -- --reviews FOLDER`: for all stacks of a run; each subfolder is one stack's, named after it, and holds what the
 * preview workflow put there: report.json, preflight.err, preview.txt and preview.code. With `--expect`, a stack of that list (JSON, as
 * rollout/commands/touched.ts prints it) without a folder is shown as one that gave no answer.
 * Exit 0 when there is a body, 1 on an error.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { explain } from "../cluster/explain.ts";
import { commentBody, type Review } from "../report/markdown.ts";
import { type Report, reportSchema } from "../report/schema.ts";

const USAGE =
  "usage: npm run comment -- (--stack <stack> --report <file> [--diff <file>] | --reviews <folder> [--expect <json>]) [--commit <id>] [--run <url>]";

async function main(): Promise<string> {
  const { values } = parseArgs({
    options: {
      stack: { type: "string" },
      report: { type: "string" },
      diff: { type: "string" },
      reviews: { type: "string" },
      expect: { type: "string", default: "[]" },
      commit: { type: "string" },
      run: { type: "string" },
    },
  });
  const { stack, report, diff, reviews, expect, commit, run } = values;
  if (reviews !== undefined) return commentBody(await reviewsIn(reviews, expected(expect)), { commit, run });
  if (stack === undefined || report === undefined) throw new Error(USAGE);
  const review = {
    stack,
    report: reportOf(await readFile(report, "utf8"), report),
    diff: diff === undefined ? undefined : await readFile(diff, "utf8"),
  };
  return commentBody([review], { commit, run });
}

function expected(json: string): string[] {
  const list: unknown = JSON.parse(json);
  if (!Array.isArray(list)) throw new Error(`--expect should be a JSON list, but is ${json}`);
  return (list as { stack?: unknown }[]).map(({ stack }) => String(stack));
}

/** By name. */
async function reviewsIn(folder: string, expect: readonly string[]): Promise<Review[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return []; // no stack left anything behind
    throw error;
  });
  const found = entries.filter((it) => it.isDirectory()).map(({ name }) => name);
  const stacks = [...new Set([...found, ...expect])].sort();
  return Promise.all(
    stacks.map(async (stack) =>
      found.includes(stack)
        ? reviewIn(join(folder, stack), stack)
        : { stack, error: "its job ended before pre-flight ran; the log of the run says why" },
    ),
  );
}

async function reviewIn(folder: string, stack: string): Promise<Review> {
  const [report, error, diff, code] = await Promise.all(
    ["report.json", "preflight.err", "preview.txt", "preview.code"].map((file) =>
      readFile(join(folder, file), "utf8").catch(() => ""),
    ),
  );
  const previewFailed = (code ?? "").trim() !== "0";
  try {
    return { stack, report: reportOf(report ?? "", "report.json"), diff, previewFailed };
  } catch (cause) {
    // pre-flight says on stderr why it could not answer; only where it says nothing the file itself is to blame
    return { stack, error: (error ?? "").trim() || explain(cause), diff, previewFailed };
  }
}

function reportOf(text: string, file: string): Report {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error(`${file} is not JSON; it should hold what \`npm run preflight -- --json\` printed`);
  }
  const { success, data, error } = reportSchema.safeParse(json);
  if (success) return data;
  const { path = [], message = "" } = error.issues[0] ?? {};
  throw new Error(`${file} is not a pre-flight report: ${path.join(".") || "it"}: ${message}`);
}

main().then(
  (body) => process.stdout.write(body),
  (error: unknown) => {
    console.error(`comment: ${explain(error)}`);
    process.exitCode = 1;
  },
);
