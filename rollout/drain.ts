import { announce } from "./alert.ts";
import { Balancers } from "./balancers.ts";
import { cordon } from "./close.ts";
import type { Node, Pod } from "./cluster/types.ts";
import { checkDeadlines, checkResumed, checkShort, checkVolumes, endIsOver } from "./deadlines.ts";
import { Hold, messageOf } from "./errors.ts";
import { Evictor } from "./evictor.ts";
import { count } from "./finding.ts";
import { aboutPod } from "./in-the-way.ts";
import { graceOf, type Mover, type NodeDrain, placeOf } from "./mover.ts";
import { DEFAULTS, EVENT } from "./names.ts";
import { byName, isFinished, isPodReady, isTerminating, judgePod, podName, workloadPodsOn } from "./pods.ts";
import { handoverTaint } from "./ownership.ts";
import { mayAct, type Run } from "./run.ts";
import { homesOf, type NodeRecord, type RunRecord } from "./run-state.ts";
import { Turns } from "./turns.ts";
import { notHandedOver } from "./volumes.ts";
import { counts, isWhole, replicas, whyNotWhole, type Workload, workloadOf, workloadsOf } from "./whole.ts";

const REMIND_SECONDS = 60;
/** Watches are renewed every 20 s and give up on a silent connection after 30 s (cluster/watch.ts): beyond this nobody knows. */
const STALE_SECONDS = 60;
/** Nodes that are cordoned side by side. */
const NODES_AT_ONCE = 10;

/** A drain that goes the other way: chosen pods return to blue (way-back.ts). */
export interface Return {
  /** Which of these pods, which are about to be evicted, would find no room there, and why. By UID. */
  staysAway(pods: readonly Pod[]): ReadonlyMap<string, string>;
  /** Is told of each pod that is left where it is. */
  keep(pod: Pod, why: string): void;
}

/**
 * Empties nodes through the Eviction API, in the semantics of `kubectl drain`, and knows when the workloads are whole again.
 * The nodes of a wave are in hand together; earlier ones may still be waiting for old pods to finish their grace period.
 * Decides by the inventory, acts through the API, keeps no truth of its own that a restart would lose.
 */
export class Drainer {
  private readonly run: Run;
  private readonly nodes = new Map<string, NodeDrain>();
  private readonly evictor: Evictor;
  private readonly balancers: Balancers;
  /** Which workloads are whole, in the present pass: pods of one workload are on many nodes of a wave. */
  private readonly wholeNow = new Map<string, boolean>();
  /** UIDs of pods that go last and whose turn has come. */
  private readonly turned = new Set<string>();
  private remindedAt = 0;
  /** By node: the UIDs of the controllers whose pods an earlier run had in hand there. */
  private readonly earlierOwners: ReadonlyMap<string, Set<string>>;
  /** Namespaces that are being deleted: nothing of theirs comes back, though their controllers may stand for minutes. */
  private readonly ending = new Set<string>();
  /** By UID of such a controller: since when it is whole but for its volumes. */
  private readonly leftSince = new Map<string, number>();

  private readonly wayBack: Return | undefined;

  /** @param wayBack where pods return to blue */
  constructor(run: Run, wayBack?: Return) {
    this.run = run;
    this.wayBack = wayBack;
    const { nodes } = run.state.record;
    this.earlierOwners = new Map(Object.entries(nodes).map(([name, { owners }]) => [name, new Set(owners)]));
    this.evictor = new Evictor(run, () => this.movers());
    this.balancers = new Balancers(run);
  }

  private *movers(): Generator<Mover> {
    for (const { movers } of this.nodes.values()) yield* movers.values();
  }

  /** UIDs of workloads with a pod that has yet to go or to come back: it has deadlines of its own. */
  private moving(): Set<string> {
    const moving = new Set<string>();
    for (const { arrived, workload } of this.movers())
      if (!arrived && workload !== undefined) moving.add(workload.uid);
    return moving;
  }

  /** Workloads that this node's drain has moved, in this run or one that it resumes; the health window watches them. */
  workloadsMovedFrom(node: string): Workload[] {
    const movers = [...(this.nodes.get(node)?.movers.values() ?? [])];
    const resumed = this.nodes.get(node)?.resumed ?? this.resumedWorkloads(node);
    const workloads = [...movers.flatMap(({ workload }) => workload ?? []), ...resumed];
    return [...new Map(workloads.map((workload) => [workload.uid, workload])).values()];
  }

