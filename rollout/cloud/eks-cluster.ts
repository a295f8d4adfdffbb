import { DescribeClusterCommand, EKSClient } from "@aws-sdk/client-eks";
import { VERSION } from "../version.ts";
import { awsError } from "./aws-errors.ts";
import { CloudError } from "./cloud.ts";

/** Where an EKS cluster is and how to know it. */
export interface EksEndpoint {
  endpoint: string;
  /** Certificate authority, base64 of PEM. */
  caData: string;
}

/** Asks EKS. @throws CloudError when it cannot be asked, there is no such cluster, or the cluster has no endpoint yet. */
export async function describeCluster(name: string, region: string): Promise<EksEndpoint> {
  const eks = new EKSClient({ region, customUserAgent: [["patchguard", VERSION]] });
  try {
    const { cluster } = await eks.send(new DescribeClusterCommand({ name }));
    if (cluster?.endpoint === undefined || cluster.certificateAuthority?.data === undefined) {
      throw new CloudError(
        "ClusterNotReady",
        `EKS cluster ${name} in ${region} has no endpoint yet (status ${cluster?.status ?? "unknown"}). Wait until it is ACTIVE, then run again.`,
      );
    }
    return { endpoint: cluster.endpoint, caData: cluster.certificateAuthority.data };
  } catch (error) {
    if (error instanceof Error && error.name === "ResourceNotFoundException") {
      throw new CloudError(
        error.name,
        `eks:DescribeCluster: there is no EKS cluster ${name} in ${region} in this AWS account. Check patchguard:cluster (name, region) and the AWS profile.`,
        { cause: error },
      );
    }
    throw awsError({ action: "eks:DescribeCluster", object: `cluster ${name}`, region }, error);
  } finally {
    eks.destroy();
  }
}
