/** A small world of every kind of resource the product declares; the environment (CASE, JSON) says what changes. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

interface Case {
  image?: string;
  releaseVersion?: string;
  desired?: number;
  label?: string;
  taints?: { key: string; value: string; effect: string }[];
  tag?: string;
  nodeGroupName?: string;
  capacityType?: string;
  suspended?: string[];
  importGroup?: string;
  nodeGroup?: boolean;
  group?: Record<string, unknown>;
}
const c = JSON.parse(process.env.CASE ?? "{}") as Case;
const subnetIds = ["subnet-0000000000000000a"];

const role = new aws.iam.Role("nodes", {
  assumeRolePolicy: {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "ec2.amazonaws.com" } }],
  },
});
const policy = new aws.iam.RolePolicyAttachment("worker", {
  role: role.name,
  policyArn: "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
});
const profile = new aws.iam.InstanceProfile("nodes", { role: role.name });

const template = new aws.ec2.LaunchTemplate("managed", {
  metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 2 },
  blockDeviceMappings: [
    { deviceName: "/dev/xvda", ebs: { volumeSize: 50, volumeType: "gp3", encrypted: "true" } },
  ],
  tagSpecifications: [{ resourceType: "instance", tags: { pool: "workers" } }],
  tags: { team: c.tag ?? "one" },
});
if (c.nodeGroup !== false) {
  const nodeGroup = new aws.eks.NodeGroup(
    "workers",
    {
      clusterName: "sandbox",
      nodeGroupName: c.nodeGroupName ?? "workers-1",
      nodeRoleArn: role.arn,
      subnetIds,
      releaseVersion: c.releaseVersion,
      instanceTypes: ["m5.large"],
      capacityType: c.capacityType,
      launchTemplate: { id: template.id, version: pulumi.interpolate`${template.latestVersion}` },
      scalingConfig: { minSize: 0, maxSize: 3, desiredSize: c.desired ?? 1 },
      labels: { label: c.label ?? "one" },
      taints: c.taints,
      tags: { team: c.tag ?? "one" },
    },
    { dependsOn: [policy], import: c.importGroup },
  );
  pulumi
    .all([nodeGroup.id, nodeGroup.status, nodeGroup.resources])
    .apply(([id, status, resources]) =>
      console.log(`node group ${id} ${status} ${resources[0]?.autoscalingGroups[0]?.name}`),
    );
}

const self = new aws.ec2.LaunchTemplate("self", {
  imageId: c.image ?? "ami-0000000000000000a",
  instanceType: "m5.large",
  iamInstanceProfile: { name: profile.name },
  updateDefaultVersion: true,
});
const targets = new aws.lb.TargetGroup("web", {
  port: 80,
  protocol: "HTTP",
  vpcId: "vpc-00000000000000001",
  healthCheck: { path: "/healthy" },
  deregistrationDelay: 60,
});
new aws.autoscaling.Group("self", {
  minSize: 0,
  maxSize: 3,
  desiredCapacity: c.desired ?? 1,
  vpcZoneIdentifiers: subnetIds,
  launchTemplate: { id: self.id, version: pulumi.interpolate`${self.latestVersion}` },
  targetGroupArns: [targets.arn],
  suspendedProcesses: c.suspended,
  tags: [{ key: "team", value: c.tag ?? "one", propagateAtLaunch: true }],
  ...c.group,
});

export const latestVersion = self.latestVersion;
export const account = aws.getCallerIdentityOutput().accountId;
export const endpoint = aws.eks.getClusterOutput({ name: "sandbox" }).endpoint;
