/**
 * EKS managed node groups: moves each group towards what its record says, one step per run. Everything it needs is in
 * the store and in the cloud, so a machine room that was killed goes on where it was.
 */

import type { AutoScalingGroup } from "@aws-sdk/client-auto-scaling";
import { createAsg, deleteAsg, describeAsg, updateAsg } from "./asg.ts";
import { cordon, evictAll } from "./drain.ts";
import { creationOutcome } from "./eks-rules.ts";
import { isReady, mergePatch, tolerate } from "./kube.ts";
import { log } from "./log.ts";
import {
  deleteOwnTemplate,
  kubernetesEffect,
  ownLabels,
  readTemplate,
  writeOwnTemplate,
} from "./own-template.ts";
import { rollStep } from "./roll.ts";
import type { Group, Update } from "./store.ts";
import type { World } from "./world.ts";

export class NodeGroups {
  private readonly world: World;
  constructor(world: World) {
    this.world = world;
  }

  async reconcile(): Promise<void> {
    for (const group of Object.values(this.world.store.data.groups)) {
      const was = group.status;
      try {
        await this.step(group);
        this.complaints.delete(group.name);
      } catch (error) {
        this.complain(group, (error as Error).message);
      }
      if (group.status !== was) log(`node group ${group.name}: ${was} -> ${group.status}`);
    }
  }

  /** The same trouble is logged once; a group whose making stays in trouble fails as EKS's does. */
  private readonly complaints = new Map<string, string>();
  private complain(group: Group, message: string): void {
    if (this.complaints.get(group.name) !== message) log(`node group ${group.name}: ${message}`);
    this.complaints.set(group.name, message);
    if (group.status === "CREATING" && Date.now() - group.createdAt > this.world.settings.createFailedMs)
      this.set(group, {
        status: "CREATE_FAILED",
        health: [{ code: "AsgInstanceLaunchFailures", message, resourceIds: [] }],
      });
  }

  private async step(group: Group): Promise<void> {
    switch (group.status) {
      case "CREATING":
        return this.create(group);
      case "UPDATING":
        return this.update(group);
      case "DELETING":
        return this.delete(group);
      case "ACTIVE":
        return this.follow(group);
      case "CREATE_FAILED":
        return;
    }
  }

  private set(group: Group, change: Partial<Group>): void {
    Object.assign(group, change, { modifiedAt: Date.now() });
    this.world.store.save();
  }

  private async create(group: Group): Promise<void> {
    const { cloud, settings, cluster } = this.world;
    if (group.ownTemplateId === undefined) {
      const data = group.launchTemplate ? (await readTemplate(cloud.ec2, group.launchTemplate)).data : {};
      const own = await writeOwnTemplate(cloud.ec2, group, cluster, data);
      this.set(group, { ownTemplateId: own.id, ownTemplateVersion: own.version });
    }
    const asg = await describeAsg(cloud.autoScaling, group);
    if (!asg) return createAsg(cloud.autoScaling, group);
    const instances = (asg.Instances ?? []).map((i) => i.InstanceId ?? "");
    const outcome = creationOutcome(group, {
      now: Date.now(),
      ready: instances.filter((id) => this.readyNode(id) !== undefined).length,
      instances,
      createMs: settings.createMs,
      createFailedMs: settings.createFailedMs,
    });
    if (outcome.status === "ACTIVE") this.set(group, { status: "ACTIVE" });
    if (outcome.status === "CREATE_FAILED")
      this.set(group, { status: "CREATE_FAILED", health: [outcome.issue] });
  }

  private readyNode(instance: string): string | undefined {
    const name = this.world.store.data.joined[instance];
    const node = name === undefined ? undefined : this.world.kube.nodes.get(name);
    return node && isReady(node) ? name : undefined;
  }

  /** The desired size follows the Auto Scaling group: an autoscaler sets it there. */
  private lastFollowed = 0;
  private async follow(group: Group): Promise<void> {
    if (Date.now() - this.lastFollowed < 1000 / Object.keys(this.world.store.data.groups).length) return;
    this.lastFollowed = Date.now();
    const asg = await describeAsg(this.world.cloud.autoScaling, group);
    // `status` again: a request may have come while we asked
    if (asg?.DesiredCapacity === undefined || group.status !== "ACTIVE") return;
    if (asg.DesiredCapacity !== group.scaling.desiredSize && asg.Status === undefined) {
      group.scaling.desiredSize = asg.DesiredCapacity;
      this.world.store.save();
    }
  }

