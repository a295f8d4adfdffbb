import type { Kinds, Node, Pod, PodSpec, Resources } from "../../../../rollout/cluster/types.ts";
import { fits, type Verdict } from "../../../../rollout/fit/fits.ts";
import { Placement } from "../../../../rollout/fit/placement.ts";
import { FixedPicture, type PictureKind, type Unread } from "../../../../rollout/picture.ts";

/** Small objects for tables of scheduling rules. */

export type Lists = { [K in PictureKind]?: Kinds[K][] };

export const nodeAt = (
  name: string,
  change: {
    zone?: string;
    labels?: Record<string, string>;
    spec?: Node["spec"];
    allocatable?: Record<string, string>;
  } = {},
): Node => ({
  metadata: {
    name,
    uid: `uid-${name}`,
    labels: {
      "kubernetes.io/hostname": name,
      "topology.kubernetes.io/zone": change.zone ?? "us-east-1a",
      ...change.labels,
    },
  },
  spec: change.spec ?? {},
  status: { allocatable: { cpu: "4", memory: "8Gi", pods: "10", ...change.allocatable } },
});

export const podWith = (
  name: string,
  spec: PodSpec & { requests?: Resources["requests"] } = {},
  metadata: Partial<Pod["metadata"]> = {},
): Pod => {
  const { requests, ...rest } = spec;
  return {
    metadata: { name, namespace: "shop", uid: `uid-${name}`, labels: { app: "web" }, ...metadata },
    spec: {
      containers: [{ name: "main", ...(requests === undefined ? {} : { resources: { requests } }) }],
      ...rest,
    },
  };
};

export const on = (node: string, pod: Pod): Pod => ({ ...pod, spec: { ...pod.spec, nodeName: node } });

export function placementOf(lists: Lists, unread: Unread[] = []): Placement {
  const picture = new FixedPicture(lists, unread);
  return new Placement(lists.Node ?? [], (name) => picture.podsOn(name), picture);
}

/** What is said of the pod on each node: "yes", or the phrase of the rule that stops it. */
export function said(pod: Pod, lists: Lists): Record<string, string> {
  const placement = placementOf(lists);
  return Object.fromEntries(
    (lists.Node ?? []).map((node) => [node.metadata.name, textOf(fits(pod, node, placement))]),
  );
}

export const textOf = (verdict: Verdict): string =>
  verdict.fits === "yes"
    ? "yes"
    : verdict.fits === "no"
      ? verdict.stop.what
      : `unknown: ${verdict.why.join("; ")}`;
