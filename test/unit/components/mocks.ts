import * as pulumi from "@pulumi/pulumi";
import { getMonitor } from "@pulumi/pulumi/runtime/settings.js";

/** A resource as the program asked the engine for it. */
export interface Declared {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
  /** Id that the program wants imported. */
  imported: string;
}

const CLUSTER = {
  endpoint: "https://prod.example",
  certificateAuthorities: [{ data: "Q0E=" }],
  kubernetesNetworkConfigs: [{ serviceIpv4Cidr: "172.20.0.0/16" }],
  vpcConfig: { clusterSecurityGroupId: "sg-0c1a57e0" },
};

/**
 * Runs a program against Pulumi's mocks.
 * @param sizes what every Gate measures
 * @returns all resources that it declared, once they are registered
 */
export async function declare(
  program: () => unknown,
  sizes: Record<string, number> = {},
): Promise<Declared[]> {
  const declared: Declared[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource(args) {
        declared.push({
          type: args.type,
          name: args.name,
          inputs: args.inputs as Record<string, unknown>,
          imported: args.id ?? "",
        });
        const state = args.inputs as Record<string, unknown>;
        const id = args.id || `${args.name}-id`;
        const arn = `arn:aws:iam::123456789012:role/${args.name}`;
        return { id, state: { ...state, arn, ...(args.name.endsWith("-gate") ? { sizes } : {}) } };
      },
      call: () => CLUSTER,
    },
    "patchguard",
    "test",
    false,
  );
  // the mock monitor knows no hooks (design section 5)
  Object.assign(getMonitor() as object, {
    registerResourceHook: (_request: unknown, callback: (error: null) => void) => callback(null),
  });
  await program();
  // outputs of the program's own lead to further registrations: one turn, then all that are under way
  await new Promise((resolve) => setImmediate(resolve));
  await pulumi.runtime.disconnect();
  return declared;
}

export const ofType = (declared: Declared[], type: string): Declared[] =>
  declared.filter((resource) => resource.type === type);

/** The one resource of a type. */
export function only(declared: Declared[], type: string): Declared {
  const [found, ...others] = ofType(declared, type);
  if (found === undefined || others.length > 0)
    throw new Error(`${others.length + (found ? 1 : 0)} resources of type ${type}, not one`);
  return found;
}

export const TYPE = {
  template: "aws:ec2/launchTemplate:LaunchTemplate",
  managed: "aws:eks/nodeGroup:NodeGroup",
  scaling: "aws:autoscaling/group:Group",
  role: "aws:iam/role:Role",
  policy: "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
  profile: "aws:iam/instanceProfile:InstanceProfile",
  access: "aws:eks/accessEntry:AccessEntry",
} as const;
