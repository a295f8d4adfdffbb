import { paginateDescribeInstances } from "@aws-sdk/client-ec2";
import { batches, collect, eachOf, type Aws } from "./aws-clients.ts";

/** Values of one filter. */
const VALUES = 200;

/**
 * Image ids by instance id. Asked through a filter, not by ids: one instance that is gone would fail the whole batch.
 * Terminated instances, which EC2 lists for about an hour, are left out.
 */
export async function imagesOfInstances(aws: Aws, ids: readonly string[]): Promise<Map<string, string>> {
  const reservations = await eachOf(batches([...new Set(ids)], VALUES), (batch) =>
    collect(
      aws,
      "ec2:DescribeInstances",
      batch.length === 1 ? `instance ${batch[0]}` : `${batch.length} instances`,
      paginateDescribeInstances({ client: aws.ec2 }, { Filters: [{ Name: "instance-id", Values: batch }] }),
      (page) => page.Reservations,
    ),
  );
  const images = new Map<string, string>();
  for (const { Instances } of reservations.flat()) {
    for (const { InstanceId, ImageId, State } of Instances ?? []) {
      if (InstanceId && ImageId && State?.Name !== "terminated") images.set(InstanceId, ImageId);
    }
  }
  return images;
}