  private async update(group: Group): Promise<void> {
    const update = this.world.store.data.updates[group.updateId ?? ""];
    if (!update) return this.set(group, { status: "ACTIVE" });
    if (update.type === "ConfigUpdate") {
      await this.configure(group, update);
    } else {
      await rollStep(this.world, group, update, (instance) => this.readyNode(instance));
    }
    if (update.status !== "InProgress") this.set(group, { status: "ACTIVE", updateId: undefined });
    else this.world.store.save();
  }

  /** Sizes on the Auto Scaling group; labels and taints on the nodes that are there, and in the template for the next. */
  private async configure(group: Group, update: Update): Promise<void> {
    const { cloud, cluster, kube } = this.world;
    const { minSize, maxSize, desiredSize } = group.scaling;
    await updateAsg(cloud.autoScaling, group, { min: minSize, max: maxSize, desired: desiredSize });
    const relabelled = update.params.some((p) => p.type.startsWith("Labels") || p.type.startsWith("Taints"));
    if (relabelled && !update.applied) {
      const data = group.launchTemplate ? (await readTemplate(cloud.ec2, group.launchTemplate)).data : {};
      const own = await writeOwnTemplate(cloud.ec2, group, cluster, data);
      update.applied = true;
      this.set(group, { ownTemplateVersion: own.version });
      await updateAsg(cloud.autoScaling, group, { min: minSize, max: maxSize }, true);
    }
    if (relabelled)
      for (const name of this.nodesOf(await describeAsg(cloud.autoScaling, group)))
        await this.relabel(group, update, name);
    // asynchronous as the real one: whoever sends two in a row must wait for the first
    if (Date.now() - update.createdAt >= 1000 && kube.synced) update.status = "Successful";
  }

  private nodesOf(asg: AutoScalingGroup | undefined): string[] {
    const { joined } = this.world.store.data;
    return (asg?.Instances ?? []).flatMap((i) => joined[i.InstanceId ?? ""] ?? []);
  }

  private async relabel(group: Group, update: Update, name: string): Promise<void> {
    const node = this.world.kube.nodes.get(name);
    if (!node) return;
    const changed = (type: string): string[] =>
      update.params.filter((p) => p.type === type).flatMap((p) => JSON.parse(p.value) as string[]);
    const labels = {
      ...Object.fromEntries(changed("LabelsToRemove").map((key) => [key, null])),
      ...ownLabels(group),
    };
    const mine = new Set([
      ...changed("TaintsToRemove"),
      ...group.taints.map((t) => `${t.key}:${kubernetesEffect(t)}`),
    ]);
    const taints = [
      ...(node.spec?.taints ?? []).filter((t) => !mine.has(`${t.key}:${t.effect}`)),
      ...group.taints.map((t) => ({
        key: t.key,
        ...(t.value ? { value: t.value } : {}),
        effect: kubernetesEffect(t),
      })),
    ];
    const { resourceVersion } = node.metadata ?? {};
    await tolerate([404], () =>
      this.world.kube.core.patchNode(
        { name, body: { metadata: { labels, resourceVersion }, spec: { taints } } },
        mergePatch,
      ),
    );
  }

  /** Drains for a bounded time, then kills what still runs: nobody who has pods there should let it come to this. */
  private async delete(group: Group): Promise<void> {
    const { cloud, kube, settings, store } = this.world;
    const deletion = (group.deletion ??= { startedAt: Date.now() });
    const asg = await describeAsg(cloud.autoScaling, group);
    if (asg && !deletion.killed) {
      const nodes = this.nodesOf(asg);
      await Promise.all(nodes.map((name) => cordon(kube, name)));
      const left = await Promise.all(nodes.map((name) => evictAll(kube, name)));
      const total = left.reduce((a, b) => a + b, 0);
      if (total > 0 && Date.now() - deletion.startedAt < settings.drainMs) return;
      if (total > 0) log(`node group ${group.name}: time is up, ${total} pods are killed with their nodes`);
      deletion.killed = true;
      store.save();
      await deleteAsg(cloud.autoScaling, group);
      return;
    }
    if (asg) return; // its instances are going
    // EKS reports the group gone when its nodes are
    if (kube.nodes.list().some((n) => n.metadata?.labels?.["eks.amazonaws.com/nodegroup"] === group.name))
      return;
    await deleteOwnTemplate(cloud.ec2, group);
    delete store.data.groups[group.name];
    store.save();
    log(`node group ${group.name}: deleted`);
  }
}
