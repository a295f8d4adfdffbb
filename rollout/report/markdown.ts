import { count } from "../finding.ts";
import { duration } from "../plan/duration.ts";
import { diffBlock, fitted } from "./diff-block.ts";
import { code, prose } from "./escape.ts";
import type { PoolReport, Report } from "./schema.ts";

/** One stack of a pull request: what pre-flight found, and what the engine would do. */
export interface Review {
  stack: string;
  /** Undefined where pre-flight could not answer. */
  report?: Report | undefined;
  /** Why it could not. */
  error?: string | undefined;
  /** What `pulumi preview --diff` printed; secrets are masked there, and nothing else of the stack is shown. */
  diff?: string | undefined;
  /** The preview ended with an error; `diff` then ends with it. */
  previewFailed?: boolean | undefined;
}

/** What the comment is about. */
export interface About {
  /** Commit id. */
  commit?: string | undefined;
  /** Address of the workflow run. */
  run?: string | undefined;
}

/** By this line the comment is found again and updated in place. */
export const MARKER = "<!-- patchguard:preview -->";

/** GitHub refuses a comment of more than 65,536 characters. Counted in bytes, which are never fewer, with room for what it may add. */
export const LIMIT = 65_000;

/** How many rows the tables may have; the next, smaller allowance is taken where the whole does not fit. */
const ALLOWANCES = [
  { findings: 30, nodes: 40, pools: 30 },
  { findings: 12, nodes: 12, pools: 12 },
  { findings: 5, nodes: 3, pools: 4 },
  { findings: 1, nodes: 0, pools: 2 },
  { findings: 0, nodes: 0, pools: 0 },
];
type Allowance = (typeof ALLOWANCES)[number];

/** Stacks that are shown at all. */
const STACKS = 25;

/** Of a diff's place in the comment at the least, where it has to be cut. Bytes. */
const LEAST_DIFF = 1500;

/** The body of the comment on a pull request. Pure. @param reviews empty where the change touches no stack */
export function commentBody(reviews: readonly Review[], about: About = {}): string {
  const shown = reviews.slice(0, STACKS);
  const diffs = shown.filter(({ diff }) => (diff ?? "").trim() !== "").length;
  let parts: string[] = [];
  let room = 0;
  for (const allowance of ALLOWANCES) {
    parts = shown.map((review) => section(review, allowance));
    room = LIMIT - bytes(assemble(reviews, parts, about));
    if (room >= diffs * LEAST_DIFF) break;
  }
  const each = diffs === 0 ? 0 : Math.floor(room / diffs);
  const whole = assemble(
    reviews,
    shown.map((review, at) => `${parts[at] ?? ""}${diffBlock(review.diff ?? "", each)}`),
    about,
  );
  return fitted(whole, LIMIT); // never needed as far as tests can tell; a comment that GitHub refuses helps nobody
}

const bytes = (text: string): number => Buffer.byteLength(text);

const assemble = (reviews: readonly Review[], parts: readonly string[], about: About): string =>
  [MARKER, overview(reviews), ...parts, footer(about)].filter((it) => it !== "").join("\n\n") + "\n";

/** Several stacks: one line each before the details. */
function overview(reviews: readonly Review[]): string {
  if (reviews.length === 0) return "### ⚪ PatchGuard: this change touches no stack";
  if (reviews.length === 1) return "";
  const rows = reviews
    .slice(0, STACKS)
    .map((it) => `| ${SIGN[stateOf(it)]} | ${code(it.stack)} | ${STATE[stateOf(it)]} | ${sumsOf(it)} |`);
  const rest = reviews.length - STACKS;
  return [
    `### PatchGuard: ${reviews.length} stacks`,
    "",
    "|  | Stack | Pre-flight | What would move |",
    "| :-: | --- | --- | --- |",
    ...rows,
    ...(rest > 0 ? ["", `And ${count(rest, "more stack")}: see the log of the run.`] : []),
  ].join("\n");
}

