/**
 * The sandbox's image catalogue and the fixed parts of its cloud: one place for the machine room, the demo, the tests
 * and the committed sandbox stack file. Ids are fixed so that a config with them can be committed.
 */

export type OsFamily = "al2023" | "bottlerocket";
/**
 * What an instance of the image does: `joins`; `never-joins` (runs, no Node appears, and an EKS group with it becomes
 * ACTIVE without nodes); `create-fails` (runs, no Node appears, and an EKS group with it ends in CREATE_FAILED).
 */
export type Behaviour = "joins" | "never-joins" | "create-fails";

export interface Image {
  name: string;
  /** The AMI id. */
  id: string;
  os: OsFamily;
  kernel: string;
  osImage: string;
  /** EKS release version that stands for this image (with `amiType`). */
  releaseVersion: string;
  amiType: string;
  kubelet: string;
  containerRuntime: string;
  behaviour: Behaviour;
}

const al2023 = (
  name: string,
  id: string,
  kernel: string,
  build: string,
  date: string,
  behaviour: Behaviour = "joins",
): Image => ({
  name,
  id,
  os: "al2023",
  kernel: `${kernel}.amzn2023.x86_64`,
  osImage: `Amazon Linux 2023.9.${build}`,
  releaseVersion: `1.34.1-${date}`,
  amiType: "AL2023_x86_64_STANDARD",
  kubelet: "v1.34.1-eks-113cf36",
  containerRuntime: "containerd://2.1.4",
  behaviour,
});

const bottlerocket = (name: string, id: string, kernel: string, version: string): Image => ({
  name,
  id,
  os: "bottlerocket",
  kernel,
  osImage: `Bottlerocket OS ${version} (aws-k8s-1.34)`,
  releaseVersion: `${version}-f7a4c2d1`,
  amiType: "BOTTLEROCKET_x86_64",
  kubelet: "v1.34.1-eks-642fb02",
  containerRuntime: "containerd://2.1.4+bottlerocket",
  behaviour: "joins",
});

/** Oldest first: a group without a release version gets the last joining image of its AMI type, as EKS does. */
export const IMAGES: readonly Image[] = [
  al2023("good-a", "ami-0000000000000000a", "6.12.40-64.114", "20250929", "20250929"),
  al2023("good-b", "ami-0000000000000000b", "6.12.46-66.121", "20251027", "20251027"),
  al2023("good-c", "ami-0000000000000000c", "6.12.53-69.119", "20251117", "20251117"),
  al2023("never-joins", "ami-0000000000000dead", "6.12.53-69.119", "20251118", "20251118", "never-joins"),
  al2023("create-fails", "ami-0000000000000fa11", "6.12.53-69.119", "20251119", "20251119", "create-fails"),
  bottlerocket("bottlerocket-a", "ami-000000000000b077a", "6.12.40", "1.48.0"),
  bottlerocket("bottlerocket-b", "ami-000000000000b077b", "6.12.53", "1.50.0"),
];

export const imageById = (id: string | undefined): Image | undefined => IMAGES.find((i) => i.id === id);
export const imageByName = (name: string): Image => {
  const image = IMAGES.find((i) => i.name === name);
  if (!image) throw new Error(`no image ${name}: there are ${IMAGES.map((i) => i.name).join(", ")}`);
  return image;
};

/** What stands in the sandbox's cloud before anybody asks for something. */
export const WORLD = {
  account: "123456789012",
  region: "us-east-1",
  vpc: "vpc-00000000000000001",
  cidr: "10.0.0.0/16",
  subnets: [
    { id: "subnet-0000000000000000a", zone: "us-east-1a", cidr: "10.0.0.0/18" },
    { id: "subnet-0000000000000000b", zone: "us-east-1b", cidr: "10.0.64.0/18" },
    { id: "subnet-0000000000000000c", zone: "us-east-1c", cidr: "10.0.128.0/18" },
  ],
  securityGroup: "sg-00000000000000001",
  role: "sandbox-node",
  roleArn: "arn:aws:iam::123456789012:role/sandbox-node",
  instanceProfile: "sandbox-node",
  cluster: "sandbox",
  kubernetesVersion: "1.34",
  /** Must equal the API server's `--service-cluster-ip-range`; nodeadm needs it as `spec.cluster.cidr`. */
  serviceCidr: "10.96.0.0/16",
} as const;
