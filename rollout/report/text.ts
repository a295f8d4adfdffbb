import { count, nameOf } from "../finding.ts";
import { planText } from "../plan/plan-text.ts";
import { statefulText } from "../preflight/stateful.ts";
import type { PoolReport, Report } from "./schema.ts";

/** The report as people read it on a terminal; every line stands on its own, so that grep and a screen reader get on with it. */
export function reportText(report: Report): string {
  const lines = [headline(report), ""];
  for (const pool of report.pools) lines.push(...poolText(pool), "");
  lines.push(...statefulLines(report));
  for (const it of report.notAsked) lines.push(`Note: ${it}`);
  return `${lines.join("\n")}\n`;
}

/** Those with pods that move, each with its volumes; the others are counted. */
function statefulLines({ statefulSets = [], pools }: Report): string[] {
  const blue = new Set(pools.flatMap(({ plan }) => plan?.nodes ?? []).map(({ node }) => node));
  const moving = statefulSets.filter(({ nodes }) => nodes.some((node) => blue.has(node)));
  const others = statefulSets.length - moving.length;
  if (moving.length === 0) return [];
  const elsewhere = others === 0 ? "" : `, ${others} elsewhere`;
  return [
    `StatefulSets: ${moving.length} with pods to move${elsewhere}`,
    ...moving.map((it) => `  ${statefulText(it)}`),
    "",
  ];
}

function headline({ stack, cluster, verdict, pools }: Report): string {
  const where = `Stack ${stack}, cluster ${cluster}`;
  if (verdict === "nothing to move") return `${where}: nothing to move, every node is on its pinned image.`;
  const blocks = pools.flatMap(({ findings }) => findings).filter(({ severity }) => severity === "block");
  return verdict === "clear"
    ? `${where}: CLEAR, nothing stands in the way.`
    : `${where}: BLOCKED by ${count(blocks.length, "finding")}. Until that clears \`pulumi up\` pauses before it touches anything.`;
}

function poolText(pool: PoolReport): string[] {
  const { plan } = pool;
  const title = `Pool ${pool.pool} to ${pool.image} (generation ${pool.generation})`;
  if (plan === undefined) return [`${title}: nothing to move`];
  return [
    `${title}: ${count(plan.nodes.length, "blue node")}, ${count(plan.evictions, "pod")} to move`,
    ...pool.findings.flatMap((it) => [
      `  ${LABEL[it.severity]} ${nameOf(it.object)}`,
      `           ${it.why}`,
      `           to go on: ${it.fix}`,
    ]),
    "",
    ...planText(plan).map((line) => `  ${line}`),
  ];
}

const LABEL = { block: "BLOCKS  ", wait: "waits   ", warning: "warns   " };