function sumsOf({ report }: Review): string {
  const plans = (report?.pools ?? []).flatMap(({ plan }) => plan ?? []);
  if (plans.length === 0) return "";
  const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
  const nodes = sum(plans.map((plan) => plan.nodes.length));
  const pods = sum(plans.map((plan) => plan.evictions));
  const seconds = sum(plans.map((plan) => plan.estimate.seconds));
  return `${count(nodes, "node")}, ${count(pods, "pod")}, about ${duration(seconds)}`;
}

type State = "failed" | "blocked" | "clear" | "nothing";
const SIGN: Record<State, string> = { failed: "❌", blocked: "⛔", clear: "✅", nothing: "⚪" };
const STATE: Record<State, string> = {
  failed: "no answer",
  blocked: "**BLOCKED**",
  clear: "clear",
  nothing: "nothing to move",
};

function stateOf({ report, previewFailed }: Review): State {
  if (report === undefined || previewFailed === true) return "failed";
  return report.verdict === "blocked" ? "blocked" : report.verdict === "clear" ? "clear" : "nothing";
}

function section(review: Review, allowance: Allowance): string {
  const { report, stack } = review;
  const blocks = (report?.pools ?? [])
    .flatMap(({ findings }) => findings)
    .filter(({ severity }) => severity === "block").length;
  const headline = {
    failed:
      report === undefined
        ? "pre-flight could not answer"
        : "`pulumi preview` failed; the end of its output says why",
    blocked: `BLOCKED by ${count(blocks, "finding")}`,
    clear: "clear, nothing stands in the way",
    nothing: "nothing to move, every node is on its pinned image",
  }[stateOf(review)];
  const lines = [`### ${SIGN[stateOf(review)]} ${code(stack)}: ${headline}`, ""];
  if (report === undefined) {
    lines.push(`> ${prose(review.error ?? "it left no message; the log of the run may tell")}`);
    return lines.join("\n");
  }
  if (report.verdict === "blocked")
    lines.push(
      "Merged as it is, `pulumi up` pauses before it touches anything, until what blocks is cleared.",
      "",
    );
  lines.push(...findingsOf(report, allowance));
  const moving = report.pools.filter(({ plan }) => plan !== undefined);
  for (const pool of moving.slice(0, allowance.pools)) lines.push(...poolOf(pool, allowance));
  if (moving.length > allowance.pools)
    lines.push(
      `${count(moving.length - allowance.pools, "pool")} not shown here: \`npm run preflight -- --stack …\``,
      "",
    );
  if (moving.length > 0)
    lines.push(...report.notAsked.map((it) => `> [!NOTE]\n> ${prose(sentenceCase(it))}\n`));
  return lines.join("\n").trimEnd();
}

const sentenceCase = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;

type PoolFinding = PoolReport["findings"][number];
interface Found {
  finding: PoolFinding;
  pools: string[];
}
type Plan = NonNullable<PoolReport["plan"]>;
const SEVERITY = { block: "⛔&nbsp;blocks", wait: "⏳&nbsp;waits", warning: "⚠️&nbsp;warns" };
const RANK = { block: 0, wait: 1, warning: 2 };

/** Blocks open, warnings folded away; what several pools have in common stands once, with all their names. */
function findingsOf({ pools }: Report, allowance: Allowance): string[] {
  const found = new Map<string, Found>();
  for (const { pool, findings } of pools) {
    for (const finding of findings) {
      const key = JSON.stringify(finding);
      const known = found.get(key) ?? { finding, pools: [] };
      known.pools.push(pool);
      found.set(key, known);
    }
  }
  const sorted = [...found.values()].toSorted((a, b) => RANK[a.finding.severity] - RANK[b.finding.severity]);
  const several = pools.filter(({ plan }) => plan !== undefined).length > 1;
  const urgent = sorted.filter(({ finding }) => finding.severity !== "warning");
  const warnings = sorted.filter(({ finding }) => finding.severity === "warning");
  const left = Math.max(0, allowance.findings - urgent.length);
  return [
    ...table(urgent, allowance.findings, several),
    ...folded(
      `${count(warnings.length, "warning")}, which ${warnings.length === 1 ? "stops" : "stop"} nothing`,
      [...table(warnings, left, several)],
    ),
  ];
}

