import * as aws from "@pulumi/aws";
import * as eks from "@pulumi/eks";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterConfig, ClusterCreation, EksClusterConfig } from "../rollout/config/index.ts";
import type { Bootstrap } from "./user-data.ts";

/** The cluster as pools need it. */
export interface ClusterResources {
  /** What nodes must know to join; undefined on a cluster that is not EKS. */
  bootstrap: pulumi.Output<Bootstrap> | undefined;
  /** The EKS cluster's own security group. */
  securityGroupId: pulumi.Output<string> | undefined;
  /** Must be there before anything asks the cluster something. */
  dependsOn: pulumi.Resource[];
}

/** Looks the cluster up, or makes it where the config says so. */
export function clusterResources(config: ClusterConfig): ClusterResources {
  if (config.kind !== "eks") return { bootstrap: undefined, securityGroupId: undefined, dependsOn: [] };
  return config.create === undefined ? existing(config.name) : created(config, config.create);
}

function existing(name: string): ClusterResources {
  const cluster = aws.eks.getClusterOutput({ name });
  const bootstrap = cluster.apply((known) => ({
    clusterName: name,
    apiServer: known.endpoint,
    certificateAuthority: known.certificateAuthorities[0]?.data ?? "",
    serviceCidr: serviceCidr(known.kubernetesNetworkConfigs[0]),
  }));
  return { bootstrap, securityGroupId: cluster.vpcConfig.clusterSecurityGroupId, dependsOn: [] };
}

/** Not tried against AWS (README, "what is not there yet"): type-checked only. */
function created(config: EksClusterConfig, create: ClusterCreation): ClusterResources {
  const cluster = new eks.Cluster(config.name, {
    name: config.name,
    version: create.version,
    vpcId: create.vpcId,
    privateSubnetIds: create.privateSubnetIds,
    publicSubnetIds: create.publicSubnetIds,
    endpointPrivateAccess: create.endpointPrivateAccess,
    endpointPublicAccess: create.endpointPublicAccess,
    publicAccessCidrs: create.publicAccessCidrs,
    enabledClusterLogTypes: create.enabledLogTypes,
    encryptionConfigKeyArn: create.encryptionKeyArn,
    // nodes get their access from the node role's access entry, pools are this program's
    authenticationMode: eks.AuthenticationMode.ApiAndConfigMap,
    skipDefaultNodeGroup: true,
    createInstanceRole: false,
    tags: create.tags,
  });
  const bootstrap = cluster.eksCluster.apply((made) =>
    pulumi
      .all([made.endpoint, made.certificateAuthority, made.kubernetesNetworkConfig])
      .apply(([apiServer, certificateAuthority, network]) => ({
        clusterName: config.name,
        apiServer,
        certificateAuthority: certificateAuthority.data ?? "",
        serviceCidr: serviceCidr(network),
      })),
  );
  return { bootstrap, securityGroupId: cluster.clusterSecurityGroupId, dependsOn: [cluster] };
}

interface Network {
  serviceIpv4Cidr?: string | undefined;
  serviceIpv6Cidr?: string | undefined;
}

const serviceCidr = (network: Network | undefined): string =>
  network?.serviceIpv4Cidr || network?.serviceIpv6Cidr || "";
