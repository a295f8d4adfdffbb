import * as pulumi from "@pulumi/pulumi";
import { consentRecorded } from "../rollout/consent.ts";
import { mayDelete, mayReplace, mayScaleIn, rollingChanges, sizeAfter } from "../rollout/guards.ts";
import { type ClusterRef, openWorld } from "../rollout/world.ts";
import { stackName } from "./gate.ts";

const KINDS: Record<string, "eks-managed" | "self-managed"> = {
  "aws:eks/nodeGroup:NodeGroup": "eks-managed",
  "aws:autoscaling/group:Group": "self-managed",
};

type Inputs = Record<string, unknown>;

/** The group's own name in the cloud, from its inputs or outputs. */
const nameOf = (properties: Inputs): string =>
  [properties["nodeGroupName"], properties["name"]].find((name) => typeof name === "string") ?? "";

/** Groups that this run declares, as `kind/name`: the deletion of one of them is half of a replacement. */
export type DeclaredGroups = ReadonlySet<string>;

/**
 * The hooks that stand before every change of a node group. One fixed name each for the whole program: hook names are stored in the
 * state and must be there on every run, also for groups that are no longer declared.
 */
export function guards(
  cluster: ClusterRef,
  consent: boolean,
  declared: DeclaredGroups,
): pulumi.ResourceHookBinding {
  const beforeDelete = new pulumi.ResourceHook(
    "patchguard-group-delete",
    async (args) => {
      const kind = kindOf(args.type);
      const name = nameOf({ ...args.oldInputs, ...args.oldOutputs });
      const replaced = declared.has(`${kind}/${name}`);
      // a preview of an ordinary deletion says nothing: the handover that empties the group has not run yet
      if (pulumi.runtime.isDryRun() && !replaced) return;
      const world = await openWorld(cluster);
      const destroying = consent && (await consentRecorded(world.cluster, stackName())); // then the program declares what is deleted
      if (replaced && !destroying) await mayReplace(world.cluster, world.cloud, kind, name);
      if (pulumi.runtime.isDryRun()) return;
      const signal = new AbortController().signal;
      await mayDelete({ ...world, signal, consent, stack: stackName() }, kind, name);
    },
    { onDryRun: true },
  );
  const beforeUpdate = new pulumi.ResourceHook(
    "patchguard-group-update",
    async (args) => {
      const before = (args.oldInputs ?? {}) as Inputs;
      const after = (args.newInputs ?? {}) as Inputs;
      const name = nameOf(before);
      const rolling = rollingChanges(before, after);
      if (rolling.length > 0) {
        throw new Error(
          `node group ${name} is not updated in place: ${rolling.join(", ")} would roll or change its nodes without a guard. ` +
            `To go on: make the change through the pool's config, which gives the group a new generation; or set the pool's \`revision\` to force one.`,
        );
      }
      const to = sizeAfter(before, after);
      if (to === undefined) return;
      const { cluster: api, cloud } = await openWorld(cluster);
      await mayScaleIn(api, cloud, kindOf(args.type), name, to);
    },
    { onDryRun: true },
  );
  return { beforeDelete: [beforeDelete], beforeUpdate: [beforeUpdate] };
}

function kindOf(type: string): "eks-managed" | "self-managed" {
  const kind = KINDS[type];
  if (kind === undefined) throw new Error(`PatchGuard's guard does not know resources of type ${type}`);
  return kind;
}
