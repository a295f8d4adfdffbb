import {
  DescribeTargetGroupAttributesCommand,
  DescribeTargetHealthCommand,
  paginateDescribeTargetGroups,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { call, collect, eachOf, type Aws } from "./aws-clients.ts";
import type { TargetGroup } from "./cloud.ts";

/** What ELB waits if the attribute is not set. Seconds. */
const DEFAULT_DELAY_SECONDS = 300;

/** All target groups of the region whose targets are instances. */
export async function instanceTargetGroups(aws: Aws): Promise<TargetGroup[]> {
  const groups = await collect(
    aws,
    "elasticloadbalancing:DescribeTargetGroups",
    "the target groups",
    paginateDescribeTargetGroups({ client: aws.loadBalancing, pageSize: 400 }, {}),
    ({ TargetGroups }) => TargetGroups,
  );
  return groups.flatMap(({ TargetGroupArn: arn, TargetGroupName: name = "", TargetType }) =>
    arn !== undefined && TargetType === "instance" ? [{ arn, name }] : [],
  );
}

/** `deregistration_delay.timeout_seconds` of each target group. */
export async function delaysOf(aws: Aws, arns: readonly string[]): Promise<Map<string, number>> {
  const answers = await eachOf(arns, (arn) =>
    call(aws, "elasticloadbalancing:DescribeTargetGroupAttributes", `target group ${arn}`, () =>
      aws.loadBalancing.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn: arn })),
    ),
  );
  return new Map(
    arns.map((arn, i) => {
      const value = answers[i]?.Attributes?.find(
        ({ Key }) => Key === "deregistration_delay.timeout_seconds",
      )?.Value;
      const seconds = Number(value);
      return [arn, value === undefined || Number.isNaN(seconds) ? DEFAULT_DELAY_SECONDS : seconds];
    }),
  );
}

/** Worst first. An instance registered on several ports is as healthy as the worst of them. */
const ORDER = ["draining", "unhealthy", "initial", "unavailable", "unused"];
const rank = (state: string): number => (ORDER.includes(state) ? ORDER.indexOf(state) : ORDER.length);

/** Health by instance in each target group. */
export async function healthOfTargets(
  aws: Aws,
  arns: readonly string[],
): Promise<Map<string, Map<string, string>>> {
  const unique = [...new Set(arns)];
  const answers = await eachOf(unique, (arn) =>
    call(aws, "elasticloadbalancing:DescribeTargetHealth", `target group ${arn}`, () =>
      aws.loadBalancing.send(new DescribeTargetHealthCommand({ TargetGroupArn: arn })),
    ),
  );
  return new Map(
    unique.map((arn, i) => {
      const byInstance = new Map<string, string>();
      for (const { Target, TargetHealth } of answers[i]?.TargetHealthDescriptions ?? []) {
        if (Target?.Id === undefined) continue;
        const state = TargetHealth?.State ?? "unavailable";
        const known = byInstance.get(Target.Id);
        if (known === undefined || rank(state) < rank(known)) byInstance.set(Target.Id, state);
      }
      return [arn, byInstance];
    }),
  );
}
