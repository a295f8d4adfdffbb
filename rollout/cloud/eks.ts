import {
  DescribeNodegroupCommand,
  DescribeUpdateCommand,
  paginateListNodegroups,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateNodegroupConfigCommand,
  type Nodegroup,
} from "@aws-sdk/client-eks";
import { TAG_CLOSED_BY } from "../names.ts";
import { awsError, codeOf } from "./aws-errors.ts";
import { call, collect, eachOf, isBusy, late, pause, rest, whenFree, type Aws } from "./aws-clients.ts";
import { sameSizes, scalingGroups, sizesFor, sizesOf } from "./autoscaling.ts";
import { CloudError, type Resized, type Sizes } from "./cloud.ts";

const objectOf = (aws: Aws, name: string): string => `node group ${name} of cluster ${aws.clusterName}`;

/** One node group; undefined when there is none of that name. */
export const nodegroup = (aws: Aws, name: string): Promise<Nodegroup | undefined> =>
  call(aws, "eks:DescribeNodegroup", objectOf(aws, name), async () => {
    const input = { clusterName: aws.clusterName, nodegroupName: name };
    try {
      return (await aws.eks.send(new DescribeNodegroupCommand(input))).nodegroup;
    } catch (error) {
      if (codeOf(error) === "ResourceNotFoundException") return undefined;
      throw error;
    }
  });

/** All node groups of the cluster (EKS has no filter by tag). */
export async function nodegroups(aws: Aws): Promise<Nodegroup[]> {
  const names = await collect(
    aws,
    "eks:ListNodegroups",
    `cluster ${aws.clusterName}`,
    paginateListNodegroups({ client: aws.eks }, { clusterName: aws.clusterName }),
    (page) => page.nodegroups,
  );
  const groups = await eachOf(names, (name) => nodegroup(aws, name));
  return groups.filter((group) => group !== undefined);
}

export const scalingGroupOf = (group: Nodegroup): string | undefined =>
  group.resources?.autoScalingGroups?.[0]?.name;

/** The labels of the nodes that a group makes, as far as EKS tells. */
export const labelsOf = ({ labels, nodegroupName, capacityType }: Nodegroup): Record<string, string> => ({
  ...labels,
  ...(nodegroupName !== undefined && { "eks.amazonaws.com/nodegroup": nodegroupName }),
  ...(capacityType !== undefined && { "eks.amazonaws.com/capacityType": capacityType }),
});

async function existing(aws: Aws, name: string): Promise<Nodegroup> {
  const group = await nodegroup(aws, name);
  if (group !== undefined) return group;
  throw new CloudError(
    "NotFound",
    `EKS ${objectOf(aws, name)} in ${aws.region} is not there any more. Find out who deleted it, then run again.`,
  );
}

/** States in which EKS changes no sizes. The Auto Scaling group can still be suspended. */
const FIXED = ["CREATE_FAILED", "DELETING", "DELETE_FAILED"];

/**
 * Changes sizes through EKS, which would put its own back over those of the Auto Scaling group. Returns when EKS has finished, or, with
 * `toTheEnd` false, when it has accepted the change. A group that EKS does not change in its state is left as it is.
 */
export async function resizeNodegroup(
  aws: Aws,
  name: string,
  sizes: Sizes,
  toTheEnd = true,
): Promise<Resized> {
  const deadline = aws.clock.now() + aws.timeoutSeconds * 1000;
  const action = "eks:UpdateNodegroupConfig";
  const object = `the sizes of ${objectOf(aws, name)}`;
  for (let look = 0; ; look++) {
    const group = await existing(aws, name);
    const status = group.status ?? "";
    const scalingConfig = await configFor(aws, group, sizes);
    if (scalingConfig === undefined) return "done";
    if (FIXED.includes(status)) return "left";
    aws.signal?.throwIfAborted();
    let updateId: string | undefined;
    try {
      const input = { clusterName: aws.clusterName, nodegroupName: name, scalingConfig };
      const { update } = await aws.eks.send(new UpdateNodegroupConfigCommand(input));
      updateId = update?.id;
    } catch (error) {
      const refused = isBusy(error) || codeOf(error) === "InvalidRequestException";
      if (refused && status === "DEGRADED") return "left";
      if (!isBusy(error)) throw awsError({ action, object, region: aws.region }, error);
      // CREATING, UPDATING, or an update that DescribeNodegroup does not show yet: waited out
      if (aws.clock.now() + pause(look) > deadline) throw late(aws, action, object, `status ${status}`);
      await rest(aws, look);
      continue;
    }
    if (!toTheEnd) return "accepted";
    if (updateId !== undefined) await finished(aws, name, updateId, deadline);
    return "done";
  }
}

