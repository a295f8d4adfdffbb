/** EKS's rules for node groups, pure: what it refuses, and when a group becomes what. */

import { IMAGES, imageById, WORLD, type Image } from "../images.ts";
import type { Group, HealthIssue, Sizes, Taint } from "./store.ts";

/** An error as EKS answers it. */
export class EksError extends Error {
  readonly type: string;
  readonly details: Record<string, string>;
  constructor(type: keyof typeof HTTP_STATUS, message: string, details: Record<string, string> = {}) {
    super(message);
    this.type = type;
    this.details = details;
  }
  get httpStatus(): number {
    return HTTP_STATUS[this.type as keyof typeof HTTP_STATUS];
  }
}
const HTTP_STATUS = {
  ResourceNotFoundException: 404,
  ResourceInUseException: 409,
  InvalidParameterException: 400,
  InvalidRequestException: 400,
  UnsupportedOperation: 501,
};

export const invalid = (message: string): EksError => new EksError("InvalidParameterException", message);

export function checkSizes(s: Sizes): void {
  if (s.minSize < 0 || s.maxSize < 1)
    throw invalid("Minimum capacity must be at least 0, maximum capacity at least 1");
  if (s.minSize > s.maxSize)
    throw invalid(`Minimum capacity ${s.minSize} can't be greater than maximum capacity ${s.maxSize}`);
  if (s.desiredSize < s.minSize)
    throw invalid(`Minimum capacity ${s.minSize} can't be greater than desired size ${s.desiredSize}`);
  if (s.desiredSize > s.maxSize)
    throw invalid(`desired capacity ${s.desiredSize} can't be greater than max size ${s.maxSize}`);
}

export function checkName(name: unknown): string {
  if (typeof name !== "string" || !/^[0-9A-Za-z][A-Za-z0-9_-]{0,62}$/.test(name))
    throw invalid(
      `The nodegroup name ${String(name)} has invalid format: at most 63 letters, digits, - and _`,
    );
  return name;
}

export function checkLabels(labels: Record<string, string>): void {
  for (const key of Object.keys(labels))
    if (["kubernetes.io/", "k8s.io/", "eks.amazonaws.com/"].some((p) => key.startsWith(p)))
      throw invalid(
        `Label cannot contain reserved prefixes [kubernetes.io/, k8s.io/, eks.amazonaws.com/]: ${key}`,
      );
}

export function checkTaints(taints: Taint[]): void {
  for (const t of taints)
    if (!t.key || !["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"].includes(t.effect))
      throw invalid(
        `Taint ${t.key}: the effect must be NO_SCHEDULE, NO_EXECUTE or PREFER_NO_SCHEDULE, not ${t.effect}`,
      );
  if (taints.length > 50) throw invalid("A node group has at most 50 taints");
}

/** The parts of a launch template's data that EKS looks at. */
export interface TemplateData {
  ImageId?: string;
  InstanceType?: string;
  UserData?: string;
  IamInstanceProfile?: { Arn?: string; Name?: string };
  NetworkInterfaces?: { SubnetId?: string }[];
  InstanceMarketOptions?: unknown;
}

/** What EKS does not allow in a template (https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html). */
export function checkTemplate(data: TemplateData, instanceTypesGiven: boolean): void {
  if (data.IamInstanceProfile?.Arn || data.IamInstanceProfile?.Name)
    throw invalid(
      "Launch template should not specify an instance profile. The noderole in your request will be used to construct an instance profile.",
    );
  if (data.NetworkInterfaces?.some((i) => i.SubnetId))
    throw invalid("Launch template should not specify subnets. Use the node group's subnets.");
  if (data.InstanceMarketOptions)
    throw invalid("Launch template should not specify market options. Use capacityType.");
  if (data.InstanceType && instanceTypesGiven)
    throw invalid("You must specify instance type in either instanceTypes or launch template, not both");
}

export interface ImageChoice {
  amiType: string;
  releaseVersion: string;
  version: string;
  imageId: string;
}

