/** EKS's REST API for the seeded cluster: checks a request, records what is wanted, answers. The rest is nodegroups.ts. */

import { randomUUID } from "node:crypto";
import { WORLD } from "../images.ts";
import { clusterView, groupArn, groupView, updateView } from "./eks-views.ts";
import {
  checkIdle,
  checkLabels,
  checkName,
  checkSizes,
  checkTaints,
  chooseImage,
  EksError,
  invalid,
  mergeTaints,
} from "./eks-rules.ts";
import { groupOf, templateRequest } from "./eks-create.ts";
import type { World } from "./world.ts";
import { kubernetesEffect, readTemplate } from "./own-template.ts";
import type { Group, Sizes, Taint, Update } from "./store.ts";

interface Call {
  method: string;
  path: string[];
  query: URLSearchParams;
  body: Record<string, unknown>;
}
export class EksApi {
  private readonly world: World;
  private readonly wake: () => void;
  /** @param wake runs the node groups' loop soon */
  constructor(world: World, wake: () => void) {
    this.world = world;
    this.wake = wake;
  }

  /** @throws EksError */
  async answer(call: Call): Promise<object> {
    const [root, cluster, kind, name, action, actionId] = call.path;
    if (root === "tags") return this.tags(call, call.path.slice(1).join("/"));
    if (root !== "clusters") throw unsupported(call);
    if (cluster === undefined) {
      if (call.method === "GET") return { clusters: [WORLD.cluster] };
      throw unsupported(call);
    }
    if (cluster !== WORLD.cluster)
      throw new EksError("ResourceNotFoundException", `No cluster found for name: ${cluster}.`, {
        clusterName: cluster,
      });
    if (kind === undefined && call.method === "GET") return { cluster: clusterView(this.world.cluster) };
    if (kind === "node-groups") return this.nodeGroups(call, name, action);
    // DescribeUpdate and ListUpdates hang on the cluster, with the group as a parameter.
    if (kind === "updates" && call.method === "GET") return this.updates(call, name);
    void actionId;
    throw unsupported(call);
  }

  private async nodeGroups(
    call: Call,
    name: string | undefined,
    action: string | undefined,
  ): Promise<object> {
    const { store } = this.world;
    if (name === undefined) {
      if (call.method === "POST") return { nodegroup: groupView(await this.create(call.body)) };
      if (call.method === "GET") return page(Object.keys(store.data.groups).sort(), call.query);
      throw unsupported(call);
    }
    const group = this.find(name);
    if (action === undefined && call.method === "GET") return { nodegroup: groupView(group) };
    if (action === undefined && call.method === "DELETE") {
      checkIdle(group, WORLD.cluster, "deleted");
      group.status = "DELETING";
      group.deletion = { startedAt: Date.now() };
      return { nodegroup: groupView(this.changed(group)) };
    }
    if (action === "update-config" && call.method === "POST")
      return { update: updateView(this.updateConfig(group, call.body)) };
    if (action === "update-version" && call.method === "POST")
      return { update: updateView(await this.updateVersion(group, call.body)) };
    throw unsupported(call);
  }

  private find(name: string): Group {
    const group = this.world.store.data.groups[name];
    if (!group)
      throw new EksError("ResourceNotFoundException", `No node group found for name: ${name}.`, {
        clusterName: WORLD.cluster,
        nodegroupName: name,
      });
    return group;
  }

  private changed(group: Group): Group {
    group.modifiedAt = Date.now();
    this.world.store.save();
    this.wake();
    return group;
  }

  private async create(body: Record<string, unknown>): Promise<Group> {
    const name = checkName(body["nodegroupName"]);
    const token = body["clientRequestToken"] as string | undefined;
    const present = this.world.store.data.groups[name];
    // The same request again (an SDK's retry) gets the same answer.
    if (present && token !== undefined && present.clientRequestToken === token) return present;
    const taken = (): EksError =>
      new EksError(
        "ResourceInUseException",
        `NodeGroup already exists with name ${name} and cluster name ${WORLD.cluster}`,
        {
          clusterName: WORLD.cluster,
          nodegroupName: name,
        },
      );
    if (present) throw taken();

    const group = await groupOf(this.world.cloud.ec2, name, body);
    // somebody else may have been quicker while the template was read
    if (this.world.store.data.groups[name]) throw taken();
    this.world.store.data.groups[name] = group;
    return this.changed(group);
  }

  private begin(
    group: Group,
    type: Update["type"],
    params: Update["params"],
    more: Partial<Update> = {},
  ): Update {
    const update: Update = {
      id: randomUUID(),
      group: group.name,
      type,
      status: "InProgress",
      params,
      createdAt: Date.now(),
      errors: [],
      ...more,
    };
    this.world.store.data.updates[update.id] = update;
    group.status = "UPDATING";
    group.updateId = update.id;
    this.changed(group);
    return update;
  }

