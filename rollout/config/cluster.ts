import { z } from "zod";
import { awsRegion, cidr, flag, kubernetesVersion, nonEmpty, policyArn, subnetId, tagMap } from "./fields.ts";

/** `patchguard:cluster`: which cluster this stack looks after, and how to reach it. One stack, one cluster. */

const access = {
  /** Path of a kubeconfig file. Default: $KUBECONFIG, then ~/.kube/config (EKS: none needed, see below). */
  kubeconfig: nonEmpty("the path of a kubeconfig file").optional(),
  /** Context in the kubeconfig. It must lead to the cluster of this stack. Default: the current context. */
  context: nonEmpty("the name of a context in the kubeconfig").optional(),
};

const clusterName = z
  .string({ error: () => "must be text: the cluster's name" })
  .regex(/^[0-9A-Za-z][-_0-9A-Za-z]{0,99}$/, {
    error: () => "must be the cluster's name: at most 100 letters, digits, hyphens and underscores",
  });

/** A cluster that this stack also makes, with @pulumi/eks. */
const create = z.strictObject({
  /** Kubernetes version of the control plane. */
  version: kubernetesVersion(),
  /** Private subnets for control plane and nodes, in at least two zones. */
  privateSubnetIds: z.array(subnetId()).min(2, { error: () => "needs subnets in at least two zones" }),
  /** Public subnets, for load balancers. Default: none. */
  publicSubnetIds: z.array(subnetId()).default([]),
  vpcId: nonEmpty("the VPC's id").regex(/^vpc-[0-9a-f]{8,17}$/, { error: () => "must be a VPC id (vpc-…)" }),
  /** Is the API server reachable from the VPC? Default: true. */
  endpointPrivateAccess: flag().default(true),
  /** Is it reachable from the internet? Default: false. */
  endpointPublicAccess: flag().default(false),
  /** Addresses that may reach the public endpoint. Default: all, where it is public. */
  publicAccessCidrs: z.array(cidr()).optional(),
  /** Control plane logs to keep. Default: none. */
  enabledLogTypes: z
    .array(z.enum(["api", "audit", "authenticator", "controllerManager", "scheduler"]))
    .default([]),
  /** ARN of the KMS key that encrypts Secrets. Default: the AWS-owned key. */
  encryptionKeyArn: nonEmpty("the ARN of a KMS key").optional(),
  tags: tagMap().default({}),
});

/** The role of all pools that name none of their own. It outlives every group, because deleting the last group of a role takes its access away. */
const nodeRole = z.strictObject({
  /** Policies beside AmazonEKSWorkerNodePolicy and AmazonEC2ContainerRegistryPullOnly. Default: the CNI's, AmazonEKS_CNI_Policy. */
  policyArns: z.array(policyArn()).optional(),
  /** Permissions boundary of the role. Default: none. */
  permissionsBoundary: policyArn().optional(),
  /** Path of the role. Default: /. */
  path: z
    .string()
    .regex(/^\/([!-~]+\/)?$/, { error: () => "must begin and end with /" })
    .default("/"),
  /** Make the access entry (EC2_LINUX) through which nodes of the role may join. Default: true; false where aws-auth does it. */
  accessEntry: flag().default(true),
});

const eks = z.strictObject({
  kind: z.literal("eks"),
  /** The EKS cluster's name. */
  name: clusterName,
  /** AWS region of the cluster and of its pools. */
  region: awsRegion(),
  /** Without kubeconfig and context the API server and its tokens come from the EKS API, with the AWS credentials of the caller. */
  ...access,
  /** Set where this stack makes the cluster itself. Default: the cluster exists. */
  create: create.optional(),
  /** Details of the node role that this stack makes for pools without `nodeRole`. */
  nodeRole: nodeRole.prefault({}),
});

const kubernetes = z.strictObject({
  kind: z.literal("kubernetes"),
  /** The cluster's name; it becomes part of cloud names and tags. */
  name: clusterName,
  /** AWS region of the Auto Scaling groups. */
  region: awsRegion(),
  kubeconfig: access.kubeconfig,
  /** Context in the kubeconfig. Required: PatchGuard never acts on whatever happens to be current. */
  context: nonEmpty("the name of a context in the kubeconfig"),
});

const aks = z.strictObject({
  kind: z.literal("aks"),
  /** The AKS cluster's name. */
  name: clusterName,
  /** Azure region, such as westeurope. */
  region: z.string().regex(/^[a-z0-9]+$/, { error: () => "must be an Azure region such as westeurope" }),
  /** Resource group of the cluster. */
  resourceGroup: nonEmpty("the resource group of the cluster"),
  /** Azure subscription. Default: the one of the Azure credentials. */
  subscriptionId: z.guid({ error: () => "must be the id of an Azure subscription" }).optional(),
  kubeconfig: access.kubeconfig,
  context: nonEmpty("the name of a context in the kubeconfig"),
});

export const CLUSTER_KINDS = ["eks", "kubernetes", "aks"] as const;

export const clusterSchemas = { eks, kubernetes, aks } as const;

export const clusterSchema = z.discriminatedUnion("kind", [eks, kubernetes, aks], {
  error: (issue) =>
    issue.code === "invalid_union" ? `must be one of ${CLUSTER_KINDS.join(", ")}` : "is missing or not a map",
});

export type ClusterConfig = z.output<typeof clusterSchema>;
export type EksClusterConfig = z.output<typeof eks>;
export type ClusterCreation = z.output<typeof create>;
export type NodeRoleConfig = z.output<typeof nodeRole>;
