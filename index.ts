import { clusterResources } from "./components/cluster.ts";
import { DestroyConsent } from "./components/consent.ts";
import { guards } from "./components/guards.ts";
import { existing } from "./components/imports.ts";
import { livePlan } from "./components/plan.ts";
import { declarePools } from "./components/pools.ts";
import { readConfig } from "./components/settings.ts";
import { awsPools, targetOf } from "./rollout/targets.ts";
import { clusterRef } from "./rollout/world.ts";

const config = readConfig();
const ref = clusterRef(config.cluster);
const consented = config.destroy !== undefined;
const looking = livePlan(config);
const targets = awsPools(config).map((pool) => targetOf(pool, config.cluster.name));
const groups = new Set(targets.flatMap((target) => target.groups.map(({ kind, name }) => `${kind}/${name}`)));

const declared = declarePools({
  config,
  cluster: clusterResources(config.cluster),
  guards: { group: guards(ref, consented, groups), template: undefined },
  existing: await existing(config.cluster, awsPools(config)),
});

// deleted first, so that a destroy without consent stops before anything else is deleted
new DestroyConsent("destroy-consent", { cluster: ref, consented }, { dependsOn: declared });

/** Generation of each pool: the value of the node label patchguard.dev/generation. */
export const generations = Object.fromEntries(targets.map(({ pool, generation }) => [pool, generation]));
/** What would block, in which order the nodes would go and for how long, by pool; empty when nothing moves. */
export const plan = looking;
