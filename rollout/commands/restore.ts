/**
 * `npm run restore -- --stack S [--config-file F] [--force]`: the break-glass. Reopens what PatchGuard closed, from what is recorded in
 * the cluster and the cloud, without Pulumi. Exit 0 when all is open again, 1 on an error.
 */
import { parseArgs } from "node:util";
import { explain } from "../cluster/explain.ts";
import { loadConfig } from "../config/index.ts";
import { loadStackFile } from "../config/stack-file.ts";
import { restore } from "../restore.ts";
import { clusterRef, openWorld } from "../world.ts";

const USAGE = "usage: npm run restore -- --stack <stack> [--config-file <file>] [--force]";

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      stack: { type: "string" },
      "config-file": { type: "string" },
      force: { type: "boolean", default: false },
    },
  });
  if (values.stack === undefined) throw new Error(USAGE);
  const file = values["config-file"] ?? `Pulumi.${values.stack}.yaml`;
  const config = loadConfig(await loadStackFile(file), file);
  const world = await openWorld(clusterRef(config.cluster));
  const done = await restore(
    world,
    config.pools.map(({ name }) => name),
    { force: values.force },
  );
  for (const name of done.nodes) console.log(`node ${name} takes new pods again`);
  for (const name of done.groups) console.log(`node group ${name} has its own sizes and processes again`);
  if (done.nodes.length + done.groups.length === 0) console.log("nothing was closed by PatchGuard");
  else
    console.log(
      `reopened ${done.nodes.length} nodes and ${done.groups.length} groups; \`pulumi up\` goes on with the handover`,
    );
  return 0;
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(`restore: ${explain(error)}`);
    process.exitCode = 1;
  },
);
