import type * as pulumi from "@pulumi/pulumi";
import type { ClusterRef } from "../../rollout/world.ts";
import type * as Entry from "./entry.ts";

/**
 * The dynamic providers as Pulumi stores them: a trampoline of a few lines that is the same text on every machine and imports the
 * program's own code from the working directory at run time. So an old state never runs old code, and the state holds no path.
 * The methods must not use anything from outside their own bodies: what they capture would be serialized into the state.
 */
export const gateProvider: pulumi.dynamic.ResourceProvider<Entry.Stored> = {
  async diff(id, olds: Entry.Stored, news: Entry.Stored) {
    const { pathToFileURL } = await import("node:url");
    const url = pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href;
    const entry = (await import(url)) as typeof Entry;
    return entry.gateDiff(id, olds, news);
  },
  async create(inputs: Entry.Stored) {
    const { pathToFileURL } = await import("node:url");
    const url = pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href;
    const entry = (await import(url)) as typeof Entry;
    return entry.gateCreate(inputs);
  },
  async update(id, olds: Entry.Stored, news: Entry.Stored) {
    const { pathToFileURL } = await import("node:url");
    const url = pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href;
    const entry = (await import(url)) as typeof Entry;
    return entry.gateUpdate(id, olds, news);
  },
};

export const handoverProvider: pulumi.dynamic.ResourceProvider<Entry.Stored> = {
  async diff(id, olds: Entry.Stored, news: Entry.Stored) {
    const { pathToFileURL } = await import("node:url");
    const url = pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href;
    const entry = (await import(url)) as typeof Entry;
    return entry.handoverDiff(id, olds, news);
  },
  async create(inputs: Entry.Stored) {
    const { pathToFileURL } = await import("node:url");
    const url = pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href;
    const entry = (await import(url)) as typeof Entry;
    return entry.handoverCreate(inputs);
  },
  async update(id, olds: Entry.Stored, news: Entry.Stored) {
    const { pathToFileURL } = await import("node:url");
    const url = pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href;
    const entry = (await import(url)) as typeof Entry;
    return entry.handoverUpdate(id, olds, news);
  },
};

export const consentProvider: pulumi.dynamic.ResourceProvider<{ cluster: ClusterRef }> = {
  async create(inputs: { cluster: ClusterRef }) {
    const { pathToFileURL } = await import("node:url");
    const url = pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href;
    const entry = (await import(url)) as typeof Entry;
    return entry.consentCreate(inputs);
  },
};
