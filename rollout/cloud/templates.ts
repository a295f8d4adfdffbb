import {
  DescribeLaunchConfigurationsCommand,
  type AutoScalingGroup,
  type LaunchTemplateSpecification,
} from "@aws-sdk/client-auto-scaling";
import { DescribeLaunchTemplateVersionsCommand } from "@aws-sdk/client-ec2";
import { call, type Aws } from "./aws-clients.ts";
import type { GroupTemplate } from "./cloud.ts";

/** Image ids by template and version number: a version never changes. */
export type TemplateMemory = Map<string, string | undefined>;

/** The template that a group launches from at this moment, with the image that its version names now. */
export async function templateOf(
  aws: Aws,
  memory: TemplateMemory,
  group: AutoScalingGroup,
): Promise<GroupTemplate | undefined> {
  const specification =
    group.LaunchTemplate ?? group.MixedInstancesPolicy?.LaunchTemplate?.LaunchTemplateSpecification;
  if (specification !== undefined) return fromTemplate(aws, memory, specification);
  if (group.LaunchConfigurationName === undefined) return undefined;
  return fromConfiguration(aws, group.LaunchConfigurationName);
}

/**
 * The version is reported as the group names it (`$Latest` stays `$Latest`, and no version means `$Default`), because that is
 * what a later launch follows; the image is that of the version which this leads to now.
 */
async function fromTemplate(
  aws: Aws,
  memory: TemplateMemory,
  { LaunchTemplateId, LaunchTemplateName, Version }: LaunchTemplateSpecification,
): Promise<GroupTemplate> {
  const version = Version ?? "$Default";
  const template = {
    id: LaunchTemplateId ?? "",
    name: LaunchTemplateName ?? LaunchTemplateId ?? "",
    version,
  };
  const key = `${LaunchTemplateId ?? LaunchTemplateName}:${version}`;
  if (memory.has(key)) return { ...template, imageId: memory.get(key) };
  const which = LaunchTemplateId === undefined ? { LaunchTemplateName } : { LaunchTemplateId };
  const found = await call(
    aws,
    "ec2:DescribeLaunchTemplateVersions",
    `version ${version} of launch template ${template.name}`,
    () => aws.ec2.send(new DescribeLaunchTemplateVersionsCommand({ ...which, Versions: [version] })),
  );
  const imageId = found.LaunchTemplateVersions?.[0]?.LaunchTemplateData?.ImageId;
  if (/^\d+$/.test(version)) memory.set(key, imageId);
  return { ...template, imageId };
}

/** Launch configurations (older self-managed groups) never change, so they count as version 1 of themselves. */
async function fromConfiguration(aws: Aws, name: string): Promise<GroupTemplate> {
  const found = await call(
    aws,
    "autoscaling:DescribeLaunchConfigurations",
    `launch configuration ${name}`,
    () => aws.autoScaling.send(new DescribeLaunchConfigurationsCommand({ LaunchConfigurationNames: [name] })),
  );
  const [configuration] = found.LaunchConfigurations ?? [];
  return {
    id: configuration?.LaunchConfigurationARN ?? name,
    name,
    version: "1",
    imageId: configuration?.ImageId,
  };
}

/** Templates of single instance types in a mixed policy: they may launch another image than the group's own. */
export function overridesOf(group: AutoScalingGroup): string[] {
  const overrides = group.MixedInstancesPolicy?.LaunchTemplate?.Overrides ?? [];
  return overrides.flatMap(({ InstanceType, LaunchTemplateSpecification: own }) =>
    own === undefined
      ? []
      : `Instance type ${InstanceType ?? "(by requirements)"} launches from a template of its own (${own.LaunchTemplateName ?? own.LaunchTemplateId} version ${own.Version ?? "$Default"}), which PatchGuard does not check.`,
  );
}
