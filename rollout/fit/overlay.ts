import type { Kinds } from "../cluster/types.ts";
import type { Picture, PictureKind } from "../picture.ts";

/** A picture in which some objects are replaced or added, by name. Lists are the picture's own. */
export function withObjects(
  picture: Picture,
  objects: Partial<{ [K in PictureKind]: ReadonlyMap<string, Kinds[K]> }>,
): Picture {
  return {
    all: (kind) => picture.all(kind),
    get: <K extends PictureKind>(kind: K, name: string, namespace?: string) => {
      const replaced: ReadonlyMap<string, Kinds[K]> | undefined = objects[kind];
      return replaced?.get(objectKey(name, namespace)) ?? picture.get(kind, name, namespace);
    },
    podsOn: (node) => picture.podsOn(node),
    podsOf: (uid) => picture.podsOf(uid),
    podsIn: (namespace) => picture.podsIn(namespace),
    budgetsOf: (pod) => picture.budgetsOf(pod),
    unread: picture.unread,
  };
}

export const objectKey = (name: string, namespace?: string): string => `${namespace ?? ""}/${name}`;
