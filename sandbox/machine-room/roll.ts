/**
 * EKS's update of a group in place (https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html):
 * the copy of the template gets a new version, the Auto Scaling group grows, old nodes are cordoned, evicted and
 * terminated `maxUnavailable` at a time, and the sizes are put back. Without `force` a pod that cannot be evicted in time
 * fails the update (PodEvictionFailure); with `force` it is killed.
 */

import type { AutoScalingGroup } from "@aws-sdk/client-auto-scaling";
import { describeAsg, terminateInAsg, updateAsg } from "./asg.ts";
import { cordon, evictAll } from "./drain.ts";
import { tolerate, mergePatch } from "./kube.ts";
import { log } from "./log.ts";
import type { World } from "./world.ts";
import { readTemplate, writeOwnTemplate } from "./own-template.ts";
import type { Group, Update } from "./store.ts";

export async function rollStep(
  world: World,
  group: Group,
  update: Update,
  readyNode: (instance: string) => string | undefined,
): Promise<void> {
  const { cloud, cluster } = world;
  const roll = update.roll;
  if (!roll) throw new Error(`update ${update.id} has nothing to roll to`);
  if (roll.step === "template") {
    const data = roll.launchTemplate ? (await readTemplate(cloud.ec2, roll.launchTemplate)).data : {};
    const { releaseVersion, version, imageId, launchTemplate } = roll;
    roll.previousTemplateVersion ??= group.ownTemplateVersion ?? "1";
    const next: Group = {
      ...group,
      releaseVersion,
      version,
      imageId,
      ...(launchTemplate ? { launchTemplate } : {}),
    };
    const own = await writeOwnTemplate(cloud.ec2, next, cluster, data);
    Object.assign(group, next, { ownTemplateVersion: own.version });
    const { minSize, maxSize, desiredSize } = group.scaling;
    const surge = unavailable(group);
    await updateAsg(
      cloud.autoScaling,
      group,
      {
        min: minSize,
        max: Math.max(maxSize, desiredSize + surge),
        desired: desiredSize === 0 ? 0 : desiredSize + surge,
      },
      true,
    );
    roll.step = "replace";
    roll.lastProgressAt = Date.now();
    return;
  }
  const asg = await describeAsg(cloud.autoScaling, group);
  if (!asg)
    return fail(world, group, update, "AsgInstanceLaunchFailures", "The Auto Scaling group is gone", []);
  await replace(world, group, update, asg, readyNode);
}

const unavailable = (group: Group): number =>
  typeof group.updateConfig["maxUnavailable"] === "number" ? group.updateConfig["maxUnavailable"] : 1;

async function replace(
  world: World,
  group: Group,
  update: Update,
  asg: AutoScalingGroup,
  readyNode: (instance: string) => string | undefined,
): Promise<void> {
  const { cloud, kube, settings, store } = world;
  const roll = update.roll;
  if (!roll) return;
  const members = asg.Instances ?? [];
  const old = members.filter((i) => i.LaunchTemplate?.Version !== group.ownTemplateVersion);
  const fresh = members.filter((i) => i.LaunchTemplate?.Version === group.ownTemplateVersion);
  const taking = (roll.taking ??= []);
  const before = taking.length;
  roll.taking = taking.filter((t) => old.some((i) => i.InstanceId === t.instance));
  if (roll.taking.length < before) roll.lastProgressAt = Date.now();

  if (old.length === 0) {
    const { minSize, maxSize, desiredSize } = group.scaling;
    const ready = fresh.filter((i) => readyNode(i.InstanceId ?? "") !== undefined).length;
    if (ready >= desiredSize) {
      await updateAsg(cloud.autoScaling, group, { min: minSize, max: maxSize, desired: desiredSize });
      update.status = "Successful";
      return;
    }
  }
  const waiting = fresh.filter((i) => readyNode(i.InstanceId ?? "") === undefined);
  if ((waiting.length > 0 || members.length < (asg.DesiredCapacity ?? 0)) && roll.taking.length === 0) {
    if (Date.now() - roll.lastProgressAt < settings.createMs + settings.createFailedMs) return;
    const ids = waiting.map((i) => i.InstanceId ?? "");
    return fail(
      world,
      group,
      update,
      "NodeCreationFailure",
      "Couldn't proceed with upgrade process as new nodes are not joining node group",
      ids,
    );
  }
  for (const instance of old.slice(0, unavailable(group)))
    if (
      roll.taking.length < unavailable(group) &&
      !roll.taking.some((t) => t.instance === instance.InstanceId)
    )
      roll.taking.push({ instance: instance.InstanceId ?? "", since: Date.now() });
  for (const { instance, since } of roll.taking) {
    const node = store.data.joined[instance];
    if (node !== undefined) {
      await cordon(kube, node);
      const left = await evictAll(kube, node);
      const overdue = Date.now() - since >= settings.drainMs;
      if (left > 0 && !overdue) continue;
      if (left > 0 && !update.force) {
        await tolerate([404], () =>
          kube.core.patchNode({ name: node, body: { spec: { unschedulable: false } } }, mergePatch),
        );
        return fail(
          world,
          group,
          update,
          "PodEvictionFailure",
          "Reached max retries while trying to evict pods from nodes in node group",
          [node],
        );
      }
      if (left > 0) log(`node group ${group.name}: forced update kills ${left} pods on ${node}`);
    }
    // the last ones are not replaced: the group has grown by as many at the start
    await terminateInAsg(cloud.autoScaling, instance, old.length <= unavailable(group));
  }
}

/** A failed update leaves the nodes as they are, but takes back new instances that never joined. */
async function fail(
  world: World,
  group: Group,
  update: Update,
  code: string,
  message: string,
  ids: string[],
): Promise<void> {
  const { autoScaling } = world.cloud;
  if (code === "NodeCreationFailure") {
    const surplus =
      ((await describeAsg(autoScaling, group))?.DesiredCapacity ?? 0) - group.scaling.desiredSize;
    for (const instance of ids.slice(0, Math.max(0, surplus)))
      await terminateInAsg(autoScaling, instance, true);
  }
  update.status = "Failed";
  update.errors = [{ errorCode: code, errorMessage: message, resourceIds: ids }];
  log(`node group ${group.name}: update ${update.id} failed: ${code}`);
}