  /** Records the intent, then cordons the nodes of a wave. Nothing is evicted yet. */
  async begin(nodes: readonly Node[]): Promise<void> {
    const { run } = this;
    const podsOf = new Map<string, Pod[]>();
    for (const { metadata } of nodes)
      podsOf.set(
        metadata.name,
        workloadPodsOn(run.inventory, metadata.name).filter((pod) => movesWithItsNode(run, pod)),
      );
    const resumed = new Map([...podsOf.keys()].map((name) => [name, this.resumedWorkloads(name)]));
    const earlier = run.state.record.nodes;
    await this.intend(podsOf);
    for (let at = 0; at < nodes.length; at += NODES_AT_ONCE) {
      await allOf(
        nodes.slice(at, at + NODES_AT_ONCE).map(async (node) => {
          const { name, uid } = node.metadata;
          const pods = podsOf.get(name) ?? [];
          await cordon(run, node);
          this.nodes.set(name, inHand(name, run.clock.now(), earlier[name]?.moved, resumed.get(name)));
          await announce(run, {
            event: "node-start",
            reason: EVENT.draining,
            object: { kind: "Node", name, uid },
            message: `Node ${name} is being drained for pool ${run.target.pool}: ${count(pods.length, "pod")} to move to generation ${run.target.generation}.`,
            fields: { node: name, pods: pods.map(podName) },
          });
        }),
      );
    }
  }

  /** Records the intent to move these pods, their nodes staying as they are: see canary.ts. The next pass asks for them. */
  async beginCanary(pods: readonly Pod[]): Promise<void> {
    const byNode = Map.groupBy(pods, ({ spec }) => spec?.nodeName ?? "");
    await this.intend(byNode);
    const now = this.run.clock.now();
    for (const [name, chosen] of byNode) {
      const canary = new Set(chosen.map(({ metadata }) => metadata.uid));
      this.nodes.set(name, { ...inHand(name, now), canary });
    }
  }

  /** The same for pods that return to blue, those that go last among them: their node stays closed to new pods, and is not cordoned. */
  async beginReturn(pods: readonly Pod[]): Promise<void> {
    for (const { metadata } of pods) this.turned.add(metadata.uid);
    await this.beginCanary(pods);
  }

  /** The canary's pods have moved: their nodes' own turns are still to come. */
  endCanary(): void {
    for (const [name, { canary }] of this.nodes) if (canary !== undefined) this.nodes.delete(name);
  }

  /** What is going to be evicted, and whose it is: written before anything is. */
  private async intend(podsOf: ReadonlyMap<string, readonly Pod[]>): Promise<void> {
    const { run } = this;
    const records: Record<string, NodeRecord> = {};
    for (const [name, pods] of podsOf) {
      const earlier = run.state.record.nodes[name];
      const ours = pods.filter((pod) => !isTerminating(pod)); // others go by somebody else's hand
      records[name] = {
        phase: "in-hand",
        moved: [...new Set([...(earlier?.moved ?? []), ...ours.map(({ metadata }) => metadata.uid)])],
        owners: [
          ...new Set([...(earlier?.owners ?? []), ...pods.flatMap((pod) => workloadOf(pod)?.uid ?? [])]),
        ],
      };
    }
    mayAct(run);
    await run.state.saveNodes(records, this.homes([...podsOf.values()].flat()));
  }

  /** What a rollback needs to know of pods that are about to be moved, where they are to return. */
  private homes(pods: readonly Pod[]): Pick<RunRecord, "homes"> {
    const { config, state } = this.run;
    if (config.rollback.workloads !== "return" || this.wayBack !== undefined) return {};
    return { homes: homesOf(state.record, pods) };
  }

  /** The run was at rest: what has a deadline has so much longer. Milliseconds. */
  stoodStill(milliseconds: number): void {
    if (milliseconds === 0) return;
    for (const drain of this.nodes.values()) {
      for (const [uid, since] of drain.shortSince) drain.shortSince.set(uid, since + milliseconds);
      for (const mover of drain.movers.values()) {
        mover.waitingSince += milliseconds;
        if (mover.evictedAt !== undefined && mover.goneAt === undefined) mover.evictedAt += milliseconds;
        if (mover.goneAt !== undefined && !mover.arrived) mover.goneAt += milliseconds;
        if (mover.boundAt !== undefined && !mover.arrived) mover.boundAt += milliseconds;
      }
    }
  }

  /** Pods that came after the node's turn had begun are recorded, too, before they are asked. */
  private async intendLate(drain: NodeDrain): Promise<void> {
    const moved = new Set(this.run.state.record.nodes[drain.node]?.moved);
    const late = [...drain.movers.values()].filter(
      ({ pod, evictedAt }) => evictedAt === undefined && !moved.has(pod.metadata.uid),
    );
    if (late.length > 0) await this.intend(new Map([[drain.node, late.map(({ pod }) => pod)]]));
  }

  isMoved(node: string): boolean {
    return this.nodes.get(node)?.moved ?? false;
  }

  isDrained(node: string): boolean {
    return this.nodes.get(node)?.drained ?? false;
  }

