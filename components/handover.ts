import * as pulumi from "@pulumi/pulumi";
import type { Proof } from "../rollout/verify.ts";
import { handoverProvider } from "./dynamic/provider.ts";
import { type JobArgs, urnOf } from "./gate.ts";

/**
 * Moves the pool's workloads from blue to green and proves the patch (rollout/handover.ts). Depends on green's groups; as long as
 * it has not succeeded, the update fails and blue stays.
 */
export class Handover extends pulumi.dynamic.Resource {
  declare readonly proof: pulumi.Output<Proof>;

  constructor(name: string, args: JobArgs, options: pulumi.CustomResourceOptions) {
    super(
      handoverProvider,
      name,
      {
        ...args,
        resourceUrn: urnOf(name),
        proof: undefined,
        nodes: undefined,
        pods: undefined,
        seconds: undefined,
      },
      options,
    );
  }
}
