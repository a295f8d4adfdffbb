import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from "@aws-sdk/client-auto-scaling";
import {
  DescribeInstancesCommand,
  DescribeLaunchTemplateVersionsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import { WORLD } from "../images.ts";

/** What the cloud itself says is running, and what its Auto Scaling groups would launch next. */
export async function imagesInUse(
  endpoint: string,
): Promise<{ instances: (string | undefined)[]; templates: (string | undefined)[] }> {
  const access = {
    endpoint,
    region: WORLD.region,
    credentials: { accessKeyId: "sandbox", secretAccessKey: "sandbox" },
  };
  const ec2 = new EC2Client(access);
  const autoscaling = new AutoScalingClient(access);
  const running = await ec2.send(
    new DescribeInstancesCommand({
      Filters: [{ Name: "instance-state-name", Values: ["pending", "running"] }],
    }),
  );
  const { AutoScalingGroups = [] } = await autoscaling.send(new DescribeAutoScalingGroupsCommand({}));
  const templates = await Promise.all(
    AutoScalingGroups.map(async ({ LaunchTemplate: template }) => {
      const versions = await ec2.send(
        new DescribeLaunchTemplateVersionsCommand({
          LaunchTemplateId: template?.LaunchTemplateId,
          Versions: [template?.Version ?? "$Default"],
        }),
      );
      return versions.LaunchTemplateVersions?.[0]?.LaunchTemplateData?.ImageId;
    }),
  );
  return {
    instances: (running.Reservations ?? []).flatMap(({ Instances = [] }) =>
      Instances.map(({ ImageId }) => ImageId),
    ),
    templates,
  };
}
