import * as pulumi from "@pulumi/pulumi";
import type { Size } from "../rollout/config/index.ts";
import type { LaunchTemplateArgs } from "./launch-template.ts";

/** What a pool of any kind needs beside its config. */
export interface PoolArgs extends LaunchTemplateArgs {
  /**
   * Nodes by zone that serve now, as the Gate has measured them: green's sizes where an autoscaler owns them (the config has no
   * `size.desired`). A zone that is missing starts at `size.min`.
   */
  sizes: pulumi.Input<Record<string, number>> | undefined;
  /** Groups that exist in the cloud under our name but may not be in the state: the id to import, by zone. */
  imports: Record<string, string>;
  /** Id of the generation's launch template, where it exists in the cloud but may not be in the state. */
  importTemplate: string | undefined;
  /** What must be there before template and groups are: the Gate, and what lets nodes join. It outlives the groups. */
  dependsOn: pulumi.Resource[];
  /** The guards of a group, see guards.ts. */
  hooks: pulumi.ResourceHookBinding;
  /** The guards of the template. */
  templateHooks: pulumi.ResourceHookBinding | undefined;
}

/** A group, as a Handover's target names it. */
export interface GroupName {
  kind: "eks-managed" | "self-managed";
  /** The name in the cloud. */
  name: string;
  zone: string;
}

/** How many nodes a zone's group starts with. */
export function desiredSize(
  size: Size,
  zone: string,
  measured: pulumi.Input<Record<string, number>> | undefined,
): pulumi.Input<number> {
  if (size.desired !== undefined) return size.desired;
  if (measured === undefined) return size.min;
  return pulumi
    .output(measured)
    .apply((sizes) => Math.min(Math.max(sizes[zone] ?? size.min, size.min), size.max));
}
