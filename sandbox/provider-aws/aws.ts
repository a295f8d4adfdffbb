/** Clients of the sandbox's AWS API. */
import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { EC2Client } from "@aws-sdk/client-ec2";
import { EKSClient } from "@aws-sdk/client-eks";
import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { IAMClient } from "@aws-sdk/client-iam";
import { STSClient } from "@aws-sdk/client-sts";

export interface Aws {
  region: string;
  ec2: EC2Client;
  autoScaling: AutoScalingClient;
  eks: EKSClient;
  loadBalancing: ElasticLoadBalancingV2Client;
  iam: IAMClient;
  sts: STSClient;
}

const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** Throws unless the endpoint is on this machine: this stand-in must never reach a real account. */
export function connect(region: string, endpoint: string | undefined): Aws {
  if (!endpoint)
    throw new Error(
      "the sandbox's aws provider needs AWS_ENDPOINT_URL: run pulumi through `npm run sandbox -- exec`",
    );
  if (!URL.canParse(endpoint) || !LOOPBACK.has(new URL(endpoint).hostname))
    throw new Error(
      `the sandbox's aws provider talks to this machine only, and AWS_ENDPOINT_URL is ${endpoint}: take sandbox/provider-aws/bin off PATH to use the real provider`,
    );
  const settings = { region, endpoint, credentials: { accessKeyId: "sandbox", secretAccessKey: "sandbox" } };
  return {
    region,
    ec2: new EC2Client(settings),
    autoScaling: new AutoScalingClient(settings),
    eks: new EKSClient(settings),
    loadBalancing: new ElasticLoadBalancingV2Client(settings),
    iam: new IAMClient(settings),
    sts: new STSClient(settings),
  };
}
