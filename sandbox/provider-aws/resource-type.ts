/** What one file under types/ provides for one resource type. */
import type { Aws } from "./aws.ts";
import type { Fields, Values } from "./schema.ts";
import type { Patience } from "./wait.ts";

export interface Context {
  aws: Aws;
  patience: Patience;
}

export interface Creation extends Context {
  /** To be called as soon as the object exists: if create fails after that, the resource stays in the state with this id. */
  created: (id: string) => void;
}

export interface Update {
  olds: Values;
  news: Values;
  /** Whether the property of this name, or one below it, changes. */
  changed: (...names: string[]) => boolean;
}

export interface ResourceType {
  token: string;
  inputs: Fields;
  /** The input that holds the physical name, made up from the logical one where the program leaves it out. */
  nameProperty?: string;
  /** Outputs that are no inputs: unknown in the preview of a create. */
  outputs: readonly string[];
  /** Outputs an update may change, given the changed paths: unknown in its preview. */
  changesOutputs?(changed: (...names: string[]) => boolean, news: Values): readonly string[];
  /** A reason to replace the resource whatever the inputs say (a creation that failed). */
  spoilt?(state: Values): string | undefined;
  create(context: Creation, inputs: Values): Promise<string>;
  /** The state by the SDK's names, or undefined when the object is gone. `id` may be an import id. */
  read(context: Context, id: string): Promise<(Values & { id?: string }) | undefined>;
  update(context: Context, id: string, update: Update): Promise<void>;
  /** Done when the object is gone; no error when it already is. */
  delete(context: Context, id: string, inputs: Values): Promise<void>;
}

export interface FunctionType {
  token: string;
  inputs: Fields;
  call: (context: Context, inputs: Values) => Promise<Values>;
}
