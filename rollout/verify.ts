import { blueNodes, greenNodes, poolGroups } from "./close.ts";
import { Hold } from "./errors.ts";
import { isFrozen } from "./freeze.ts";
import { wrongImages } from "./green.ts";
import { isWorkload, podName } from "./pods.ts";
import type { Run } from "./run.ts";
import { imageText, isReady } from "./target.ts";

/** What was proven of a finished handover; goes into the evidence and the resource's outputs. */
export interface Proof {
  generation: string;
  image: string;
  nodes: { name: string; image: string | undefined; kernel: string | undefined }[];
  templates: { group: string; template: string; version: string; image: string | undefined }[];
  frozen: string[];
  /** Groups that PatchGuard did not create: they stay, closed. */
  adopted: string[];
}

/**
 * Design promises 7 and 8: every green node runs the pinned image (read back from the instance, not from a status), every
 * template that can still launch a node of the pool carries it, everything else is frozen, and blue is empty.
 * @throws Hold naming each node, template or pod that says otherwise.
 */
export async function verify(run: Run): Promise<Proof> {
  const { target, inventory } = run;
  const green = greenNodes(run);
  const blue = blueNodes(run);
  const groups = await poolGroups(run);
  const wrong: string[] = [...(await wrongImages(run, green))];

  for (const node of green) if (!isReady(node)) wrong.push(`green node ${node.metadata.name} is not Ready`);
  for (const node of blue) {
    const left = inventory.podsOn(node.metadata.name).filter(isWorkload);
    if (left.length > 0)
      wrong.push(
        `blue node ${node.metadata.name} still holds ${left.slice(0, 3).map(podName).join(", ")}${left.length > 3 ? ` and ${left.length - 3} more` : ""}`,
      );
    if (node.spec?.unschedulable !== true) wrong.push(`blue node ${node.metadata.name} is schedulable`);
  }
  for (const group of groups.green) {
    const { template } = group;
    if (template === undefined) wrong.push(`node group ${group.name} has no template to launch from`);
    else if ("ami" in target.image && template.imageId !== target.image.ami) {
      wrong.push(
        `node group ${group.name} launches image ${template.imageId ?? "unknown"} (template ${template.name} version ${template.version}), not ${target.image.ami}`,
      );
    } else if (!/^\d+$/.test(template.version)) {
      wrong.push(
        `node group ${group.name} follows template version ${template.version}, which can change under it`,
      );
    }
    if ("releaseVersion" in target.image && group.releaseVersion !== target.image.releaseVersion) {
      wrong.push(
        `node group ${group.name} is on release ${group.releaseVersion ?? "unknown"}, not ${target.image.releaseVersion}`,
      );
    }
    for (const { id, imageId } of group.instances) {
      if (imageId !== template?.imageId)
        wrong.push(
          `instance ${id} of ${group.name} runs ${imageId ?? "an unknown image"}, its template says ${template?.imageId ?? "nothing"}`,
        );
    }
  }
  for (const group of groups.blue)
    if (!isFrozen(group))
      wrong.push(
        `node group ${group.name} (generation ${group.generation ?? "none"}) can still launch nodes`,
      );
  if (wrong.length > 0) {
    throw new Hold(
      `pool ${target.pool} is not proven to be on ${imageText(target.image)}: ${wrong.join("; ")}. To go on: mend that, then run \`pulumi up\` again.`,
    );
  }
  const images = new Map(
    groups.green.flatMap(({ instances }) => instances.map(({ id, imageId }) => [id, imageId])),
  );
  return {
    generation: target.generation,
    image: imageText(target.image),
    nodes: green.map((node) => ({
      name: node.metadata.name,
      image: images.get(node.spec?.providerID?.split("/").at(-1) ?? ""),
      kernel: node.status?.nodeInfo?.kernelVersion,
    })),
    templates: groups.green.map(({ name, template }) => ({
      group: name,
      template: template?.name ?? "",
      version: template?.version ?? "",
      image: template?.imageId,
    })),
    frozen: groups.blue.map(({ name }) => name),
    adopted: groups.blue.filter(({ pool }) => pool === undefined).map(({ name }) => name),
  };
}
