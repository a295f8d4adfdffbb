/** Every type and function this stand-in serves. */
import type { FunctionType, ResourceType } from "../resource-type.ts";
import { autoScalingGroup } from "./auto-scaling-group.ts";
import { accessEntry, addon } from "./eks-extras.ts";
import { getCallerIdentity, getCluster } from "./functions.ts";
import { instanceProfile, role, rolePolicyAttachment } from "./iam.ts";
import { launchTemplate } from "./launch-template.ts";
import { nodeGroup } from "./node-group.ts";
import { targetGroup } from "./target-group.ts";

const RESOURCES: readonly ResourceType[] = [
  accessEntry,
  addon,
  autoScalingGroup,
  instanceProfile,
  launchTemplate,
  nodeGroup,
  role,
  rolePolicyAttachment,
  targetGroup,
];
const FUNCTIONS: readonly FunctionType[] = [getCallerIdentity, getCluster];

function find<T extends { token: string }>(what: string, all: readonly T[], token: string): T {
  const found = all.find((t) => t.token === token);
  if (found) return found;
  const known = all.map((t) => t.token).join(", ");
  throw new Error(`the sandbox's aws provider does not know ${what} ${token}; it knows ${known}`);
}

export const resourceType = (token: string): ResourceType => find("resource type", RESOURCES, token);
export const functionType = (token: string): FunctionType => find("function", FUNCTIONS, token);