  allDrained(): boolean {
    return [...this.nodes.values()].every(({ drained }) => drained);
  }

  /** No node waits for pods that the selector leaves out. */
  allTold(): boolean {
    return [...this.nodes.values()].every(({ drained, waits }) => drained && !waits);
  }

  /** A pod that goes last and has not had its turn; the nodes' in the order of their drains. */
  nextLast(): Pod | undefined {
    for (const drain of this.nodes.values()) {
      const [next] = this.waitingOn(drain);
      if (next !== undefined) return next;
    }
    return undefined;
  }

  /** Pods of a node that go last and have not had their turn. */
  private waitingOn({ node, last }: NodeDrain): Pod[] {
    return workloadPodsOn(this.run.inventory, node).filter(
      ({ metadata: { uid } }) => last.has(uid) && !this.turned.has(uid),
    );
  }

  /** Records the intent to move a pod that goes last. The next pass asks for it. @returns its workload, for the health window */
  async beginLast(pod: Pod): Promise<Workload[]> {
    const { run } = this;
    const { uid } = pod.metadata;
    const drain = this.nodes.get(pod.spec?.nodeName ?? "");
    if (drain === undefined) throw new Error(`${placeOf(pod)}: its node is not being drained`);
    const workload = workloadOf(pod);
    const earlier = run.state.record.nodes[drain.node];
    mayAct(run);
    const record: NodeRecord = {
      phase: "in-hand",
      moved: [...new Set([...(earlier?.moved ?? []), uid])],
      owners: workload === undefined ? [] : [workload.uid],
    };
    await run.state.saveNodes({ [drain.node]: record }, this.homes([pod]));
    this.turned.add(uid);
    drain.moved = false;
    drain.drained = drain.waits = false;
    run.log.info(
      "order",
      `${placeOf(pod)} is next: rollout.drain.podSelector leaves it out, so it is moved alone`,
      { pod: podName(pod), uid, node: drain.node },
    );
    return workload === undefined ? [] : [workload];
  }

  /** Workload pods on the node that the operator's selector left out: the node cannot be called drained. */
  excludedOn(node: string): Pod[] {
    const { inventory, config } = this.run;
    return workloadPodsOn(inventory, node).filter((pod) => judgePod(pod, config.drain).action === "excluded");
  }

  /**
   * One look at the cluster and what follows from it: evictions that may be asked now, movers that have arrived, nodes that are
   * done. @throws Hold when something could not move in time.
   */
  async pass(): Promise<void> {
    this.wholeNow.clear();
    this.recovered();
    const ready: NodeDrain[] = [];
    for (const drain of this.nodes.values()) {
      if (drain.drained && !drain.waits) {
        await this.keepCordoned(drain);
        continue;
      }
      if (await this.lost(drain)) continue;
      await this.keepCordoned(drain);
      const known = drain.movers.size;
      this.notice(drain);
      if (drain.movers.size > known) await this.intendLate(drain);
      ready.push(drain);
    }
    if (this.inventoryIsFresh() && !this.evictor.isResting()) {
      const turns = new Turns(this.run, this.movers(), {
        whole: (workload, pod) =>
          (this.whole(workload) || this.lacksOnly(workload, pod)) && !this.leftBehind(workload),
        sick: ({ pod }) => this.wayBack !== undefined && !isPodReady(pod),
        paid: (workload) => this.paid(workload),
      });
      const all = ready.flatMap(({ movers }) => [...movers.values()]);
      const ask = this.withRoom((this.wayBack ? sickFirst(all) : all).filter((mover) => turns.take(mover)));
      await this.evictor.askAll(ask);
      if (ask.length > 0) this.wholeNow.clear(); // those that have just gone no longer count
    }
    await this.balancers.look();
    const moving = this.moving();
    for (const drain of this.nodes.values())
      if (!drain.drained || drain.waits) await this.follow(drain, moving);
    this.remind();
  }

  /**
   * On the way back: those that would find room on blue. While others are on their way nobody knows what room will be left, so they wait;
   * one that does not fit then is left where it is.
   */
  private withRoom(ask: Mover[]): Mover[] {
    const { wayBack, run } = this;
    if (wayBack === undefined || ask.length === 0) return ask;
    if ([...this.movers()].some((mover) => this.isOnItsWay(mover))) {
      for (const mover of ask) mover.waitingSince = run.clock.now();
      return [];
    }
    const away = wayBack.staysAway(ask.map(({ pod }) => pod));
    return ask.filter(({ pod }) => {
      const { uid } = pod.metadata;
      const why = away.get(uid);
      if (why === undefined) return true;
      wayBack.keep(pod, why);
      run.log.warning("rollback", `${placeOf(pod)} stays where it is: blue has no room for it (${why})`, {
        pod: podName(pod),
        uid,
      });
      for (const drain of this.nodes.values())
        if (drain.movers.delete(uid))
          drain.canary = new Set([...(drain.canary ?? [])].filter((it) => it !== uid));
      return false;
    });
  }

