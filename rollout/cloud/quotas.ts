import {
  GetAWSDefaultServiceQuotaCommand,
  GetServiceQuotaCommand,
  type ServiceQuota,
} from "@aws-sdk/client-service-quotas";
import type { GreenSpec } from "../targets.ts";
import { call, type Aws } from "./aws-clients.ts";
import { codeOf } from "./aws-errors.ts";

/** Instance families that share a quota of vCPUs. Others (Mac, HPC, high memory, Inf, Trn, DL, F, P, X) are not judged. */
export type Family = "Standard" | "G and VT";

/** The letters before the first digit of a type's name: `m7i.xlarge` is of m, `im4gn.large` of im. */
const FAMILIES: Record<Family, string[]> = {
  Standard: ["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"],
  "G and VT": ["g", "vt"],
};

/** https://docs.aws.amazon.com/general/latest/gr/ec2-service.html#limits_ec2 */
const VCPU_QUOTAS: Record<Family, Record<GreenSpec["capacityType"], string>> = {
  Standard: { ON_DEMAND: "L-1216C47A", SPOT: "L-34B43A08" },
  "G and VT": { ON_DEMAND: "L-DB2E81BA", SPOT: "L-3819A6DF" },
};

/** https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html: managed node groups per cluster. */
const GROUPS_QUOTA = "L-6D54EA21";

/** Which quota counts instances of a type; undefined where this version does not know. */
export function familyOf(type: string): Family | undefined {
  const letters = /^([a-z]+)\d/.exec(type)?.[1] ?? "";
  return (Object.keys(FAMILIES) as Family[]).find((family) => FAMILIES[family].includes(letters));
}

export interface Quota {
  value: number;
  name: string;
  code: string;
}

/** @throws CloudError */
export const vcpuQuota = (aws: Aws, family: Family, capacity: GreenSpec["capacityType"]): Promise<Quota> =>
  quota(aws, "ec2", VCPU_QUOTAS[family][capacity], `vCPUs of ${family} instances`);

/** @throws CloudError */
export const groupQuota = (aws: Aws): Promise<Quota> =>
  quota(aws, "eks", GROUPS_QUOTA, "node groups per cluster");

/** The account's own value, or AWS's default where the account has none of its own. */
async function quota(aws: Aws, ServiceCode: string, QuotaCode: string, what: string): Promise<Quota> {
  const input = { ServiceCode, QuotaCode };
  const options = { abortSignal: aws.signal };
  const object = `${what} (${QuotaCode})`;
  const own = await call(aws, "servicequotas:GetServiceQuota", object, async () => {
    try {
      return (await aws.quotas.send(new GetServiceQuotaCommand(input), options)).Quota;
    } catch (error) {
      if (codeOf(error) === "NoSuchResourceException") return undefined;
      throw error;
    }
  });
  const known = own ?? (await defaultOf(aws, input, object));
  return { value: valueOf(known, object), name: known?.QuotaName ?? what, code: QuotaCode };
}

const defaultOf = (
  aws: Aws,
  input: { ServiceCode: string; QuotaCode: string },
  object: string,
): Promise<ServiceQuota | undefined> =>
  call(
    aws,
    "servicequotas:GetAWSDefaultServiceQuota",
    object,
    async () =>
      (await aws.quotas.send(new GetAWSDefaultServiceQuotaCommand(input), { abortSignal: aws.signal })).Quota,
  );

function valueOf(quota: ServiceQuota | undefined, object: string): number {
  if (quota?.Value !== undefined) return quota.Value;
  throw new Error(`Service Quotas gives no value for ${object}`);
}