/** Which image a group runs: the template's own, else the one that the release version (by default the newest) stands for. */
export function chooseImage(request: {
  templateImage?: string;
  amiType?: string;
  releaseVersion?: string;
  version?: string;
}): ImageChoice {
  const version = request.version ?? WORLD.kubernetesVersion;
  if (version !== WORLD.kubernetesVersion)
    throw invalid(
      `Requested Nodegroup version ${version} does not fit the cluster's version ${WORLD.kubernetesVersion}`,
    );
  if (request.templateImage) {
    if (request.amiType && request.amiType !== "CUSTOM")
      throw invalid(
        "You cannot specify an AMI Type other than CUSTOM, when specifying an image id in your launch template.",
      );
    if (request.releaseVersion || request.version)
      throw invalid(
        "You cannot specify the field kubernetesVersion or releaseVersion when using a custom AMI.",
      );
    return {
      amiType: "CUSTOM",
      releaseVersion: request.templateImage,
      version,
      imageId: request.templateImage,
    };
  }
  const amiType = request.amiType ?? "AL2023_x86_64_STANDARD";
  if (amiType === "CUSTOM")
    throw invalid("Launch template details can't be null for Custom ami type node group");
  const family = IMAGES.filter((i) => i.amiType === amiType);
  const image: Image | undefined = request.releaseVersion
    ? family.find((i) => i.releaseVersion === request.releaseVersion)
    : family.findLast((i) => i.behaviour === "joins");
  if (!image)
    throw invalid(
      request.releaseVersion
        ? `Requested release version ${request.releaseVersion} is not valid for kubernetes version ${version} and AMI type ${amiType}.`
        : `AMI type ${amiType} is not in the sandbox's image catalogue: ${[...new Set(IMAGES.map((i) => i.amiType))].join(", ")}`,
    );
  return { amiType, releaseVersion: image.releaseVersion, version, imageId: image.id };
}

/** A group that is busy takes no other request. */
export function checkIdle(group: Group, cluster: string, what: "updated" | "deleted"): void {
  const idle = what === "deleted" ? ["ACTIVE", "CREATE_FAILED"] : ["ACTIVE"];
  if (!idle.includes(group.status))
    throw new EksError(
      "ResourceInUseException",
      `Nodegroup ${group.name} cannot be ${what} as it is currently in ${group.status} state`,
      { clusterName: cluster, nodegroupName: group.name },
    );
}

/**
 * What a group that is CREATING has become.
 * @param ready how many of its instances are Ready nodes
 */
export function creationOutcome(
  group: Pick<Group, "createdAt" | "imageId" | "scaling">,
  facts: { now: number; ready: number; instances: string[]; createMs: number; createFailedMs: number },
): { status: "CREATING" | "ACTIVE" } | { status: "CREATE_FAILED"; issue: HealthIssue } {
  const age = facts.now - group.createdAt;
  if (age < facts.createMs) return { status: "CREATING" };
  if (facts.ready >= group.scaling.desiredSize) return { status: "ACTIVE" };
  // Seen in the field as well: a group that EKS calls ACTIVE while no node has come.
  if (imageById(group.imageId)?.behaviour === "never-joins") return { status: "ACTIVE" };
  if (age < Math.max(facts.createMs, facts.createFailedMs)) return { status: "CREATING" };
  return {
    status: "CREATE_FAILED",
    issue: {
      code: "NodeCreationFailure",
      message: "Instances failed to join the kubernetes cluster",
      resourceIds: facts.instances,
    },
  };
}

/** Merges an UpdateNodegroupConfig's taints: key and effect name one. */
export function mergeTaints(present: Taint[], addOrUpdate: Taint[] = [], remove: Taint[] = []): Taint[] {
  const key = (t: Taint): string => `${t.key}:${t.effect}`;
  const merged = new Map(present.map((t) => [key(t), t]));
  for (const t of remove) merged.delete(key(t));
  for (const t of addOrUpdate) merged.set(key(t), t);
  return [...merged.values()];
}