  /** On the way back: is this very pod, which is not well on green, what its workload waits for? */
  private lacksOnly(workload: Workload, pod: Pod): boolean {
    if (this.wayBack === undefined || isPodReady(pod)) return false;
    const { inventory, state, cluster } = this.run;
    const { wanted = 0, ready } = replicas(inventory, workload, this.evictor.evicted, cluster.serverTime());
    return ready + 1 + Math.max(0, state.record.missingBefore[workload.uid] ?? 0) >= wanted;
  }

  /** Evicted, and its successor has no node yet: it may take room that looks free. */
  private isOnItsWay({ workload, evictedAt, arrived, pod }: Mover): boolean {
    if (workload === undefined || evictedAt === undefined || arrived) return false;
    const { inventory, cluster } = this.run;
    const gone = new Set([...this.evictor.evicted, pod.metadata.uid]);
    const { wanted } = replicas(inventory, workload, gone, cluster.serverTime());
    const placed = inventory
      .podsOf(workload.uid)
      .filter(
        (it) => it.spec?.nodeName && !gone.has(it.metadata.uid) && !isFinished(it) && !isTerminating(it),
      );
    return wanted === undefined || placed.length < wanted;
  }

  /** What a workload lacked before, and has got since, it may not lack again by our hand. */
  private recovered(): void {
    const { inventory, state, cluster } = this.run;
    const { missingBefore } = state.record;
    for (const workload of workloadsOf(inventory, new Set(Object.keys(missingBefore)))) {
      const missing = missingBefore[workload.uid] ?? 0;
      if (missing <= 0) continue;
      const { wanted = 0, ready } = replicas(inventory, workload, this.evictor.evicted, cluster.serverTime());
      if (wanted - ready < missing) missingBefore[workload.uid] = Math.max(0, wanted - ready);
    }
  }

  /** Evictions are decided by the watches: while one of them is silent nothing is asked, and the movers' deadlines run. */
  private inventoryIsFresh(): boolean {
    const { run } = this;
    const age = run.clock.now() - run.inventory.syncedAt();
    if (age <= STALE_SECONDS * 1000) return true;
    run.log.warning(
      "evict-refused",
      `the watches have been silent for ${Math.round(age / 1000)} s: nothing is evicted until the API server is heard again`,
    );
    return false;
  }

  /** The pods that have to leave the node, as they appear. */
  private notice(drain: NodeDrain): void {
    const { run } = this;
    const now = run.clock.now();
    const candidates = workloadPodsOn(run.inventory, drain.node)
      .filter(({ metadata }) => drain.canary?.has(metadata.uid) ?? true)
      .toSorted((a, b) => (a.spec?.priority ?? 0) - (b.spec?.priority ?? 0) || byName(a, b));
    for (const pod of candidates) {
      const known = drain.movers.get(pod.metadata.uid);
      if (known) {
        known.pod = pod;
        known.graceSeconds = Math.max(known.graceSeconds, graceOf(pod));
        continue;
      }
      const verdict = judgePod(pod, run.config.drain);
      if (verdict.action === "excluded" || verdict.action === "ignore") continue;
      if (verdict.action === "refuse") {
        throw new Hold(
          `Pod ${podName(pod)} on node ${drain.node} came after pre-flight and may not be evicted: ${verdict.why}. To go on: ${verdict.fix}`,
          { about: aboutPod(pod) },
        );
      }
      const { uid } = pod.metadata;
      // seen late may mean that we were slow, and bound late that clocks differ: both together are somebody's doing
      const quiet = drain.cordonedAt + (DEFAULTS.quietSeconds + 2) * 1000;
      const late = now > quiet && boundAt(pod, now) > quiet;
      const mayStay = isTerminating(pod) || drain.last.has(uid);
      if ((late || this.bounced(drain, pod)) && !mayStay) {
        throw new Hold(
          `Pod ${podName(pod)} was started on node ${drain.node} although the node is cordoned: it tolerates every taint, or something binds it by name. ` +
            `To go on: take the toleration or spec.nodeName away from its controller, or leave it to yourself with rollout.drain.podSelector and rollout.drain.excludedPods: hold.`,
          { about: aboutPod(pod) },
        );
      }
      if (verdict.last) {
        drain.last.add(uid);
        if (!this.turned.has(uid)) continue;
      }
      drain.moved = false;
      const gone = isTerminating(pod); // somebody else's deletion: nothing to ask, but to be waited for
      drain.movers.set(pod.metadata.uid, {
        pod,
        workload: workloadOf(pod),
        noticedAt: now,
        waitingSince: now,
        graceSeconds: graceOf(pod),
        askedAt: 0,
        nextAt: now,
        refusal: undefined,
        refusedByBudget: false,
        evictedAt: gone ? now : undefined,
        byUs: false,
        goneAt: undefined,
        arrived: false,
      });
    }
  }

