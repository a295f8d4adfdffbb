import type { Node, Pod } from "../cluster/types.ts";
import type { Picture } from "../picture.ts";
import { notJudged } from "./not-judged.ts";
import { stopAtNode } from "./node-rules.ts";
import { type AffinityState, stopByAffinity } from "./pod-affinity.ts";
import type { Placement } from "./placement.ts";
import { portsClash, portText } from "./ports.ts";
import type { PodView, Room } from "./room.ts";
import { type SpreadState, stopBySpread } from "./spread.ts";
import type { Stop } from "./stop.ts";
import { type PodVolumes, stopByConflict, stopByTopology, volumesOfPod } from "./volumes.ts";

/** `unknown`: nothing that is judged stops the pod, but not all that the scheduler asks is judged. */
export type Verdict = { fits: "yes" } | { fits: "no"; stop: Stop } | { fits: "unknown"; why: string[] };

/**
 * Would kube-scheduler (1.34, default profile) let this pod onto this node? `placement` is where all pods are now; the pod itself is not
 * among them. Preemption is not judged: a pod that would get its room by ending others counts as one that does not fit.
 * @throws Error when the node is not of the placement.
 */
export function fits(pod: Pod, node: Node, placement: Placement): Verdict {
  const room = placement.room(node.metadata.name);
  if (room === undefined) throw new Error(`node ${node.metadata.name} is not part of the placement`);
  const why = notJudged(pod, placement.picture);
  if (why.some(({ whole }) => whole)) return { fits: "unknown", why: why.map(({ text }) => text) };
  const stop = new Candidate(placement.view(pod), placement).stopAt(room);
  if (stop !== undefined) return { fits: "no", stop };
  return why.length === 0 ? { fits: "yes" } : { fits: "unknown", why: why.map(({ text }) => text) };
}

/**
 * A pod that looks for a node: what of it is the same for all nodes is worked out once. Good until the placement changes by pods with
 * anti-affinity that nobody had before: make a new one for each pod to be placed.
 */
export class Candidate {
  readonly view: PodView;
  private readonly placement: Placement;
  private readonly picture: Picture;
  private readonly verdicts: (Stop | null | undefined)[];
  private readonly affinity: AffinityState;
  private readonly spread: readonly SpreadState[];
  private readonly volumes: PodVolumes | undefined;
  private readonly everywhere: Stop | undefined;

  constructor(view: PodView, placement: Placement) {
    this.view = view;
    this.placement = placement;
    this.picture = placement.picture;
    this.verdicts = verdictsOf(view.pod, placement);
    this.affinity = placement.affinityOf(view);
    this.spread = placement.spreadOf(view);
    this.volumes =
      (view.pod.spec?.volumes ?? []).length === 0 ? undefined : volumesOfPod(view.pod, placement.picture);
    this.everywhere = this.stopEverywhere();
  }

  private stopEverywhere(): Stop | undefined {
    const gates = this.view.pod.spec?.schedulingGates ?? [];
    if (gates.length > 0)
      return {
        rule: "scheduling-gate",
        what: `held by scheduling gate ${gates.map(({ name }) => name).join(", ")}`,
      };
    const taken = this.volumes?.exclusive.find((claim) => this.placement.uses(claim));
    if (taken !== undefined)
      return { rule: "volume-in-use", what: `claim ${taken} is ReadWriteOncePod and another pod uses it` };
    return this.volumes?.stop;
  }

  /** The first rule that keeps the pod off the node, in the scheduler's order; undefined when it may go there. */
  stopAt(room: Room): Stop | undefined {
    return (
      this.everywhere ??
      this.byNode(room) ??
      this.byPorts(room) ??
      this.byRoom(room) ??
      this.byVolumes(room) ??
      stopBySpread(this.spread, room) ??
      stopByAffinity(this.affinity, room)
    );
  }

  /** The cheapest part of `stopAt`: is there room at all? */
  hasRoom({ freePods, free }: Room): boolean {
    if (freePods < 1) return false;
    for (const [resource, needs] of this.view.requests) if (needs > (free.get(resource) ?? 0)) return false;
    return true;
  }

  private byNode({ index, node }: Room): Stop | undefined {
    let verdict = this.verdicts[index];
    if (verdict === undefined) this.verdicts[index] = verdict = stopAtNode(this.view.pod, node) ?? null;
    return verdict ?? undefined;
  }

  private byPorts(room: Room): Stop | undefined {
    if (this.view.ports.length === 0 || room.ports.length === 0) return undefined;
    const clash = this.view.ports.find((mine) => room.ports.some((theirs) => portsClash(mine, theirs)));
    return clash && { rule: "host-port", what: `host port ${portText(clash)} in use` };
  }

  private byRoom({ freePods, free }: Room): Stop | undefined {
    if (freePods < 1) return { rule: "pods", what: "too many pods" };
    for (const [resource, needs] of this.view.requests) {
      const has = free.get(resource) ?? 0;
      if (needs > has)
        return { rule: "resources", what: `insufficient ${resource}`, short: { resource, needs, free: has } };
    }
    return undefined;
  }

  private byVolumes(room: Room): Stop | undefined {
    const { volumes } = this;
    if (volumes === undefined) return undefined;
    return (
      stopByConflict(this.view.pod, podsOf(room)) ??
      this.byAttachLimit(volumes, room) ??
      stopByTopology(volumes, room.node, room.csi, this.picture)
    );
  }

  private byAttachLimit({ attachable }: PodVolumes, room: Room): Stop | undefined {
    for (const { name, allocatable } of room.csi?.spec?.drivers ?? []) {
      const limit = allocatable?.count;
      const mine = attachable.filter(({ driver }) => driver === name);
      if (limit === undefined || mine.length === 0) continue;
      const there = this.placement.attachedTo(room).get(name);
      const more = new Set(mine.map(({ handle }) => handle).filter((handle) => !there?.has(handle)));
      if (more.size > 0 && (there?.size ?? 0) + more.size > limit)
        return { rule: "attach-limit", what: `at the limit of ${limit} volumes of ${name}` };
    }
    return undefined;
  }
}

function* podsOf(room: Room): Iterable<Pod> {
  for (const { pod } of room.pods) yield pod;
}

/** Pods with the same node rules in their spec share what was found out about each node. */
function verdictsOf({ spec }: Pod, placement: Placement): (Stop | null | undefined)[] {
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const key = JSON.stringify([spec?.nodeName, spec?.nodeSelector, required, spec?.tolerations]);
  let verdicts = placement.atNode.get(key);
  if (verdicts === undefined) {
    verdicts = [];
    placement.atNode.set(key, verdicts);
  }
  return verdicts;
}
