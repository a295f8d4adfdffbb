/** What the provider does with a resource, free of the wire format. */
import type { Aws } from "./aws.ts";
import { connect } from "./aws.ts";
import type { Change } from "./diff.ts";
import { diffInputs } from "./diff.ts";
import { explain } from "./errors.ts";
import { isAutonamed, withName } from "./naming.ts";
import type { Context, ResourceType } from "./resource-type.ts";
import type { Failure, Fields, Values } from "./schema.ts";
import { boolean, checkInputs, isRecord, json, text, UNKNOWN } from "./schema.ts";
import { functionType, resourceType } from "./types/index.ts";

/** Seconds a create, update or delete may take where the program sets no customTimeouts. */
export const DEFAULT_TIMEOUT_SECONDS = 600;

/** The object exists although the operation failed: it stays in the state with its id and the reason. */
export class PartialFailure extends Error {
  readonly id: string;
  readonly state: Values;
  constructor(message: string, id: string, state: Values) {
    super(message);
    this.id = id;
    this.state = state;
  }
}

/** Inputs of the provider itself. The switches turn off checks of credentials that this stand-in does not make anyway. */
const CONFIGURATION: Fields = {
  region: text(),
  version: text(),
  accessKey: text(),
  secretKey: text(),
  skipCredentialsValidation: boolean(),
  skipMetadataApiCheck: json(),
  skipRegionValidation: boolean(),
  skipRequestingAccountId: boolean(),
};

export const checkConfiguration = (news: Values): { inputs: Values; failures: Failure[] } => {
  const { failures } = checkInputs("pulumi:providers:aws", CONFIGURATION, news);
  return { inputs: news, failures };
};

export interface DiffResult {
  changes: Change[];
  replaces: string[];
  deleteBeforeReplace: boolean;
}

/** Type token and logical name of a URN, `urn:pulumi:<stack>::<project>::<parents$type>::<name>`. */
export function parseUrn(urn: string): { token: string; name: string } {
  const [, , types = "", ...name] = urn.split("::");
  return { token: types.split("$").at(-1) ?? "", name: name.join("::") };
}

export class Provider {
  #aws: Aws | undefined;
  readonly #stop = new AbortController();

  configure(values: Values): void {
    const region = values.region ?? process.env.AWS_REGION;
    if (typeof region !== "string" || region === "")
      throw new Error(
        "the sandbox's aws provider needs a region: set aws:region in the stack's config, or AWS_REGION",
      );
    this.#aws = connect(region, process.env.AWS_ENDPOINT_URL);
  }

  /** Gives up every wait: what was begun stays in the state as begun. */
  cancel(): void {
    this.#stop.abort();
  }