  /** Has it got back what an earlier handover took away? */
  private paid(workload: Workload): boolean {
    const { inventory, state, cluster } = this.run;
    const { owed = {} } = state.record;
    if (owed[workload.uid] === undefined) return true;
    if (!isWhole(inventory, workload, owed, this.evictor.evicted, cluster.serverTime())) return false;
    delete owed[workload.uid];
    return true;
  }

  private whole(workload: Workload): boolean {
    if (this.ending.has(workload.namespace)) return true;
    const known = this.wholeNow.get(workload.uid);
    if (known !== undefined) return known;
    const { inventory, state, cluster } = this.run;
    const { evicted } = this.evictor;
    const whole = isWhole(inventory, workload, state.record.missingBefore, evicted, cluster.serverTime());
    this.wholeNow.set(workload.uid, whole);
    return whole;
  }

  /**
   * It stands in for a pod that was evicted from this very node, and all of blue is closed to new pods: to evict this one as well would
   * go on for ever. (Others that appear here just after the cordon were bound before the scheduler knew of it.)
   */
  private bounced(drain: NodeDrain, pod: Pod): boolean {
    const node = this.run.inventory.get("Node", drain.node);
    const workload = workloadOf(pod);
    if (workload === undefined || node === undefined || handoverTaint(node)?.effect !== "NoSchedule")
      return false;
    const made = Date.parse(pod.metadata.creationTimestamp ?? ""); // whole seconds
    return [...drain.movers.values()].some(
      (mover) =>
        mover.workload?.uid === workload.uid &&
        mover.byUs &&
        Math.floor((mover.evictedAt ?? Infinity) / 1000) * 1000 <= made,
    );
  }

  /**
   * What has become of the movers of a node; whether the node is done; whether a deadline has passed.
   * @param moving see moving()
   */
  private async follow(drain: NodeDrain, moving: ReadonlySet<string>): Promise<void> {
    const { run } = this;
    const now = run.clock.now();
    for (const mover of drain.movers.values()) {
      if (mover.arrived && mover.goneAt !== undefined) continue; // what happens to it from here on is not our doing
      this.seeIfGone(mover, now);
      this.seeIfArrived(mover, drain);
      const volumesMissing = this.volumesMissing(mover, drain);
      const { name, namespace } = mover.pod.metadata;
      const bound = run.inventory.get("Pod", name, namespace)?.spec?.nodeName !== undefined;
      if (bound && mover.goneAt !== undefined) mover.boundAt ??= now;
      if (volumesMissing !== undefined && bound) mover.volumesMissingAt = now;
      if (endIsOver(run, mover, now)) await this.askIfGone(mover, now);
      await this.holdOr(mover.workload, () =>
        checkDeadlines(run, mover, now, {
          whole: this.isBack(mover),
          volumesMissing,
          leftBehind: () => mover.workload && this.leftBehind(mover.workload),
        }),
      );
    }
    const movers = [...drain.movers.values()];
    const quietSince = now - drain.cordonedAt >= DEFAULTS.quietSeconds * 1000;
    for (const it of drain.resumed) {
      if (!this.whole(it)) continue;
      const missing = this.leftBehind(it, drain.node);
      if (missing === undefined) {
        this.earlierOwners.get(drain.node)?.delete(it.uid); // handed over once: what moves it from here on has deadlines of its own
        continue;
      }
      const since = this.leftSince.get(it.uid) ?? now;
      this.leftSince.set(it.uid, since);
      checkVolumes(run, missing, since, now);
    }
    const resumed = drain.resumed.filter((it) => !this.whole(it) || this.leftBehind(it, drain.node));
    // its deadline is for coming back once: what moves it afterwards, from other nodes, has deadlines of its own
    for (const it of drain.resumed) if (!resumed.includes(it)) drain.back.add(it.uid);
    // one whose pods this run moves, too, has the deadlines of those pods: it may be in hand for as long as it has pods here
    const left = resumed.find(
      (it) =>
        !this.whole(it) &&
        !drain.back.has(it.uid) &&
        !movers.some(({ workload }) => workload?.uid === it.uid),
    );
    if (left !== undefined) await this.holdOr(left, () => checkResumed(run, left, drain, now));
    // whole once, and short again by somebody else's hand: nothing of ours is on its way any more that could have a deadline
    const short = [
      ...resumed.filter(({ uid }) => drain.back.has(uid)),
      ...movers.flatMap((it) => (it.arrived && !this.isStillWhole(it) ? (it.workload ?? []) : [])),
    ].filter(({ uid }) => !moving.has(uid));
    drain.shortSince = new Map(short.map(({ uid }) => [uid, drain.shortSince.get(uid) ?? now]));
    for (const it of short) await this.holdOr(it, () => checkShort(run, it, drain, now));
    const moved = resumed.length === 0 && movers.every((mover) => mover.arrived && this.isStillWhole(mover));
    if (moved && !drain.moved) {
      drain.moved = true;
      run.log.info(
        "node-moved",
        `${drain.node}: ${count(movers.length, "pod")} moved, every workload is whole`,
        {
          node: drain.node,
        },
      );
    }
    if (drain.canary !== undefined) return; // the rest of the node's pods stay for now
    if (!moved || !quietSince || movers.some(({ goneAt }) => goneAt === undefined)) return;
    if (this.balancers.waitingFor(drain.node) !== undefined) return;
    drain.drained = true;
    const excluded = this.excludedOn(drain.node);
    const waiting = this.waitingOn(drain);
    const known = drain.waits;
    drain.waits = excluded.length + waiting.length > 0;
    if (drain.waits) {
      if (known) return;
      const pods = [...waiting, ...excluded];
      const then = excluded.length > 0 ? "they are left to you" : "last, one at a time";
      run.log.info(
        "node-moved",
        `${drain.node}: all is moved but ${count(pods.length, "pod")} that rollout.drain.podSelector leaves out: ${then}`,
        { node: drain.node, pods: pods.map(podName) },
      );
      return;
    }
    const record = run.state.record.nodes[drain.node];
    const foreign = new Set(
      movers
        .filter(({ byUs, pod: { metadata } }) => !byUs && !drain.earlier.has(metadata.uid))
        .map(({ pod }) => pod.metadata.uid),
    );
    await run.state.saveNode(drain.node, {
      owners: run.config.health.windowSeconds > 0 ? (record?.owners ?? []) : [],
      moved: (record?.moved ?? []).filter((uid) => !foreign.has(uid)),
      phase: "drained",
    });
    const seconds = Math.round((now - drain.cordonedAt) / 1000);
    await announce(run, {
      event: "node-drained",
      reason: EVENT.drained,
      object: { kind: "Node", name: drain.node },
      message:
        `Node ${drain.node} is drained: ${count(movers.length - foreign.size, "pod")} moved in ${seconds} s, no budget was broken.` +
        (foreign.size > 0 ? ` ${count(foreign.size, "pod")} went by somebody else's hand.` : ""),
      fields: { node: drain.node, pods: movers.length - foreign.size, foreign: foreign.size, seconds },
    });
  }

