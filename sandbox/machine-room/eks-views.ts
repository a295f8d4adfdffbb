/** EKS's answers: how its API shows a cluster, a group and an update. */

import { WORLD } from "../images.ts";
import { asgName } from "./asg.ts";
import type { Cluster } from "./node-shape.ts";
import type { Group, Update } from "./store.ts";

const arn = (rest: string): string => `arn:aws:eks:${WORLD.region}:${WORLD.account}:${rest}`;
export const groupArn = (g: Group): string => arn(`nodegroup/${WORLD.cluster}/${g.name}/${g.uuid}`);
const seconds = (ms: number): number => ms / 1000;

export const clusterView = (cluster: Cluster): object => ({
  name: cluster.name,
  arn: arn(`cluster/${cluster.name}`),
  createdAt: 1_750_000_000,
  version: WORLD.kubernetesVersion,
  endpoint: cluster.endpoint,
  roleArn: `arn:aws:iam::${WORLD.account}:role/sandbox-cluster`,
  resourcesVpcConfig: {
    subnetIds: WORLD.subnets.map((s) => s.id),
    securityGroupIds: [WORLD.securityGroup],
    clusterSecurityGroupId: WORLD.securityGroup,
    vpcId: WORLD.vpc,
    endpointPublicAccess: true,
    endpointPrivateAccess: false,
    publicAccessCidrs: ["0.0.0.0/0"],
  },
  kubernetesNetworkConfig: { serviceIpv4Cidr: WORLD.serviceCidr, ipFamily: "ipv4" },
  identity: { oidc: { issuer: "https://oidc.eks.us-east-1.amazonaws.com/id/0000000000000000SANDBOX" } },
  status: "ACTIVE",
  certificateAuthority: { data: cluster.certificateAuthority },
  platformVersion: "eks.9",
  tags: {},
  accessConfig: { authenticationMode: "API_AND_CONFIG_MAP" },
  upgradePolicy: { supportType: "STANDARD" },
  deletionProtection: false,
});

export const groupView = (g: Group): object => ({
  nodegroupName: g.name,
  nodegroupArn: groupArn(g),
  clusterName: WORLD.cluster,
  version: g.version,
  releaseVersion: g.releaseVersion,
  createdAt: seconds(g.createdAt),
  modifiedAt: seconds(g.modifiedAt),
  status: g.status,
  capacityType: g.capacityType,
  scalingConfig: g.scaling,
  ...(g.instanceTypesGiven ? { instanceTypes: g.instanceTypes } : {}),
  subnets: g.subnets,
  amiType: g.amiType,
  nodeRole: g.nodeRole,
  labels: g.labels,
  ...(g.taints.length > 0 ? { taints: g.taints } : {}),
  // the group exists in Auto Scaling soon after the call
  ...(g.ownTemplateId === undefined ? {} : { resources: { autoScalingGroups: [{ name: asgName(g) }] } }),
  ...(g.diskSize === undefined ? {} : { diskSize: g.diskSize }),
  health: { issues: g.health },
  updateConfig: g.updateConfig,
  ...(g.launchTemplate ? { launchTemplate: g.launchTemplate } : {}),
  tags: g.tags,
});

export const updateView = (u: Update): object => ({
  id: u.id,
  status: u.status,
  type: u.type,
  params: u.params,
  createdAt: seconds(u.createdAt),
  errors: u.errors,
});
