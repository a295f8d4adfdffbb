import type * as pulumi from "@pulumi/pulumi";

/**
 * The dynamic providers as Pulumi stores them: a trampoline of a few lines that is the same text on every machine and imports the
 * program's own code from the working directory at run time. So an old state never runs old code, and the state holds no path.
 * The methods must not use anything from outside their own bodies: what they capture would be serialized into the state.
 */
export const gateProvider: pulumi.dynamic.ResourceProvider = {
  async diff(id, olds, news) {
    const { pathToFileURL } = await import("node:url");
    const entry = await import(pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href);
    return entry.gateDiff(id, olds, news);
  },
  async create(inputs) {
    const { pathToFileURL } = await import("node:url");
    const entry = await import(pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href);
    return entry.gateCreate(inputs);
  },
  async update(id, olds, news) {
    const { pathToFileURL } = await import("node:url");
    const entry = await import(pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href);
    return entry.gateUpdate(id, olds, news);
  },
};

export const handoverProvider: pulumi.dynamic.ResourceProvider = {
  async diff(id, olds, news) {
    const { pathToFileURL } = await import("node:url");
    const entry = await import(pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href);
    return entry.handoverDiff(id, olds, news);
  },
  async create(inputs) {
    const { pathToFileURL } = await import("node:url");
    const entry = await import(pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href);
    return entry.handoverCreate(inputs);
  },
  async update(id, olds, news) {
    const { pathToFileURL } = await import("node:url");
    const entry = await import(pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href);
    return entry.handoverUpdate(id, olds, news);
  },
};

export const consentProvider: pulumi.dynamic.ResourceProvider = {
  async create(inputs) {
    const { pathToFileURL } = await import("node:url");
    const entry = await import(pathToFileURL(process.cwd() + "/components/dynamic/entry.ts").href);
    return entry.consentCreate(inputs);
  },
};