  /** Controllers whose pods an interrupted run, or the canary, had evicted from this node. */
  private resumedWorkloads(node: string): Workload[] {
    const { inventory, state } = this.run;
    const owners = state.record.nodes[node]?.owners ?? [];
    return owners.length === 0 ? [] : workloadsOf(inventory, new Set(owners));
  }

  /** A node counts as moved only while what it gave up is there: a Job, or an operator's pods, make their own progress. */
  private isStillWhole({ workload }: Mover): boolean {
    const { kind } = workload ?? {};
    return (
      workload === undefined || (kind !== "ReplicaSet" && kind !== "StatefulSet") || this.whole(workload)
    );
  }

  private seeIfGone(mover: Mover, now: number): void {
    if (mover.goneAt !== undefined) return;
    const { name, namespace, uid } = mover.pod.metadata;
    const current = this.run.inventory.get("Pod", name, namespace);
    // finished but still terminating: a finalizer holds the object, and with it a StatefulSet's name
    if (current?.metadata.uid === uid && (isTerminating(current) || !isFinished(current))) return;
    this.gone(mover, now);
  }

  private gone(mover: Mover, now: number): void {
    mover.goneAt = now;
    mover.evictedAt ??= now; // it went by itself, or by somebody else's hand
    this.run.log.info("pod-gone", `${podName(mover.pod)} has left ${mover.pod.spec?.nodeName}`, {
      pod: podName(mover.pod),
      uid: mover.pod.metadata.uid,
      node: mover.pod.spec?.nodeName,
    });
  }

  /** Nobody is blamed on the watch's word alone: one that has fallen behind shows a pod that has long gone. */
  private async askIfGone(mover: Mover, now: number): Promise<void> {
    const { run } = this;
    const { name, namespace, uid } = mover.pod.metadata;
    try {
      const named = { namespace: namespace ?? "default", fieldSelector: `metadata.name=${name}` };
      const found = await run.cluster.list("Pod", named); // a list, for which a role has the right already
      if (found.some(({ metadata }) => metadata.uid === uid)) return;
    } catch (error) {
      run.log.warning("pod-gone", `whether ${podName(mover.pod)} has gone: ${messageOf(error)}`);
      return;
    }
    this.gone(mover, now);
  }

