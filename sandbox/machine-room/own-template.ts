/**
 * EKS's own copy of a group's launch template (name eks-<uuid>): the user's data, completed as EKS completes it. With
 * an image of EKS's own it brings the bootstrap and merges the user's; with a custom image the user data stays as it is.
 */

import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  DeleteLaunchTemplateCommand,
  DescribeLaunchTemplatesCommand,
  DescribeLaunchTemplateVersionsCommand,
  type EC2Client,
  type RequestLaunchTemplateData,
  type ResponseLaunchTemplateData,
} from "@aws-sdk/client-ec2";
import { imageById, WORLD } from "../images.ts";
import { EksError } from "./eks-rules.ts";
import type { Cluster } from "./node-shape.ts";
import type { Group, Taint, TemplateReference } from "./store.ts";
import { parseToml, writeToml, type TomlTable } from "./toml.ts";
import { mimeParts } from "./user-data.ts";

export const ownTemplateName = (group: Group): string => `eks-${group.uuid}`;

/** Resolves a request's template ({name} or {id}, version) to id, name and number, and reads its data. */
export async function readTemplate(
  ec2: EC2Client,
  reference: { id?: string; name?: string; version?: string },
): Promise<{ reference: TemplateReference; data: ResponseLaunchTemplateData }> {
  const which = reference.id ? { LaunchTemplateId: reference.id } : { LaunchTemplateName: reference.name };
  try {
    const answer = await ec2.send(
      new DescribeLaunchTemplateVersionsCommand({ ...which, Versions: [reference.version ?? "$Default"] }),
    );
    const found = answer.LaunchTemplateVersions?.[0];
    if (!found) throw new Error(`version ${reference.version} does not exist`);
    return {
      reference: {
        id: found.LaunchTemplateId ?? "",
        name: found.LaunchTemplateName ?? "",
        version: String(found.VersionNumber),
      },
      data: found.LaunchTemplateData ?? {},
    };
  } catch (error) {
    throw new EksError(
      "InvalidRequestException",
      `Launch template ${reference.id ?? reference.name} version ${reference.version} could not be read: ${(error as Error).message}`,
    );
  }
}

/** Makes the copy, or a new version of it where it exists; returns its id and version number. */
export async function writeOwnTemplate(
  ec2: EC2Client,
  group: Group,
  cluster: Cluster,
  data: ResponseLaunchTemplateData,
): Promise<{ id: string; version: string }> {
  const name = ownTemplateName(group);
  const wanted = completed(group, cluster, data);
  const id = await ownTemplateId(ec2, group);
  if (id === undefined) {
    const made = await ec2.send(
      new CreateLaunchTemplateCommand({
        LaunchTemplateName: name,
        LaunchTemplateData: wanted,
        TagSpecifications: [{ ResourceType: "launch-template", Tags: eksTags(group) }],
      }),
    );
    return { id: made.LaunchTemplate?.LaunchTemplateId ?? "", version: "1" };
  }
  const made = await ec2.send(
    new CreateLaunchTemplateVersionCommand({ LaunchTemplateId: id, LaunchTemplateData: wanted }),
  );
  return { id, version: String(made.LaunchTemplateVersion?.VersionNumber) };
}

export async function deleteOwnTemplate(ec2: EC2Client, group: Group): Promise<void> {
  // moto answers a deletion of what is gone with an error about its parameters: look first
  const id = await ownTemplateId(ec2, group);
  if (id !== undefined) await ec2.send(new DeleteLaunchTemplateCommand({ LaunchTemplateId: id }));
}

async function ownTemplateId(ec2: EC2Client, group: Group): Promise<string | undefined> {
  const filter = { Name: "launch-template-name", Values: [ownTemplateName(group)] };
  const present = await ec2.send(new DescribeLaunchTemplatesCommand({ Filters: [filter] }));
  return present.LaunchTemplates?.[0]?.LaunchTemplateId;
}

const eksTags = (group: Group): { Key: string; Value: string }[] => [
  { Key: "eks:cluster-name", Value: WORLD.cluster },
  { Key: "eks:nodegroup-name", Value: group.name },
];

