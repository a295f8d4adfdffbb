import type { Node, Pod } from "../cluster/types.ts";
import type { RolloutConfig } from "../config/index.ts";
import { TAINT_HANDOVER } from "../names.ts";
import { nodeOrder } from "../order.ts";
import { controllerOf } from "../picture.ts";
import { isTerminating, isWorkload, judgePod, podName } from "../pods.ts";
import { isBlue, isGreen, isReady, zoneOf } from "../target.ts";
import { type Green, greenNodes, type GreenQuestion, type Shape } from "./green-nodes.ts";
import { notJudged } from "./not-judged.ts";
import { objectKey, withObjects } from "./overlay.ts";
import { attempt, type Attempt, type Move, type Rooms, type Stranded } from "./packing.ts";
import { Placement } from "./placement.ts";
import { type Replacement, replacementOf } from "./replacement.ts";
import { allocatableOf } from "./requests.ts";
import type { PodView, Room } from "./room.ts";

export interface FitQuestion extends GreenQuestion {
  config: RolloutConfig;
}

export interface Fit {
  /** Pods that found no node. */
  stranded: Stranded[];
  /** How many green nodes there were, and how many others that take pods. */
  green: number;
  others: number;
  /** They find room only under this assumption. */
  only?: "mixed" | "atMost";
  /** Pods of which something is not judged, and what. */
  unknown: { pod: Pod; why: string[] }[];
  /** What had to be assumed of green. */
  notes: string[];
}

/**
 * Empties the blue nodes onto green, in thought: node by node in the order of the drain, blue closed to new pods as in a handover, its
 * nodes still counted as domains of spread constraints. Other nodes of the cluster take pods, too, where green has no place.
 *
 * Before a pod is said not to fit, several ways are tried: each pod on the green node that stands in for its blue one; the fullest
 * green node first; all pods at once, those that found no place before and those with most constraints first. Packing is a heuristic
 * all the same. Pods of negative priority make room (the scheduler ends them for others) and are not asked where they go; no other
 * preemption is assumed. Pods that wait for a node already take no room.
 */
export function simulate(question: FitQuestion): Fit {
  const first = simulateOn(question, { shape: "smallest", atMost: false });
  if (first.stranded.length === 0) return first;
  if (unlike(question.blue)) {
    const mixed = simulateOn(question, { shape: "mixed", atMost: false });
    if (mixed.stranded.length === 0) return { ...first, stranded: [], only: "mixed" };
  }
  return first;
}

/** Would all pods find room if the groups grew to their maximum? */
export const fitsAtMost = (question: FitQuestion): boolean =>
  simulateOn(question, { shape: "mixed", atMost: true }).stranded.length === 0;

const unlike = (nodes: readonly Node[]): boolean =>
  new Set(
    nodes.map(({ status }) =>
      JSON.stringify([status?.allocatable?.["memory"], status?.allocatable?.["cpu"]]),
    ),
  ).size > 1;

function simulateOn(question: FitQuestion, shape: Shape): Fit {
  const green = greenNodes(question, shape);
  const { moving, unknown } = movingPods(question);
  const { placement, rooms, moves } = arrange(question, green, moving);
  return {
    stranded: best(question, placement, rooms, moves),
    green: rooms.green.length,
    others: rooms.others.length,
    unknown,
    notes: green.notes,
  };
}

interface Moving {
  pod: Pod;
  replacement: Replacement;
}

/** Pods that will be made anew elsewhere. One without a controller is not; the replacement of one that ends already is on its way. */
function movingPods({ picture, blue, config }: FitQuestion): { moving: Moving[]; unknown: Fit["unknown"] } {
  const moving: Moving[] = [];
  const unknown: Fit["unknown"] = [];
  for (const node of blue) {
    for (const pod of picture.podsOn(node.metadata.name)) {
      if (!isWorkload(pod) || isTerminating(pod) || controllerOf(pod) === undefined) continue;
      if (judgePod(pod, config.drain).action === "excluded" || (pod.spec?.priority ?? 0) < 0) continue;
      const replacement = replacementOf(pod, picture);
      const left = notJudged(replacement.pod, picture);
      const why = [...left.map(({ text }) => text), ...replacement.notes];
      if (why.length > 0) unknown.push({ pod, why });
      if (!left.some(({ whole }) => whole)) moving.push({ pod, replacement });
    }
  }
  return { moving, unknown };
}

