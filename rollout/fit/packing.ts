import type { Placement } from "./placement.ts";
import { Candidate } from "./fits.ts";
import type { PodView, Room } from "./room.ts";
import type { Stop } from "./stop.ts";

/** A pod that moves: where it stands, and what will be made in its place. */
export interface Move {
  old: PodView;
  new: PodView;
  from: Room;
}

/** A replacement that found no node, judged at the moment when it looked for one. */
export interface Stranded {
  move: Move;
  /** Its way of being placed then. */
  stops: { green: Stop[]; others: Stop[] };
  /** It would find a node if no spread constraint counted closed nodes. */
  deadlock: boolean;
}

/** Where pods may go: green first, other nodes where green has no place. */
export interface Rooms {
  green: readonly Room[];
  others: readonly Room[];
  /** The green node that stands in for a blue one: a pod is tried there first. */
  twin: ReadonlyMap<Room, Room>;
}

/** A way to try: nodes one after the other or all at once, and which green node is taken of those that are possible. */
export interface Attempt {
  batches: readonly (readonly Move[])[];
  choose: "twin" | "fullest";
}

/**
 * Places the replacements batch by batch: the old pods of a batch are taken away, then its new ones placed, the biggest first. The
 * placement is as before when this returns.
 *
 * Packing is a heuristic: that a pod found no node in one attempt does not prove that there is none for it.
 */
export function attempt(placement: Placement, rooms: Rooms, { batches, choose }: Attempt): Stranded[] {
  const removed: Move[] = [];
  const placed: PodView[] = [];
  const stranded: Stranded[] = [];
  for (const batch of batches) {
    for (const move of batch) {
      placement.remove(move.old);
      removed.push(move);
    }
    // a pod that has to be near another waits until that one has found its node
    for (let waiting = batch, before = Infinity; waiting.length < before;) {
      before = waiting.length;
      waiting = waiting.filter((move) => {
        const room = find(new Candidate(move.new, placement), move, rooms, choose);
        if (room === undefined) return true;
        placement.add(move.new, room);
        placed.push(move.new);
        return false;
      });
      if (waiting.length < before && waiting.length > 0) continue;
      stranded.push(...waiting.map((move) => whyNot(move, rooms, placement)));
    }
  }
  for (const view of placed) placement.remove(view);
  for (const { old, from } of removed) placement.add(old, from);
  return stranded;
}

function find(
  candidate: Candidate,
  { from }: Move,
  rooms: Rooms,
  choose: Attempt["choose"],
): Room | undefined {
  const twin = choose === "twin" ? rooms.twin.get(from) : undefined;
  if (twin !== undefined && candidate.stopAt(twin) === undefined) return twin;
  return fullest(candidate, rooms.green) ?? rooms.others.find((room) => candidate.stopAt(room) === undefined);
}

/** Of the rooms that take the pod, the one that has least left: large gaps stay for large pods. */
function fullest(candidate: Candidate, rooms: readonly Room[]): Room | undefined {
  let best: Room | undefined;
  let least = Infinity;
  for (const room of rooms) {
    const left = leftIn(room);
    if (left < least && candidate.hasRoom(room) && candidate.stopAt(room) === undefined) {
      best = room;
      least = left;
    }
  }
  return best;
}

/** A CPU and 4 GiB weigh the same. */
const leftIn = ({ free }: Room): number =>
  (free.get("cpu") ?? 0) / 1000 + (free.get("memory") ?? 0) / 2 ** 32;

function whyNot(move: Move, { green, others }: Rooms, placement: Placement): Stranded {
  const candidate = new Candidate(move.new, placement);
  const stopsAt = (rooms: readonly Room[]): Stop[] => rooms.flatMap((room) => candidate.stopAt(room) ?? []);
  const stops = { green: stopsAt(green), others: stopsAt(others) };
  const spread = stops.green.some(({ rule }) => rule === "spread");
  return {
    move,
    stops,
    deadlock: spread && wouldFitIfTaintsWereHonored(candidate, [...green, ...others], placement),
  };
}

function wouldFitIfTaintsWereHonored(
  { view }: Candidate,
  rooms: readonly Room[],
  placement: Placement,
): boolean {
  const constraints = view.pod.spec?.topologySpreadConstraints ?? [];
  const pod = {
    ...view.pod,
    spec: {
      ...view.pod.spec,
      topologySpreadConstraints: constraints.map((it) => ({ ...it, nodeTaintsPolicy: "Honor" })),
    },
  };
  const candidate = new Candidate(placement.view(pod), placement);
  return rooms.some((room) => candidate.stopAt(room) === undefined);
}
