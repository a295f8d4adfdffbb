/**
 * `npm run pause|resume|abort|skip-window -- --stack S [--reason TEXT] [--config-file F]`: what an operator wants of the handover that
 * runs. Exit 0 when the handover does it, 1 when it does not, or when none runs.
 */
import { hostname, userInfo } from "node:os";
import { parseArgs } from "node:util";
import { explain } from "../cluster/explain.ts";
import { loadConfig } from "../config/index.ts";
import { loadStackFile } from "../config/stack-file.ts";
import { ask } from "../control.ts";
import { ACTIONS } from "../controls.ts";
import { clusterRef, openWorld } from "../world.ts";

const USAGE = `usage: npm run ${ACTIONS.join("|")} -- --stack <stack> [--reason <text>] [--config-file <file>]`;

/** Who asks: a name for people, proof of nothing. */
function me(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return `somebody@${hostname()}`; // a container whose user has no name
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      stack: { type: "string" },
      reason: { type: "string" },
      "config-file": { type: "string" },
    },
    allowPositionals: true,
  });
  const [word, ...rest] = positionals;
  const action = ACTIONS.find((it) => it === word);
  const { stack, reason } = values;
  if (action === undefined || rest.length > 0 || stack === undefined) throw new Error(USAGE);
  const file = values["config-file"] ?? `Pulumi.${stack}.yaml`;
  const { cluster } = loadConfig(await loadStackFile(file), file);
  const world = await openWorld(clusterRef(cluster));
  const { obeyed, answer } = await ask(world, { action, stack, clusterName: cluster.name, by: me(), reason });
  if (obeyed) console.log(`${action}: ${answer}`);
  else console.error(`${action}: refused: ${answer}`);
  return obeyed ? 0 : 1;
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(`control: ${explain(error)}`);
    process.exitCode = 1;
  },
);