function arrange(
  question: FitQuestion,
  green: Green,
  moving: readonly Moving[],
): { placement: Placement; rooms: Rooms; moves: Move[] } {
  const { picture, target, blue } = question;
  const others = picture.all("Node").filter((node) => !isBlue(target, node) && !isGreen(target, node));
  const closed = blue.map(closedNode);
  const csi = new Map(
    green.nodes.flatMap(({ node, csi }) => (csi ? [[objectKey(node.metadata.name), csi] as const] : [])),
  );
  const claims = new Map(moving.flatMap(({ replacement }) => [...replacement.claims]));
  const planned = withObjects(picture, { CSINode: csi, PersistentVolumeClaim: claims });
  const ahead = new Map(green.nodes.map(({ node, pods }) => [node.metadata.name, pods]));
  const keeps = ({ spec }: Pod): boolean => (spec?.priority ?? 0) >= 0;
  const nodes = [...green.nodes.map(({ node }) => node), ...others, ...closed];
  const podsOn = (name: string): Pod[] => [...picture.podsOn(name).filter(keeps), ...(ahead.get(name) ?? [])];
  const placement = new Placement(nodes, podsOn, planned);

  const roomsOf = (list: readonly Node[]): Room[] =>
    list.flatMap(({ metadata }) => placement.room(metadata.name) ?? []);
  const rooms = {
    green: roomsOf(green.nodes.map(({ node }) => node)),
    others: roomsOf(others.filter((node) => isReady(node) && node.spec?.unschedulable !== true)),
    twin: twins(roomsOf(closed), roomsOf(green.nodes.map(({ node }) => node))),
  };
  const moves = moving.flatMap(({ pod, replacement }) => {
    const from = placement.room(pod.spec?.nodeName ?? "");
    return from === undefined
      ? []
      : [{ old: placement.view(pod), new: placement.view(replacement.pod), from }];
  });
  return { placement, rooms, moves };
}

/** As the handover closes them: tainted from the beginning, cordoned one after the other. */
const closedNode = (node: Node): Node => ({
  ...node,
  spec: {
    ...node.spec,
    unschedulable: true,
    taints: [
      ...(node.spec?.taints ?? []).filter(({ key }) => key !== TAINT_HANDOVER),
      { key: TAINT_HANDOVER, effect: "NoSchedule" },
    ],
  },
});

/** Zone by zone, each blue node with a green one, the largest with the largest. */
function twins(blue: readonly Room[], green: readonly Room[]): Map<Room, Room> {
  const largestFirst = (rooms: readonly Room[]): Room[] =>
    rooms
      .map((room) => ({ room, memory: allocatableOf(room.node).get("memory") ?? 0 }))
      .toSorted((a, b) => b.memory - a.memory || a.room.name.localeCompare(b.room.name))
      .map(({ room }) => room);
  const free = Map.groupBy(largestFirst(green), ({ node }) => zoneOf(node));
  const found = new Map<Room, Room>();
  for (const room of largestFirst(blue)) {
    const twin = free.get(zoneOf(room.node))?.shift();
    if (twin !== undefined) found.set(room, twin);
  }
  return found;
}

/** The attempt that leaves the fewest pods without a node. */
function best(
  { picture, blue, config }: FitQuestion,
  placement: Placement,
  rooms: Rooms,
  moves: readonly Move[],
): Stranded[] {
  const byNode = Map.groupBy(moves, ({ from }) => from.name);
  const order = nodeOrder({ inventory: picture, config }, blue).map(({ node }) => node.metadata.name);
  const inTurn = order.map((name) => (byNode.get(name) ?? []).toSorted(bySize));
  let found = attempt(placement, rooms, { batches: inTurn, choose: "twin" });
  const others: (() => Attempt)[] = [
    () => ({ batches: inTurn, choose: "fullest" }),
    () => ({ batches: [hardestFirst(moves, found)], choose: "fullest" }),
    () => ({ batches: [hardestFirst(moves, found)], choose: "twin" }),
  ];
  for (const next of others) {
    if (found.length === 0) break;
    const again = attempt(placement, rooms, next());
    if (again.length < found.length) found = again;
  }
  return found.toSorted((a, b) => byName(a.move, b.move));
}

const byName = (a: Move, b: Move): number => podName(a.old.pod).localeCompare(podName(b.old.pod));
const weight = ({ requests }: PodView): number =>
  (requests.get("cpu") ?? 0) / 1000 + (requests.get("memory") ?? 0) / 2 ** 32;
const bySize = (a: Move, b: Move): number =>
  (b.new.pod.spec?.priority ?? 0) - (a.new.pod.spec?.priority ?? 0) ||
  weight(b.new) - weight(a.new) ||
  byName(a, b);

function hardestFirst(moves: readonly Move[], stranded: readonly Stranded[]): Move[] {
  const lost = new Set(stranded.map(({ move }) => move));
  const rank = (move: Move): number => (lost.has(move) ? 8 : 0) + constraints(move.new);
  return moves.toSorted((a, b) => rank(b) - rank(a) || bySize(a, b));
}

/** How many kinds of rule limit where a pod may go. */
function constraints({ pod, ports, antiAffinity }: PodView): number {
  const { affinity, nodeSelector, volumes, topologySpreadConstraints } = pod.spec ?? {};
  return [
    ports.length > 0,
    antiAffinity.length > 0,
    (affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).length > 0,
    affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution !== undefined ||
      nodeSelector !== undefined,
    volumes?.some((it) => it.persistentVolumeClaim !== undefined || it.ephemeral !== undefined) === true,
    topologySpreadConstraints?.some((it) => it.whenUnsatisfiable === "DoNotSchedule") === true,
  ].filter(Boolean).length;
}
