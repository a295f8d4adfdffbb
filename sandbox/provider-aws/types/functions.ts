import { DescribeClusterCommand } from "@aws-sdk/client-eks";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import type { FunctionType } from "../resource-type.ts";
import { text } from "../schema.ts";

export const getCluster: FunctionType = {
  token: "aws:eks/getCluster:getCluster",
  inputs: { name: text({ required: true }) },
  async call({ aws }, inputs) {
    const { cluster } = await aws.eks.send(new DescribeClusterCommand({ name: String(inputs.name) }));
    const vpc = cluster?.resourcesVpcConfig;
    return {
      id: cluster?.name,
      name: cluster?.name,
      arn: cluster?.arn,
      endpoint: cluster?.endpoint,
      certificateAuthorities: [{ data: cluster?.certificateAuthority?.data }],
      version: cluster?.version,
      platformVersion: cluster?.platformVersion,
      status: cluster?.status,
      roleArn: cluster?.roleArn,
      createdAt: cluster?.createdAt?.toISOString(),
      accessConfigs: cluster?.accessConfig ? [cluster.accessConfig] : [],
      identities: [{ oidcs: [{ issuer: cluster?.identity?.oidc?.issuer }] }],
      vpcConfig: {
        vpcId: vpc?.vpcId,
        subnetIds: vpc?.subnetIds ?? [],
        securityGroupIds: vpc?.securityGroupIds ?? [],
        clusterSecurityGroupId: vpc?.clusterSecurityGroupId,
        endpointPrivateAccess: vpc?.endpointPrivateAccess,
        endpointPublicAccess: vpc?.endpointPublicAccess,
        publicAccessCidrs: vpc?.publicAccessCidrs ?? [],
      },
      kubernetesNetworkConfigs: cluster?.kubernetesNetworkConfig
        ? [
            {
              ipFamily: cluster.kubernetesNetworkConfig.ipFamily,
              serviceIpv4Cidr: cluster.kubernetesNetworkConfig.serviceIpv4Cidr,
              serviceIpv6Cidr: cluster.kubernetesNetworkConfig.serviceIpv6Cidr,
            },
          ]
        : [],
      tags: cluster?.tags ?? {},
      region: aws.region,
    };
  },
};

export const getCallerIdentity: FunctionType = {
  token: "aws:index/getCallerIdentity:getCallerIdentity",
  inputs: {},
  async call({ aws }) {
    const identity = await aws.sts.send(new GetCallerIdentityCommand({}));
    return { id: identity.Account, accountId: identity.Account, arn: identity.Arn, userId: identity.UserId };
  },
};