  /**
   * A deadline of a workload, unless its namespace is being deleted: Kubernetes ends the pods first, and the controllers up to half their
   * grace periods later. Asked only when a deadline has passed. @throws Hold
   */
  private async holdOr(workload: Workload | undefined, check: () => void): Promise<void> {
    try {
      check();
    } catch (error) {
      if (workload === undefined || this.ending.has(workload.namespace)) throw error;
      const { cluster, log } = this.run;
      const named = { fieldSelector: `metadata.name=${workload.namespace}` };
      const [found] = await cluster.list("Namespace", named).catch(() => []);
      if (found?.metadata.deletionTimestamp === undefined) throw error;
      this.ending.add(workload.namespace);
      this.wholeNow.clear();
      log.warning(
        "foreign",
        `Namespace ${workload.namespace} is being deleted: ${workload.kind} ${workload.name} is no longer waited for`,
      );
    }
  }

  private isBack(mover: Mover): boolean {
    const { workload } = mover;
    if (workload === undefined || this.ending.has(workload.namespace)) return true;
    return this.whole(workload) && (workload.kind !== "StatefulSet" || this.succeeded(mover, workload));
  }

  private seeIfArrived(mover: Mover, drain: NodeDrain): void {
    if (mover.arrived || mover.evictedAt === undefined) return;
    const { workload } = mover;
    if (workload?.kind === "StatefulSet" && mover.goneAt === undefined) return; // same name: its successor cannot be there yet
    if (workload === undefined && mover.goneAt === undefined) return;
    if (!this.isBack(mover)) return;
    if (workload?.kind === "StatefulSet" && this.volumesMissing(mover, drain) !== undefined) return;
    mover.arrived = true;
    this.run.log.info(
      "pod-moved",
      `${podName(mover.pod)} is replaced; ${workload ? `${workload.kind} ${workload.name} is whole` : "it had no controller"}`,
      {
        pod: podName(mover.pod),
        uid: mover.pod.metadata.uid,
        node: drain.node,
        ...(workload && {
          workload: { kind: workload.kind, namespace: workload.namespace, name: workload.name },
        }),
        ...(mover.volumesMissingAt !== undefined &&
          mover.goneAt !== undefined && { volumeSeconds: (mover.volumesMissingAt - mover.goneAt) / 1000 }),
      },
    );
  }

  /**
   * A StatefulSet's pod is back when the pod of its own name has been Ready for `minReadySeconds`: a sibling that recovers meanwhile does
   * not count in its place. Nothing is to come when the set is gone or shrank.
   */
  private succeeded(mover: Mover, workload: Workload): boolean {
    const { inventory, cluster } = this.run;
    const { name, namespace, uid } = mover.pod.metadata;
    const successor = inventory.get("Pod", name, namespace);
    const set = inventory.get("StatefulSet", workload.name, workload.namespace);
    const minReady = set?.spec?.minReadySeconds ?? 0;
    const ready = successor !== undefined && counts(successor, minReady, cluster.serverTime());
    if (ready && successor.metadata.uid !== uid) return true;
    if (set?.metadata.uid !== workload.uid) return true;
    const ends = (set.spec?.ordinals?.start ?? 0) + (set.spec?.replicas ?? 1);
    return Number(name.slice(name.lastIndexOf("-") + 1)) >= ends;
  }

  private volumesMissing(mover: Mover, drain: NodeDrain): string | undefined {
    const { inventory } = this.run;
    const { name, namespace, uid } = mover.pod.metadata;
    const successor = inventory.get("Pod", name, namespace);
    if (successor === undefined || successor.metadata.uid === uid) return undefined; // scaled down: nothing takes the volume over
    return notHandedOver(inventory, successor, drain.node);
  }

  /**
   * A volume of a StatefulSet that an earlier run had in hand which is not handed over yet, though all of its pods are Ready: the run that
   * evicted its pod did not live to see it. @param from off this node; undefined: off any
   */
  private leftBehind(workload: Workload, from?: string): string | undefined {
    if (workload.kind !== "StatefulSet") return undefined;
    const { inventory } = this.run;
    for (const [node, owners] of this.earlierOwners) {
      if (!owners.has(workload.uid) || (from !== undefined && from !== node)) continue;
      for (const pod of inventory.podsOf(workload.uid)) {
        const missing = isPodReady(pod) ? notHandedOver(inventory, pod, node) : undefined;
        if (missing !== undefined) return missing;
      }
    }
    return undefined;
  }

