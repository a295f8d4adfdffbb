/** A CreateNodegroup request: what EKS checks in it, and the group it describes. */

import { randomUUID } from "node:crypto";
import type { EC2Client } from "@aws-sdk/client-ec2";
import { WORLD } from "../images.ts";
import { checkLabels, checkSizes, checkTaints, checkTemplate, chooseImage, invalid } from "./eks-rules.ts";
import { readTemplate } from "./own-template.ts";
import type { Group, Sizes, Taint } from "./store.ts";

interface TemplateRequest {
  id?: string;
  name?: string;
  version?: string;
}

/** @throws EksError naming what is wrong with the request */
export async function groupOf(ec2: EC2Client, name: string, body: Record<string, unknown>): Promise<Group> {
  const subnets = (body["subnets"] ?? []) as string[];
  const unknown = subnets.filter((s) => !WORLD.subnets.some((w) => w.id === s));
  if (subnets.length === 0) throw invalid("Subnets are not specified");
  if (unknown.length > 0) throw invalid(`The subnet ID '${unknown[0]}' does not exist`);
  const nodeRole = body["nodeRole"];
  if (typeof nodeRole !== "string" || !nodeRole.startsWith("arn:"))
    throw invalid("The node role is not an ARN");
  const scaling = (body["scalingConfig"] ?? { minSize: 1, maxSize: 2, desiredSize: 2 }) as Sizes;
  checkSizes(scaling);
  const labels = (body["labels"] ?? {}) as Record<string, string>;
  const taints = (body["taints"] ?? []) as Taint[];
  checkLabels(labels);
  checkTaints(taints);
  const types = (body["instanceTypes"] ?? []) as string[];
  const request = templateRequest(body);
  if (request && body["diskSize"] !== undefined)
    throw invalid("Disk size must be specified within the launch template.");
  if (request && body["remoteAccess"] !== undefined)
    throw invalid("Remote access configuration cannot be specified with a launch template.");
  const template = request ? await readTemplate(ec2, request) : undefined;
  if (template) checkTemplate(template.data, types.length > 0);
  const image = chooseImage({
    templateImage: template?.data.ImageId,
    amiType: body["amiType"] as string | undefined,
    releaseVersion: body["releaseVersion"] as string | undefined,
    version: body["version"] as string | undefined,
  });
  const token = body["clientRequestToken"] as string | undefined;
  return {
    name,
    uuid: randomUUID(),
    status: "CREATING",
    createdAt: Date.now(),
    modifiedAt: Date.now(),
    ...(token === undefined ? {} : { clientRequestToken: token }),
    subnets,
    nodeRole,
    scaling: { ...scaling },
    instanceTypes: types.length > 0 ? types : [template?.data.InstanceType ?? "t3.medium"],
    instanceTypesGiven: types.length > 0 || !template?.data.InstanceType,
    capacityType: (body["capacityType"] as string | undefined) ?? "ON_DEMAND",
    ...(request ? {} : { diskSize: (body["diskSize"] as number | undefined) ?? 20 }),
    labels,
    taints,
    tags: (body["tags"] ?? {}) as Record<string, string>,
    ...(template ? { launchTemplate: template.reference } : {}),
    ...image,
    updateConfig: (body["updateConfig"] ?? { maxUnavailable: 1 }) as Record<string, unknown>,
    health: [],
  };
}

export function templateRequest(body: Record<string, unknown>): TemplateRequest | undefined {
  const request = body["launchTemplate"] as TemplateRequest | undefined;
  if (request && Boolean(request.id) === Boolean(request.name))
    throw invalid(
      "Launch template: you must specify either the launch template ID or the launch template name",
    );
  return request;
}
