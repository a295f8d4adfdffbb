/**
 * `npm run preflight -- --stack S [--config-file F] [--json]`: read-only findings and the plan. Exit 0 when the way is clear (or nothing
 * moves), 2 when something blocks, 1 on an error.
 */
import { parseArgs } from "node:util";
import { explain } from "../cluster/explain.ts";
import { loadConfig } from "../config/index.ts";
import { loadStackFile } from "../config/stack-file.ts";
import { look } from "../report/look.ts";
import { reportText } from "../report/text.ts";

const USAGE = "usage: npm run preflight -- --stack <stack> [--config-file <file>] [--json]";

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      stack: { type: "string" },
      "config-file": { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  if (values.stack === undefined) throw new Error(USAGE);
  const file = values["config-file"] ?? `Pulumi.${values.stack}.yaml`;
  const report = await look(loadConfig(await loadStackFile(file), file), values.stack);
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
  return report.verdict === "blocked" ? 2 : 0;
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(`preflight: ${explain(error)}`);
    process.exitCode = 1;
  },
);
