import type { Node, Pod } from "../cluster/types.ts";
import { TAINT_HANDOVER } from "../names.ts";
import type { Picture } from "../picture.ts";
import { isReady } from "../target.ts";
import { fits } from "./fits.ts";
import { withObjects } from "./overlay.ts";
import { Placement } from "./placement.ts";
import { replacementOf } from "./replacement.ts";

/** A pod that would find no node, and the commonest reason. */
export interface NoWayBack {
  pod: Pod;
  why: string;
}

/**
 * Which of these pods would find no node if these nodes took none any more? Asked before a rollback closes green: a pod that waits for a
 * node needs one on blue then. One after the other, without moving anybody else; what is not judged counts as fitting.
 * @param closing nodes that are to be closed @param pods that wait for a node
 * @param onto the nodes that one of them may go to, and then what is not judged counts as not fitting: nobody has to move yet
 */
export function noWayBack(
  picture: Picture,
  closing: readonly Node[],
  pods: readonly Pod[],
  onto?: ReadonlySet<string>,
): NoWayBack[] {
  const closed = new Set(closing.map(({ metadata }) => metadata.name));
  const nodes = picture.all("Node").map((node) => (closed.has(node.metadata.name) ? closedNode(node) : node));
  const open = nodes.filter(
    (node) =>
      !closed.has(node.metadata.name) &&
      (onto?.has(node.metadata.name) ?? true) &&
      isReady(node) &&
      node.spec?.unschedulable !== true,
  );
  const replacements = pods.map((pod) => ({ pod, replacement: replacementOf(pod, picture) }));
  const claims = new Map(replacements.flatMap(({ replacement }) => [...replacement.claims]));
  const going = new Set(pods.map(({ metadata }) => metadata.uid));
  const podsOn = (node: string): Pod[] =>
    picture.podsOn(node).filter(({ metadata }) => !going.has(metadata.uid));
  const placement = new Placement(nodes, podsOn, withObjects(picture, { PersistentVolumeClaim: claims }));
  const stranded: NoWayBack[] = [];
  for (const { pod, replacement } of replacements) {
    const stops: string[] = [];
    const found = open.find((node) => {
      const verdict = fits(replacement.pod, node, placement);
      if (verdict.fits === "no") stops.push(verdict.stop.what);
      else if (verdict.fits === "unknown")
        stops.push(`are not known to have room: ${verdict.why.join("; ")}`);
      return onto === undefined
        ? verdict.fits !== "no"
        : verdict.fits === "yes" && replacement.notes.length === 0;
    });
    const room = found && placement.room(found.metadata.name);
    if (room === undefined) stranded.push({ pod, why: replacement.notes[0] ?? commonest(stops) });
    else placement.add(placement.view(replacement.pod), room);
  }
  return stranded;
}

const closedNode = (node: Node): Node => ({
  ...node,
  spec: {
    ...node.spec,
    taints: [
      ...(node.spec?.taints ?? []).filter(({ key }) => key !== TAINT_HANDOVER),
      { key: TAINT_HANDOVER, effect: "NoSchedule" },
    ],
  },
});

function commonest(stops: readonly string[]): string {
  const [first] = [...Map.groupBy(stops, (what) => what)].toSorted(([, a], [, b]) => b.length - a.length);
  return first === undefined ? "no other node is open" : `${first[1].length} of the open nodes ${first[0]}`;
}