function completed(
  group: Group,
  cluster: Cluster,
  data: ResponseLaunchTemplateData,
): RequestLaunchTemplateData {
  // InstanceType goes to the Auto Scaling group's overrides, where real groups have it.
  const { InstanceType: _type, ...rest } = data;
  const user = (data.TagSpecifications ?? []).map((s) => ({
    ResourceType: s.ResourceType,
    Tags: [...(s.Tags ?? [])],
  }));
  const specifications = user.filter((s) => s.ResourceType !== "instance");
  const instanceTags = user.find((s) => s.ResourceType === "instance")?.Tags ?? [];
  return {
    ...(rest as RequestLaunchTemplateData),
    ImageId: group.imageId,
    UserData: group.amiType === "CUSTOM" ? data.UserData : mergedUserData(group, cluster, data.UserData),
    SecurityGroupIds:
      data.SecurityGroupIds?.length || data.NetworkInterfaces?.length
        ? data.SecurityGroupIds
        : [WORLD.securityGroup],
    IamInstanceProfile: { Name: `eks-${group.uuid}` },
    MetadataOptions: data.MetadataOptions
      ? {
          HttpTokens: data.MetadataOptions.HttpTokens,
          HttpEndpoint: data.MetadataOptions.HttpEndpoint,
          HttpPutResponseHopLimit: data.MetadataOptions.HttpPutResponseHopLimit,
        }
      : { HttpTokens: "required", HttpPutResponseHopLimit: 2 },
    BlockDeviceMappings: data.BlockDeviceMappings?.length
      ? data.BlockDeviceMappings
      : [
          {
            DeviceName: "/dev/xvda",
            Ebs: { VolumeSize: group.diskSize ?? 20, VolumeType: "gp3", DeleteOnTermination: true },
          },
        ],
    TagSpecifications: [
      ...specifications,
      {
        ResourceType: "instance",
        Tags: [...instanceTags.filter((t) => !t.Key?.startsWith("eks:")), ...eksTags(group)],
      },
    ],
  };
}

const EFFECT = {
  NO_SCHEDULE: "NoSchedule",
  NO_EXECUTE: "NoExecute",
  PREFER_NO_SCHEDULE: "PreferNoSchedule",
} as const;
/** EKS writes NO_SCHEDULE where Kubernetes writes NoSchedule. */
export const kubernetesEffect = (t: Taint): "NoSchedule" | "NoExecute" | "PreferNoSchedule" =>
  EFFECT[t.effect];

export function ownLabels(group: Group): Record<string, string> {
  return {
    ...group.labels,
    "eks.amazonaws.com/nodegroup": group.name,
    "eks.amazonaws.com/nodegroup-image": group.imageId,
    "eks.amazonaws.com/capacityType": group.capacityType,
  };
}

/** The bootstrap EKS brings, together with what the user's template adds. base64 in and out. */
export function mergedUserData(group: Group, cluster: Cluster, base64: string | undefined): string {
  const user = base64 ? Buffer.from(base64, "base64").toString("utf8") : "";
  const text =
    imageById(group.imageId)?.os === "bottlerocket" ? toml(group, cluster, user) : mime(group, cluster, user);
  return Buffer.from(text).toString("base64");
}

function mime(group: Group, cluster: Cluster, user: string): string {
  const labels = Object.entries(ownLabels(group)).map(([k, v]) => `${k}=${v}`);
  const taints = group.taints.map((t) => `${t.key}=${t.value ?? ""}:${kubernetesEffect(t)}`);
  const flags = [`--node-labels=${labels.join(",")}`];
  if (taints.length > 0) flags.push(`--register-with-taints=${taints.join(",")}`);
  const config = {
    apiVersion: "node.eks.aws/v1alpha1",
    kind: "NodeConfig",
    spec: {
      cluster: {
        name: cluster.name,
        apiServerEndpoint: cluster.endpoint,
        certificateAuthority: cluster.certificateAuthority,
        cidr: WORLD.serviceCidr,
      },
      kubelet: { flags },
    },
  };
  const parts = [
    ...mimeParts(user),
    { type: "application/node.eks.aws", body: JSON.stringify(config, null, 2) },
  ];
  return [
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="//"',
    "",
    ...parts.flatMap((p) => ["--//", `Content-Type: ${p.type}`, "", p.body]),
    "--//--",
    "",
  ].join("\n");
}

function toml(group: Group, cluster: Cluster, user: string): string {
  const tree = parseToml(user);
  const settings = (tree["settings"] ??= {}) as TomlTable;
  const kubernetes = (settings["kubernetes"] ??= {}) as TomlTable;
  kubernetes["cluster-name"] = cluster.name;
  kubernetes["api-server"] = cluster.endpoint;
  kubernetes["cluster-certificate"] = cluster.certificateAuthority;
  Object.assign((kubernetes["node-labels"] ??= {}), ownLabels(group));
  const taints = (kubernetes["node-taints"] ??= {}) as TomlTable;
  for (const t of group.taints) {
    const present = taints[t.key] ?? [];
    taints[t.key] = [
      ...(Array.isArray(present) ? present : [present]),
      `${t.value ?? ""}:${kubernetesEffect(t)}`,
    ];
  }
  return writeToml(tree);
}