  private updateConfig(group: Group, body: Record<string, unknown>): Update {
    checkIdle(group, WORLD.cluster, "updated");
    const params: Update["params"] = [];
    const sizes = { ...group.scaling, ...(body["scalingConfig"] as Partial<Sizes> | undefined) };
    const labels = (body["labels"] ?? {}) as {
      addOrUpdateLabels?: Record<string, string>;
      removeLabels?: string[];
    };
    const taints = (body["taints"] ?? {}) as { addOrUpdateTaints?: Taint[]; removeTaints?: Taint[] };
    if (body["scalingConfig"]) {
      checkSizes(sizes);
      for (const key of ["minSize", "maxSize", "desiredSize"] as const)
        params.push({ type: `${key.charAt(0).toUpperCase()}${key.slice(1)}`, value: String(sizes[key]) });
    }
    if (body["labels"]) {
      checkLabels(labels.addOrUpdateLabels ?? {});
      if (labels.addOrUpdateLabels)
        params.push({ type: "LabelsToAdd", value: JSON.stringify(labels.addOrUpdateLabels) });
      if (labels.removeLabels)
        params.push({ type: "LabelsToRemove", value: JSON.stringify(labels.removeLabels) });
    }
    if (body["taints"]) {
      checkTaints(taints.addOrUpdateTaints ?? []);
      const keys = (taints.removeTaints ?? []).map((t) => `${t.key}:${kubernetesEffect(t)}`);
      if (taints.addOrUpdateTaints)
        params.push({ type: "TaintsToAdd", value: JSON.stringify(taints.addOrUpdateTaints) });
      params.push({ type: "TaintsToRemove", value: JSON.stringify(keys) });
    }
    if (body["updateConfig"]) {
      group.updateConfig = body["updateConfig"] as Record<string, unknown>;
      for (const [key, value] of Object.entries(group.updateConfig))
        params.push({ type: `${key.charAt(0).toUpperCase()}${key.slice(1)}`, value: String(value) });
    }
    if (params.length === 0) throw invalid("No changes needed for the requested configuration");
    group.scaling = sizes;
    group.labels = { ...group.labels, ...labels.addOrUpdateLabels };
    for (const key of labels.removeLabels ?? []) delete group.labels[key];
    group.taints = mergeTaints(group.taints, taints.addOrUpdateTaints, taints.removeTaints);
    return this.begin(group, "ConfigUpdate", params);
  }

  private async updateVersion(group: Group, body: Record<string, unknown>): Promise<Update> {
    checkIdle(group, WORLD.cluster, "updated");
    const request = templateRequest(body);
    if (request && !group.launchTemplate)
      throw new EksError(
        "InvalidRequestException",
        "The node group was made without a launch template and cannot get one",
      );
    const template = request ? await readTemplate(this.world.cloud.ec2, request) : undefined;
    if (template && template.reference.id !== group.launchTemplate?.id)
      throw new EksError(
        "InvalidRequestException",
        "A node group keeps its launch template: only its version can change",
      );
    if (template && Boolean(template.data.ImageId) !== (group.amiType === "CUSTOM"))
      throw new EksError(
        "InvalidRequestException",
        "A node group cannot change between a custom AMI and EKS's own",
      );
    const image = chooseImage({
      templateImage: template
        ? template.data.ImageId
        : group.amiType === "CUSTOM"
          ? group.imageId
          : undefined,
      amiType: group.amiType,
      releaseVersion: body["releaseVersion"] as string | undefined,
      version: body["version"] as string | undefined,
    });
    const same =
      image.imageId === group.imageId &&
      (template?.reference.version ?? "") === (group.launchTemplate?.version ?? "");
    if (same && !template) throw invalid("No changes needed: the node group runs this release version");
    checkIdle(group, WORLD.cluster, "updated");
    const params = [
      { type: "Version", value: image.version },
      { type: "ReleaseVersion", value: image.releaseVersion },
      ...(template
        ? [
            { type: "LaunchTemplateName", value: template.reference.name },
            { type: "LaunchTemplateVersion", value: template.reference.version },
          ]
        : []),
    ];
    const launchTemplate = template?.reference ?? group.launchTemplate;
    return this.begin(group, "VersionUpdate", params, {
      force: body["force"] === true,
      roll: {
        step: "template",
        ...(launchTemplate ? { launchTemplate } : {}),
        ...image,
        lastProgressAt: Date.now(),
      },
    });
  }

  private updates(call: Call, id: string | undefined): object {
    const group = call.query.get("nodegroupName");
    const all = Object.values(this.world.store.data.updates).filter(
      (u) => group === null || u.group === group,
    );
    if (id === undefined) {
      if (group !== null) this.find(group);
      return { updateIds: all.map((u) => u.id) };
    }
    const update = all.find((u) => u.id === id);
    if (!update) throw new EksError("ResourceNotFoundException", `No update found for ID: ${id}`);
    return { update: updateView(update) };
  }

  private tags(call: Call, arn: string): object {
    const group = Object.values(this.world.store.data.groups).find((g) => groupArn(g) === arn);
    if (!group) throw new EksError("ResourceNotFoundException", `No resource found for ARN: ${arn}`);
    if (call.method === "GET") return { tags: group.tags };
    if (call.method === "POST") Object.assign(group.tags, call.body["tags"]);
    else if (call.method === "DELETE") for (const key of call.query.getAll("tagKeys")) delete group.tags[key];
    else throw unsupported(call);
    this.changed(group);
    return {};
  }
}

const unsupported = (call: Call): EksError =>
  new EksError(
    "UnsupportedOperation",
    `the sandbox's EKS does not know ${call.method} /${call.path.join("/")}`,
  );

function page(names: string[], query: URLSearchParams): object {
  const start = Number(query.get("nextToken") ?? 0);
  const size = Number(query.get("maxResults") ?? 100);
  const end = start + size;
  return { nodegroups: names.slice(start, end), ...(end < names.length ? { nextToken: String(end) } : {}) };
}