/** What to write; undefined when everything is so already, for EKS and for the Auto Scaling group. */
async function configFor(
  aws: Aws,
  group: Nodegroup,
  sizes: Sizes,
): Promise<{ minSize: number; maxSize: number; desiredSize: number } | undefined> {
  const name = scalingGroupOf(group);
  const [live] = name === undefined ? [] : await scalingGroups(aws, [name]);
  const { minSize = 0, maxSize = 1, desiredSize = 0 } = group.scalingConfig ?? {};
  const recorded = { min: minSize, max: maxSize, desired: desiredSize };
  // an autoscaler sets the desired size on the Auto Scaling group, past EKS
  const now = live === undefined ? recorded : sizesOf(live);
  const wanted = sizesFor(now, sizes);
  wanted.max = Math.max(wanted.max, 1); // EKS takes no 0
  if (sameSizes(now, wanted) && sameSizes(recorded, wanted)) return undefined;
  return { minSize: wanted.min, maxSize: wanted.max, desiredSize: wanted.desired };
}

/** Waits until EKS has carried out an update and the group can be changed again. */
async function finished(aws: Aws, name: string, updateId: string, deadline: number): Promise<void> {
  const object = `update ${updateId} of ${objectOf(aws, name)}`;
  const input = { name: aws.clusterName, nodegroupName: name, updateId };
  let done = false;
  for (let look = 0; ; look++) {
    let state: string;
    if (!done) {
      const { update } = await call(aws, "eks:DescribeUpdate", object, () =>
        aws.eks.send(new DescribeUpdateCommand(input)),
      );
      state = update?.status ?? "unknown";
      if (state === "Failed" || state === "Cancelled") {
        const why = (update?.errors ?? []).map(
          ({ errorCode, errorMessage }) => `${errorCode}: ${errorMessage}`,
        );
        throw new CloudError(
          "UpdateFailed",
          `eks:UpdateNodegroupConfig of ${objectOf(aws, name)} in ${aws.region} ended as ${state}: ${why.join("; ") || "EKS gives no reason"}. Mend what it names, then run again.`,
        );
      }
      done = state === "Successful";
    }
    if (done) {
      state = (await existing(aws, name)).status ?? "unknown";
      if (state !== "UPDATING") return;
    } else state = "InProgress";
    if (aws.clock.now() + pause(look) > deadline) {
      throw late(aws, "eks:UpdateNodegroupConfig", objectOf(aws, name), `status ${state}`);
    }
    await rest(aws, look);
  }
}

/** Ownership on an EKS group: on the node group itself, which is what people look at. */
export async function tagNodegroup(aws: Aws, name: string, value: string | undefined): Promise<void> {
  const { nodegroupArn: resourceArn, tags } = await existing(aws, name);
  if (tags?.[TAG_CLOSED_BY] === value || resourceArn === undefined) return;
  const deadline = aws.clock.now() + aws.timeoutSeconds * 1000;
  const object = `tag ${TAG_CLOSED_BY} of ${objectOf(aws, name)}`;
  if (value === undefined) {
    await whenFree(aws, deadline, "eks:UntagResource", object, () =>
      aws.eks.send(new UntagResourceCommand({ resourceArn, tagKeys: [TAG_CLOSED_BY] })),
    );
    return;
  }
  await whenFree(aws, deadline, "eks:TagResource", object, () =>
    aws.eks.send(new TagResourceCommand({ resourceArn, tags: { [TAG_CLOSED_BY]: value } })),
  );
}