function table(found: readonly Found[], most: number, several: boolean): string[] {
  if (found.length === 0) return [];
  const rows = found.slice(0, most).map(({ finding: { severity, object, why, fix }, pools }) => {
    const name = code(object.namespace === undefined ? object.name : `${object.namespace}/${object.name}`);
    const where = several ? `<br>pool ${pools.map((it) => code(it)).join(", ")}` : "";
    const what = `${prose(sentenceCase(why))}.<br>**To go on:** ${prose(fix)}`;
    return `| ${SEVERITY[severity]} | ${prose(object.kind)}<br>${name}${where} | ${what} |`;
  });
  const rest = found.length - rows.length;
  return [
    ...(rows.length === 0 ? [] : ["|  | Object | Why, and what to do |", "| --- | --- | --- |", ...rows, ""]),
    ...(rest === 0 ? [] : [`And ${rest} more: \`npm run preflight\` shows all.`, ""]),
  ];
}

const folded = (summary: string, body: readonly string[]): string[] =>
  body.length === 0 ? [] : [`<details><summary>${summary}</summary>`, "", ...body, "</details>", ""];

/** A plan with more nodes than this is folded away. */
const OPEN_NODES = 12;

function poolOf({ pool, image, plan }: PoolReport, allowance: Allowance): string[] {
  if (plan === undefined) return [];
  const { seconds, parts, extraNodeHours } = plan.estimate;
  const green = Object.entries(plan.green ?? {}).map(([zone, size]) => `${size} in ${prose(zone)}`);
  const nodes = [
    ...nodeTable(plan, allowance),
    `<sub>Of the ${duration(seconds)}: green ${duration(parts.green)}${green.length === 0 ? "" : ` (${green.join(", ")})`}, pods starting ${duration(parts.start)}, stopping ${duration(parts.stop)}, health windows ${duration(parts.windows)}.</sub>`,
    "",
  ];
  const many = plan.nodes.length > OPEN_NODES && allowance.nodes > 0;
  return [
    `**Pool ${code(pool)} to ${prose(image)}:** ${count(plan.nodes.length, "node")}, ${count(plan.evictions, "pod")} to move, about **${duration(seconds)}**, ${extraNodeHours} extra node-hours`,
    "",
    ...(many ? folded("Node by node", nodes) : nodes),
  ];
}

function nodeTable({ nodes }: Plan, allowance: Allowance): string[] {
  if (allowance.nodes === 0) return [];
  const rows = nodes.slice(0, allowance.nodes).map((it) => {
    const budgets = it.budgets.slice(0, 4).map(budgetUse);
    if (it.budgets.length > 4) budgets.push(`and ${count(it.budgets.length - 4, "more budget")}`);
    const node = `${code(it.node)}<br>${prose(it.zone)}`;
    return `| ${it.wave} | ${node} | ${it.evictions} | ${duration(it.seconds)} | ${prose(it.why)} | ${budgets.join("<br>")} |`;
  });
  const rest = nodes.length - rows.length;
  return [
    "| Wave | Node | Pods | About | Why here | Budgets used |",
    "| --: | --- | --: | --: | --- | --- |",
    ...rows,
    "",
    ...(rest === 0 ? [] : [`And ${count(rest, "more node")}.`, ""]),
  ];
}

const budgetUse = ({ budget, pods, allowed }: Plan["nodes"][number]["budgets"][number]): string =>
  `${code(budget)} ${count(pods, "pod")}, ${allowed > 0 ? `${allowed} at a time` : "**none&nbsp;now**"}`;

/** Which commit this is about: the comment is updated in place, so its date does not tell. */
function footer({ commit, run }: About): string {
  const parts = [
    ...(commit === undefined || !/^[0-9a-f]{7,64}$/.test(commit) ? [] : [`commit ${commit}`]),
    ...(run === undefined || !/^https:\/\/[\w.:/-]+$/.test(run) ? [] : [`[log of the run](${run})`]),
  ];
  return parts.length === 0 ? "" : `<sub>About ${parts.join(", ")}.</sub>`;
}