  /** A node that vanished in mid-drain: not our doing, and nothing left to evict there. */
  private async lost(drain: NodeDrain): Promise<boolean> {
    const { run } = this;
    if (run.inventory.get("Node", drain.node) !== undefined) return false;
    const waiting = [...drain.movers.values()].filter(({ arrived }) => !arrived);
    for (const mover of waiting) mover.evictedAt ??= run.clock.now();
    if (!drain.vanished) {
      drain.vanished = true;
      await announce(run, {
        event: "foreign",
        reason: EVENT.drained,
        object: { kind: "Node", name: drain.node },
        message: `Node ${drain.node} vanished while it was being drained (spot reclaim, failure, or somebody's hand): its ${waiting.length} pods were not moved by PatchGuard; waiting until their workloads are whole.`,
        warning: true,
      });
    }
    await this.follow(drain, this.moving());
    return true;
  }

  private async keepCordoned(drain: NodeDrain): Promise<void> {
    const { run } = this;
    const node = run.inventory.get("Node", drain.node);
    if (drain.canary !== undefined) return;
    // the watch needs a moment to show our own write
    const settled = run.clock.now() - (drain.recordonedAt ?? drain.cordonedAt) > 1000;
    if (node === undefined || !settled || node.spec?.unschedulable === true) return;
    // a watch that has fallen behind does not show our cordon yet: nobody is accused before the API server was asked
    const current = await run.cluster.get("Node", drain.node);
    if (current === undefined || current.spec?.unschedulable === true) return;
    const object = { kind: "Node", name: drain.node, uid: node.metadata.uid };
    if (drain.recordonedAt !== undefined) {
      throw new Hold(
        `Node ${drain.node} was uncordoned by somebody else twice while it was being drained. To go on: find out who (an operator, an autoscaler), then run \`pulumi up\` again.`,
        { about: { object, node: drain.node } },
      );
    }
    drain.recordonedAt = run.clock.now();
    await announce(run, {
      event: "foreign",
      reason: EVENT.draining,
      object,
      message: `Node ${drain.node} was uncordoned by somebody else in mid-drain; PatchGuard cordons it once more. A second time it holds.`,
      warning: true,
    });
    await cordon(run, node);
    drain.recordonedAt = run.clock.now();
  }

  /** Once a minute: who is still waiting for what. */
  private remind(): void {
    const { run } = this;
    const now = run.clock.now();
    if (now - this.remindedAt < REMIND_SECONDS * 1000) return;
    const first = this.remindedAt === 0;
    this.remindedAt = now;
    if (first) return;
    const waiting = [...this.nodes.values()]
      .flatMap(({ movers }) => [...movers.values()])
      .filter(({ arrived }) => !arrived);
    for (const mover of waiting.slice(0, 5)) {
      const what =
        mover.refusal ??
        (mover.workload ? whyNotWhole(run.inventory, mover.workload) : "it is still terminating");
      run.log.warning("evict-refused", `still waiting for ${podName(mover.pod)}: ${what}`, {
        pod: podName(mover.pod),
      });
    }
    for (const { node, moved, drained } of this.nodes.values()) {
      const what = moved && !drained ? this.balancers.waitingFor(node) : undefined;
      if (what !== undefined) run.log.info("node-moved", `still waiting for node ${node}: ${what}`, { node });
    }
  }
}

/** Pods that serve nobody go first: what they make room for in a budget, others may use. */
const sickFirst = (movers: readonly Mover[]): Mover[] =>
  movers.toSorted((a, b) => Number(isPodReady(a.pod)) - Number(isPodReady(b.pod)));

/** When it was bound, as far as the cluster says; a pod without a scheduler is bound when it is made. */
const boundAt = ({ metadata, status }: Pod, now: number): number => {
  const bound = status?.conditions?.find(({ type, status }) => type === "PodScheduled" && status === "True");
  const at = Date.parse(bound?.lastTransitionTime ?? metadata.creationTimestamp ?? "");
  return Number.isNaN(at) ? now : at;
};

const inHand = (
  node: string,
  now: number,
  earlier: readonly string[] = [],
  resumed: Workload[] = [],
): NodeDrain => ({
  node,
  cordonedAt: now,
  recordonedAt: undefined,
  vanished: false,
  movers: new Map(),
  canary: undefined,
  back: new Set(),
  shortSince: new Map(),
  earlier: new Set(earlier),
  resumed,
  last: new Set(),
  moved: false,
  drained: false,
  waits: false,
});

/** Waits for the end of all, also where one fails. @throws what the first that failed has thrown. */
async function allOf(acts: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(acts);
  await Promise.all(acts);
}

/** Not one that is left to the operator, nor one that goes last. */
function movesWithItsNode({ config }: Run, pod: Pod): boolean {
  const verdict = judgePod(pod, config.drain);
  return verdict.action !== "excluded" && !(verdict.action === "evict" && verdict.last);
}
