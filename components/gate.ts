import * as pulumi from "@pulumi/pulumi";
import type { JobInputs } from "./dynamic/entry.ts";
import { gateProvider } from "./dynamic/provider.ts";

export type JobArgs = { [K in Exclude<keyof JobInputs, "resourceUrn">]: pulumi.Input<JobInputs[K]> };

/** `<project>/<stack>`, as the Lease and the consent know this stack. */
export const stackName = (): string => `${pulumi.getProject()}/${pulumi.getStack()}`;

export const urnOf = (name: string): string =>
  `urn:pulumi:${pulumi.getStack()}::${pulumi.getProject()}::pulumi-nodejs:dynamic:Resource::${name}`;

/**
 * Pre-flight of a pool's handover, before anything costs money: green's template and groups depend on it. With no node to move it
 * passes at once.
 */
export class Gate extends pulumi.dynamic.Resource {
  /** Live blue nodes by zone: green's desired sizes where an autoscaler owns them. */
  declare readonly sizes: pulumi.Output<Record<string, number>>;
  /** Findings that do not block, one sentence each. */
  declare readonly warnings: pulumi.Output<string[]>;

  constructor(name: string, args: JobArgs, options: pulumi.CustomResourceOptions) {
    super(
      gateProvider,
      name,
      { ...args, resourceUrn: urnOf(name), sizes: undefined, warnings: undefined },
      options,
    );
  }
}
