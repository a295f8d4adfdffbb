import type { Kinds, KubeObject } from "../../../rollout/cluster/types.ts";
import type { PictureKind } from "../../../rollout/picture.ts";
import { NOW } from "./defaults.ts";
import { merge } from "./merge.ts";

/** Every kind's objects, keyed by namespace and name. */
export class Objects {
  private readonly kinds = new Map<string, Map<string, KubeObject>>();
  readonly clock = { now: () => NOW };

  all<K extends PictureKind>(kind: K): Kinds[K][] {
    return [...(this.kinds.get(kind)?.values() ?? [])] as unknown as Kinds[K][];
  }
  get<K extends PictureKind>(kind: K, name: string, namespace?: string): Kinds[K] | undefined {
    return this.kinds.get(kind)?.get(`${namespace ?? ""}/${name}`) as Kinds[K] | undefined;
  }
  /** What the scenario says of an object stands; what it leaves out comes from here. */
  add(kind: string, object: KubeObject): void {
    const key = `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
    const known = this.kinds.get(kind) ?? new Map<string, KubeObject>();
    this.kinds.set(kind, known.set(key, merge(object, known.get(key))));
  }
}
