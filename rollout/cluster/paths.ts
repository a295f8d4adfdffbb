import type { Selection } from "./cluster.ts";
import { RESOURCES, type Kind } from "./types.ts";

/** Path of a collection, or with a name of one object. Without a namespace: the collection of all namespaces. */
export function resourcePath(kind: Kind, namespace?: string, name?: string): string {
  const { path, plural, namespaced } = RESOURCES[kind];
  if (namespaced && name !== undefined && !namespace) throw new Error(`${kind} ${name} needs a namespace`);
  const within = namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${path}${within}/${plural}${name === undefined ? "" : `/${encodeURIComponent(name)}`}`;
}

/** apiVersion and kind, as a write must carry them. */
export function typeOf(kind: Kind): { apiVersion: string; kind: string } {
  return { apiVersion: RESOURCES[kind].path.replace(/^\/apis?\//, ""), kind };
}

export function selectionQuery({ labelSelector, fieldSelector }: Selection): URLSearchParams {
  const query = new URLSearchParams();
  if (labelSelector) query.set("labelSelector", labelSelector);
  if (fieldSelector) query.set("fieldSelector", fieldSelector);
  return query;
}