  #context(timeoutSeconds = 0): Context {
    if (!this.#aws) throw new Error("the sandbox's aws provider was used before it was configured");
    const seconds = timeoutSeconds > 0 ? timeoutSeconds : DEFAULT_TIMEOUT_SECONDS;
    const patience = {
      timeoutSeconds: seconds,
      deadline: Date.now() + seconds * 1000,
      signal: this.#stop.signal,
    };
    return { aws: this.#aws, patience };
  }

  check(urn: string, olds: Values, news: Values, seed: Uint8Array): { inputs: Values; failures: Failure[] } {
    const { token, name } = parseUrn(urn);
    const type = resourceType(token);
    const checked = checkInputs(token, type.inputs, news);
    if (!type.nameProperty) return checked;
    return { ...checked, inputs: withName(checked.inputs, type.nameProperty, olds, name, seed) };
  }

  diff(urn: string, oldInputs: Values, olds: Values, news: Values): DiffResult {
    const type = resourceType(parseUrn(urn).token);
    const changes = diffInputs(type.inputs, oldInputs, olds, news);
    if (type.spoilt?.(olds)) changes.push({ path: "status", kind: "update", replaces: true });
    const replaces = changes.filter((c) => c.replaces).map((c) => c.path);
    const { nameProperty } = type;
    // A fixed name cannot exist twice, so the old object goes first; the real provider decides the same way.
    const nameStays =
      nameProperty !== undefined && !isAutonamed(news, nameProperty) && !replaces.includes(nameProperty);
    return { changes, replaces, deleteBeforeReplace: replaces.length > 0 && nameStays };
  }

  /** What a create will give, as far as a preview can know. */
  previewCreate(urn: string, inputs: Values): Values {
    const type = resourceType(parseUrn(urn).token);
    return { ...Object.fromEntries(type.outputs.map((name) => [name, UNKNOWN])), ...withoutDefaults(inputs) };
  }

  previewUpdate(urn: string, oldInputs: Values, olds: Values, news: Values): Values {
    const type = resourceType(parseUrn(urn).token);
    const state: Values = { ...olds };
    for (const [name, property] of Object.entries(type.inputs)) {
      const [old, now] = [olds[name], news[name]];
      if (now !== undefined)
        state[name] = isRecord(now) && isRecord(old) && property.kind === "object" ? { ...old, ...now } : now;
      else if (!property.computed) Reflect.deleteProperty(state, name);
    }
    const unknown =
      type.changesOutputs?.(changedIn(diffInputs(type.inputs, oldInputs, olds, news)), news) ?? [];
    for (const name of unknown) if (news[name] === undefined) state[name] = UNKNOWN;
    return state;
  }

  async create(urn: string, inputs: Values, timeoutSeconds: number): Promise<{ id: string; state: Values }> {
    const { token, name } = parseUrn(urn);
    const type = resourceType(token);
    const context = this.#context(timeoutSeconds);
    let made: string | undefined;
    try {
      const id = await type.create({ ...context, created: (id) => (made = id) }, inputs);
      return { id, state: await this.#stateAfter(type, context, id, inputs) };
    } catch (error) {
      const message = explain("creating", token, name, error);
      if (made === undefined) throw new Error(message, { cause: error });
      throw new PartialFailure(message, made, await this.#stateOrInputs(type, context, made, inputs));
    }
  }

  /** The live state and the inputs that would lead to it, or undefined when the object is gone. */
  async read(
    urn: string,
    id: string,
    oldInputs: Values,
  ): Promise<{ id: string; state: Values; inputs: Values } | undefined> {
    const { token, name } = parseUrn(urn);
    const type = resourceType(token);
    const context = this.#context();
    try {
      const found = await type.read(context, id);
      if (!found) return undefined;
      const state = { ...kept(type, oldInputs), ...defined(found), id, region: context.aws.region };
      return { id, state, inputs: inputsFrom(type, state, oldInputs) };
    } catch (error) {
      throw new Error(explain("reading", token, name, error), { cause: error });
    }
  }

  async update(
    urn: string,
    id: string,
    oldInputs: Values,
    olds: Values,
    news: Values,
    timeoutSeconds: number,
  ): Promise<Values> {
    const { token, name } = parseUrn(urn);
    const type = resourceType(token);
    const context = this.#context(timeoutSeconds);
    const changed = changedIn(diffInputs(type.inputs, oldInputs, olds, news));
    try {
      await type.update(context, id, { olds, news, changed });
      return await this.#stateAfter(type, context, id, news);
    } catch (error) {
      throw new PartialFailure(
        explain("updating", token, name, error),
        id,
        await this.#stateOrInputs(type, context, id, news),
      );
    }
  }

  async delete(urn: string, id: string, inputs: Values, timeoutSeconds: number): Promise<void> {
    const { token, name } = parseUrn(urn);
    try {
      await resourceType(token).delete(this.#context(timeoutSeconds), id, inputs);
    } catch (error) {
      throw new Error(explain("deleting", token, name, error), { cause: error });
    }
  }

  async invoke(token: string, args: Values): Promise<{ result: Values; failures: Failure[] }> {
    const { inputs, call } = functionType(token);
    const checked = checkInputs(token, inputs, args);
    if (checked.failures.length > 0) return { result: {}, failures: checked.failures };
    try {
      return { result: defined(await call(this.#context(), checked.inputs)), failures: [] };
    } catch (error) {
      throw new Error(explain("calling", token, JSON.stringify(args), error), { cause: error });
    }
  }

  async #stateAfter(type: ResourceType, context: Context, id: string, inputs: Values): Promise<Values> {
    const found = await type.read(context, id);
    if (!found) throw new Error(`${id} cannot be found right after it was written`);
    return { ...kept(type, inputs), ...defined(found), id, region: context.aws.region };
  }

  /** For the report of a failure: what the cloud has now, or, if even that cannot be read, what was asked for. */
  async #stateOrInputs(type: ResourceType, context: Context, id: string, inputs: Values): Promise<Values> {
    try {
      return await this.#stateAfter(type, context, id, inputs);
    } catch (error) {
      console.error(explain("reading back", type.token, id, error));
      return { ...withoutDefaults(inputs), id, region: context.aws.region };
    }
  }
}

const changedIn =
  (changes: readonly Change[]) =>
  (...names: string[]): boolean =>
    changes.some((c) => names.includes(c.path.split(".")[0] ?? ""));

const defined = (values: Values): Values =>
  Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined));

const withoutDefaults = ({ __defaults: _, ...inputs }: Values): Values => inputs;

const kept = (type: ResourceType, inputs: Values): Values =>
  Object.fromEntries(Object.entries(inputs).filter(([name]) => type.inputs[name]?.keep));

/**
 * Inputs that describe the state. After an import (no earlier inputs): all that the cloud tells, the name counting as
 * given by the program. After a refresh: those the program gave, and others only where they are not the cloud's to fill.
 */
function inputsFrom(type: ResourceType, state: Values, oldInputs: Values): Values {
  const imported = Object.keys(oldInputs).length === 0;
  const inputs: Values = { __defaults: imported ? [] : (oldInputs.__defaults ?? []) };
  for (const [name, property] of Object.entries(type.inputs)) {
    const value = property.keep ? (oldInputs[name] ?? property.fallback) : state[name];
    if (value === undefined) continue;
    if (imported || oldInputs[name] !== undefined || !property.computed) inputs[name] = value;
  }
  return inputs;
}
