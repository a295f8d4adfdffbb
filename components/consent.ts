import * as pulumi from "@pulumi/pulumi";
import { recordConsent } from "../rollout/consent.ts";
import { type ClusterRef, openWorld } from "../rollout/world.ts";
import { consentProvider } from "./dynamic/provider.ts";
import { stackName } from "./gate.ts";

/**
 * Depends on everything, so `pulumi destroy` deletes it first, and its hook stops a destroy without consent before anything else
 * is deleted. Consent is `patchguard:destroy.consent` with the cluster's own name.
 */
export class DestroyConsent extends pulumi.dynamic.Resource {
  constructor(
    name: string,
    args: { cluster: ClusterRef; consented: boolean },
    options: pulumi.CustomResourceOptions,
  ) {
    const hook = new pulumi.ResourceHook("patchguard-destroy-consent", async () => {
      if (!args.consented) {
        throw new Error(
          `destroy of cluster ${args.cluster.name}'s node pools needs consent; nothing was deleted. ` +
            `To go on: \`pulumi config set --path patchguard:destroy.consent ${args.cluster.name}\`, then \`pulumi destroy --run-program\` (running pods will be ended with their nodes).`,
        );
      }
      const { cluster } = await openWorld(args.cluster);
      await recordConsent(cluster, stackName());
    });
    super(consentProvider, name, { cluster: args.cluster }, { ...options, hooks: { beforeDelete: [hook] } });
  }
}
