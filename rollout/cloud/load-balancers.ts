import { DescribeTargetHealthCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { call, eachOf, type Aws } from "./aws-clients.ts";

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
