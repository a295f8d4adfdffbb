import type { Node } from "../../rollout/cluster/types.ts";
import { leftovers } from "./aftermath.ts";
import { BLUE, type Ended, GREEN, runHandover, story } from "./handovers.ts";
import { judge, type Judgement } from "./invariants.ts";
import { MEDDLER, RIVAL, meddle, type Stage } from "./meddling.ts";
import { Random } from "./random.ts";
import { type Act, isAtZero, type Meddling, type RunPlan, type Scenario } from "./random-handover.ts";
import type { Faults } from "./session.ts";
import { isGoing, isServing } from "./workloads.ts";
import { type Client, groupsFor, world, type World } from "./world.ts";

/** How a scenario went. */
export interface Played {
  scenario: Scenario;
  on: World;
  runs: Ended[];
  /** How each run ended: `success`, `crash`, `Hold`, … */
  ends: string[];
  /** Acts of others that found something to act on while a run was under way. */
  acts: Act[];
  judgement: Judgement;
  /** Promises that were broken. Empty: all were kept. */
  problems: string[];
}

const TAINT = "patchguard.dev/handover";

/** Virtual seconds. */
const RUN_LIMIT = 3600;
const CALM_LIMIT = 120;
const SETTLE_LIMIT = 300;
/** The scenarios' rollout.drain.terminationSlackSeconds. */
const SLACK = 15;

/** Plays a scenario to its end: the runs that it plans, then, when all that stood in the way is mended, one that must succeed. */
export async function play(scenario: Scenario): Promise<Played> {
  const chance = Math.random;
  const own = new Random(scenario.seed ^ 0x1177e4);
  Math.random = () => own.next(); // the rollout's jitter: the same in every play of a seed
  try {
    return await new Play(scenario).play();
  } finally {
    Math.random = chance;
  }
}

class Play {
  private readonly scenario: Scenario;
  private readonly on: World;
  private readonly stage: Stage;
  private client: Client | undefined;
  private windows = 0;
  private seenUnready = false;
  private readonly runs: Ended[] = [];
  private readonly ends: string[] = [];
  /** Runs that were interrupted, also those that were killed while they put things back. */
  private readonly stopped = new Set<string>();
  private readonly acts: Act[] = [];
  /** All acts, also those that came when a run had ended. */
  private readonly done = new Set<Act>();
  /** The last run moved pods back. */
  private turned = false;
  private readonly problems: string[] = [];
  private readonly cancels: (() => void)[] = [];

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    this.on = world({ seed: scenario.seed, ...scenario.times });
    this.stage = {
      on: this.on,
      faults: {},
      client: () => this.client,
      stop: new AbortController(),
      cordons: new Set(),
    };
  }

  async play(): Promise<Played> {
    const { on, scenario, stage } = this;
    await build(on, scenario, stage.cordons);
    for (const meddling of scenario.meddling)
      if (meddling.act !== "restart") this.plan(meddling, meddling.atSeconds);
    for (const [i, plan] of scenario.runs.entries()) {
      await this.run(["first", "second"][i] ?? `run-${i}`, plan);
      if (!GOES_ON.includes(this.ends.at(-1) ?? "")) break;
    }
    for (const cancel of this.cancels) cancel();
    if (this.ends.at(-1) !== "success") {
      await mend(on, scenario, stage.cordons);
      await this.run("last", undefined);
      if (this.ends.at(-1) !== "success") this.problems.push("with all mended, the last run did not succeed");
    }
    const judgement = judge(on, {
      pinnedImage: GREEN.image,
      stack: "shop/prod",
      landing: new Map(
        this.runs.map(({ client: { session } }) => [
          session.name,
          this.stopped.has(session.name) ? 1 : SLACK,
        ]),
      ),
      passedAt: new Map(this.runs.map((run) => [run.client.session.name, passedAt(run)])),
    });
    this.problems.push(...judgement.violations);
    const stopped = this.runs.some(({ error }, i) => {
      const end = this.ends[i];
      // a budget that has not seen its pod go, the next of its name being there already: the API waits two minutes
      const ghost = / an eviction of \S+ is under way/.test(error?.message ?? "");
      return end !== "crash" && end !== "success" && !ghost;
    });
    if (isCalm(scenario) && stopped)
      this.problems.push(`nothing stood in the way, and it ended in ${this.ends.join(", ")}`);
    const { runs, ends, acts, problems } = this;
    return { scenario, on, runs, ends, acts, judgement, problems };
  }

  private plan({ act, pick }: Meddling, inSeconds: number): void {
    const { on, stage, acts } = this;
    this.cancels.push(
      on.clock.after(inSeconds * 1000, `${MEDDLER}: ${act}`, () => {
        if (!meddle(stage, act, pick)) return;
        this.done.add(act);
        if (this.client !== undefined) acts.push(act);
      }),
    );
  }

  /** Containers restart while somebody looks: in the first health windows. */
  private inWindow(): void {
    const next = this.scenario.meddling.filter(({ act }) => act === "restart")[this.windows++];
    if (next !== undefined) this.plan(next, 0.5);
  }

  private nowUnready(event: string): void {
    const { on, scenario } = this;
    const { at, picks = [], backSeconds } = scenario.unready ?? {};
    if (at !== event || this.seenUnready) return;
    this.seenUnready = true;
    const serving = on.workloadPods().filter(isServing);
    for (const pick of picks) {
      const pod = serving[Math.floor(pick * serving.length)];
      if (pod === undefined) continue;
      on.setReady(pod, false);
      if (backSeconds === undefined) continue;
      this.cancels.push(
        on.clock.after(backSeconds * 1000, "kubelet: Ready again", () => {
          const now = on.store.get("Pod", pod.metadata.name, pod.metadata.namespace);
          if (now?.metadata.uid === pod.metadata.uid && !isGoing(now)) on.setReady(now, true);
        }),
      );
    }
  }

  private async run(name: string, plan: RunPlan | undefined): Promise<void> {
    const { on, scenario, stage } = this;
    const faults: Faults = { ...plan?.faults };
    if (this.turned) on.turn(); // what has returned moves again, rightly
    this.turned = false;
    stage.faults = faults;
    stage.stop = new AbortController();
    const run = await runHandover(on, name, {
      rollout: plan === undefined ? withPatience(scenario.rollout) : scenario.rollout,
      groups: groupsFor("workers", GREEN.generation, scenario.zones, scenario.kind),
      signal: stage.stop.signal,
      limitSeconds: RUN_LIMIT,
      onClient: (client) => (this.client = client),
      onLine: ({ event, message }) => {
        if (plan !== undefined && this.runs.length === 0) this.nowUnready(event);
        if (event === "rollback" && message.startsWith("rolling") && returns(scenario)) {
          on.turn();
          this.turned = true;
        }
        if (plan !== undefined && event === "health" && message.startsWith("health window of"))
          this.inWindow();
      },
      ...plan,
      faults,
    });
    this.client = undefined;
    if (stage.stop.signal.aborted) this.stopped.add(name);
    const end = endOf(run);
    this.runs.push(run);
    this.ends.push(end);
    this.problems.push(
      ...(await this.wrongAfter(name, end, run)).map((it) => `after the ${name} run (${end}): ${it}`),
    );
  }

  /** What is not as it should be after a run that ended so. */
  private async wrongAfter(name: string, end: string, run: Ended): Promise<string[]> {
    const { on, scenario, acts } = this;
    const wrong: string[] = [];
    const message = run.error?.message ?? "";
    if (end === "?") return [run.error?.stack ?? message];
    if (run.error !== undefined && !["crash", "Interrupted"].includes(end) && !namesSomething(on, message))
      wrong.push(`the message names no object: ${message}`);
    wrong.push(...untrue(on, run));
    if (["failed", "Refused"].includes(end) && this.touched(name)) wrong.push("it changed nodes or groups");
    if (GOES_ON.includes(end) || end === "Refused") return wrong; // the next run finds it as it is
    await this.calm();
    const closed = end === "success" ? [BLUE.generation] : end === "Breach" ? [GREEN.generation] : [];
    if (end === "Paused") closed.push(BLUE.generation, GREEN.generation);
    const told = [
      message,
      ...run.log.filter(({ level }) => level !== "info").map((line) => line.message),
    ].join("\n");
    const found = leftovers(on, {
      closed,
      empty: end === "success" ? [BLUE.generation] : [],
      foreignCordons: [...this.stage.cordons].filter((node) => on.store.get("Node", node)),
    });
    if (end === "Breach" || end === "success")
      wrong.push(
        ...openNodes(on, end === "Breach" ? GREEN : BLUE, acts).map((node) => `node ${node} is open`),
      );
    if (end === "success") wrong.push(...balanced(on, this.done));
    const troubled = isTroubled(scenario) || TROUBLE.some((act) => this.done.has(act));
    for (const text of found) {
      if (text.startsWith("the Lease") && (told.includes("not given back") || text.endsWith(RIVAL))) continue;
      if (/^(ReplicaSet|StatefulSet|DaemonSet) /.test(text) && troubled) continue;
      if (/^group \S+ lacks nodes/.test(text) && closed.length > 0) continue;
      const subject = /^(?:node|group) (\S+) /.exec(text)?.[1];
      // what could not be put back is told, by name, or the list of it could not be had
      if (subject !== undefined && /still|not as it was/.test(told) && told.includes(subject)) continue;
      if (/putting back failed|node groups are perhaps/.test(told)) continue;
      wrong.push(text);
    }
    return wrong;
  }

  private touched(name: string): boolean {
    const { happenings, cloud } = this.on;
    const wrote = happenings.some(
      (it) => it.what === "change" && it.change.by === name && ["Node", "Pod"].includes(it.change.kind),
    );
    return wrote || cloud.changes.some(({ by }) => by === name);
  }

  /** Lets what is on its way arrive. */
  private async calm(): Promise<void> {
    for (let i = 0; i < CALM_LIMIT; i += 5) {
      await this.on.clock.pass(5);
      if (this.on.unsettled().length === 0 && i >= 5) return;
    }
  }
}

const returns = ({ rollout }: Scenario): boolean =>
  (rollout["rollback"] as { workloads?: string } | undefined)?.workloads === "return";

/** Ends after which nothing was put back: the next run goes on from there. */
const GOES_ON = ["crash", "Abandoned", "failed"];

const NAMES = ["Hold", "Breach", "Blocked", "Paused", "Interrupted", "Abandoned", "Refused"];

/** `failed`: an error of a call, before anything was begun. `not-reopened`: putting back met faults, and says what is left. */
function endOf({ outcome, error, crashed }: Ended): string {
  if (crashed) return "crash";
  if (outcome !== undefined) return "success";
  if (error === undefined) return "?";
  if (NAMES.includes(error.name)) return error.name;
  if (error.name === "NotReopened" || error instanceof AggregateError) return "not-reopened";
  return error.name === "ApiError" || error.name === "CloudError" ? "failed" : "?";
}

const passedAt = ({ log }: Ended): number | undefined => {
  const line = log.find(({ event, message }) => event === "preflight" && message.includes(" passed"));
  return line === undefined ? undefined : Date.parse(line.time);
};

/** Acts after which workloads need not be whole, without our doing. */
const TROUBLE: readonly Act[] = ["cordon", "finalizer", "scale-up", "lose-blue", "grow-blue"];

const isTroubled = ({ workloads, greenPods, crashing, unready }: Scenario): boolean =>
  greenPods < 20 || crashing !== undefined || unready !== undefined || workloads.some(({ sick }) => sick);

/** Pods that are not Ready for a while are Ready again before the pre-flight of a second run is given up. */
const returnsInTime = ({ unready, rollout }: Scenario): boolean =>
  unready === undefined ||
  (unready.backSeconds ?? Infinity) < (rollout["preflight"] as { timeoutSeconds: number }).timeoutSeconds;

/** Nothing stands in the way of a success. */
const isCalm = (scenario: Scenario): boolean =>
  !isTroubled({ ...scenario, unready: undefined }) &&
  scenario.meddling.length === 0 &&
  returnsInTime(scenario) &&
  scenario.overlapping.length === 0 &&
  scenario.runs.every(({ faults }) => Object.keys(faults).length === 0) &&
  scenario.rollout["maxDurationSeconds"] === undefined &&
  (scenario.rollout["drain"] as Record<string, unknown>)["excludedPods"] !== "hold" &&
  !scenario.workloads.some(isAtZero);

/** Nodes of the generation that a run leaves closed that take new pods. */
const openNodes = (on: World, { generation }: typeof BLUE, acts: readonly Act[]): string[] =>
  on
    .nodes(generation)
    .filter(
      ({ spec }) => !(spec?.taints ?? []).some(({ key, effect }) => key === TAINT && effect === "NoSchedule"),
    )
    .filter(() => !acts.includes("grow-blue")) // one may join at the last moment
    .map(({ metadata }) => metadata.name);

/** Does a message name an object of the world, or the call that failed? */
function namesSomething(on: World, message: string): boolean {
  if (/\b(get|list|watch|patch|create|evict|groups?|images|target|pool) \S+/.test(message)) return true;
  if ([...on.cloud.groups.keys()].some((group) => message.includes(group))) return true;
  return on.happenings.some((it) => it.what === "change" && message.includes(it.change.object.metadata.name));
}

/** Somebody else is said to have uncordoned a node, and nobody has. */
function untrue({ happenings, sessions }: World, { log, error }: Ended): string[] {
  const ours = new Set(sessions.map(({ name }) => name));
  const uncordoned = new Set(
    happenings.flatMap((it) => {
      if (it.what !== "change" || it.change.kind !== "Node" || ours.has(it.change.by)) return [];
      const [now, before] = [it.change.object as Node, it.change.old as Node | undefined];
      return before?.spec?.unschedulable && !now.spec?.unschedulable ? [now.metadata.name] : [];
    }),
  );
  return [...log.map(({ message }) => message), error?.message ?? ""]
    .filter((text) => {
      const node = /^Node (\S+) was uncordoned by somebody else/.exec(text)?.[1];
      return node !== undefined && !uncordoned.has(node);
    })
    .map((text) => `not true: ${text}`);
}

async function build(on: World, scenario: Scenario, cordons: Set<string>): Promise<void> {
  const { zones, perZone, kind } = scenario;
  for (const [i, options] of scenario.balancers.entries())
    on.cloud.loadBalancers.add(`targets-${i}`, options);
  const pool = (of: typeof BLUE, pods: number): void =>
    zones.forEach((zone, i) =>
      on.pool("workers", { ...of, kind, zones: [zone], perZone: perZone[i] ?? 1, pods }),
    );
  pool(BLUE, 20);
  for (let i = 0; i < scenario.daemons; i++) on.daemonSet(`agent-${i}`);
  await on.settled();
  for (const { kind, name, budget, sick, volumes, ...plan } of scenario.workloads) {
    const options = {
      ...plan,
      ...(budget !== undefined && { budget }),
      ...(sick && {
        readyOn: (labels: Record<string, string>) => labels["patchguard.dev/generation"] !== GREEN.generation,
      }),
    };
    if (kind === "Deployment") on.deployment(name, options);
    else on.statefulSet(name, { ...options, volumes, zones });
  }
  for (const { name, over, spec } of scenario.overlapping)
    on.budget(name, { selector: { matchLabels: { app: over } }, ...spec });
  await on.settled();
  if (scenario.foreignCordon) {
    const name = on.nodes(BLUE.generation)[0]?.metadata.name ?? "";
    on.store.patch("Node", name, undefined, { spec: { unschedulable: true } }, MEDDLER);
    cordons.add(name);
  }
  pool(GREEN, scenario.greenPods);
  await on.settled();
  if (scenario.crashing === undefined) return;
  crash(on, scenario.crashing);
  await on.clock.pass(2); // its budget has counted it
}

/** A container of one of its pods crashes, again and again. */
function crash(on: World, app: string): void {
  const pod = on.workloadPods().find(({ metadata }) => metadata.labels?.["app"] === app);
  if (pod === undefined) return;
  on.store.update(
    "Pod",
    pod,
    (draft) => {
      for (const condition of draft.status?.conditions ?? [])
        if (condition.type === "Ready") condition.status = "False";
      const [container] = draft.status?.containerStatuses ?? [];
      if (container === undefined) return;
      Object.assign(container, {
        ready: false,
        restartCount: 7,
        state: { waiting: { reason: "CrashLoopBackOff" } },
      });
    },
    "kubelet",
  );
}

/** Blue instances that load balancers still send traffic to. */
function balanced(on: World, acts: ReadonlySet<Act>): string[] {
  if (acts.has("grow-blue")) return []; // one may join at the last moment
  const blue = new Map(
    on.nodes(BLUE.generation).map((node) => [node.spec?.providerID?.split("/").at(-1), node.metadata.name]),
  );
  return [...on.cloud.loadBalancers.groups.values()].flatMap(({ name, targets }) =>
    [...targets.keys()].flatMap((id) => (blue.has(id) ? [`node ${blue.get(id)} is still in ${name}`] : [])),
  );
}

/** What an operator does who has read the message: everything that can stand in the way goes away. */
async function mend(on: World, { workloads }: Scenario, cordons: Set<string>): Promise<void> {
  const { store } = on;
  const by = "operator";
  for (const budget of store.all("PodDisruptionBudget")) {
    const { name, namespace } = budget.metadata;
    if (/-(too|new)$/.test(name)) store.remove("PodDisruptionBudget", budget, by);
    else {
      const spec = { minAvailable: null, maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow" };
      store.patch("PodDisruptionBudget", name, namespace, { spec }, by);
    }
  }
  for (const node of on.nodes(GREEN.generation)) {
    const { name } = node.metadata;
    store.update(
      "Node",
      node,
      (draft) => (draft.status = { ...draft.status, allocatable: { pods: "60", cpu: "8" } }),
      by,
    );
    if (cordons.delete(name)) store.patch("Node", name, undefined, { spec: { unschedulable: null } }, by);
  }
  for (const { kind: planned, name, replicas } of workloads) {
    const kind = planned === "Deployment" ? "ReplicaSet" : planned;
    on.behave(kind, name, { readyOn: () => true });
    store.patch(kind, name, "default", { spec: { replicas } }, by);
  }
  for (const pod of store.all("Pod")) {
    if ((pod.metadata.finalizers ?? []).length > 0)
      store.update("Pod", pod, (draft) => (draft.metadata.finalizers = []), by);
    if (pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "False"))
      store.remove("Pod", pod, by);
  }
  // a group that is still frozen launches nothing
  const missing = (): string[] => on.unsettled().filter((text) => !text.endsWith("lacks nodes"));
  for (let i = 0; i < SETTLE_LIMIT && (i === 0 || missing().length > 0); i++) await on.clock.pass(1);
  if (missing().length > 0) throw new Error(`what was mended does not settle: ${missing().join("; ")}`);
  const lease = store.get("Lease", "patchguard", "kube-system");
  if (lease?.spec?.holderIdentity === RIVAL)
    store.patch("Lease", "patchguard", "kube-system", { spec: { holderIdentity: "" } }, by);
}

/** The settings of the last run: without those by which a run rightly ends early. */
function withPatience(rollout: Scenario["rollout"]): Scenario["rollout"] {
  const { maxDurationSeconds: _, ...others } = rollout;
  const drain = { ...(rollout["drain"] as object), excludedPods: "last" };
  return { ...others, preflight: { timeoutSeconds: 200 }, drain };
}

/** The whole of a play as people read it: what was asked, and what became of it. */
export function tale({ scenario, on, runs, ends, problems }: Played): string {
  const lines = [
    `scenario ${JSON.stringify(scenario)}`,
    ...runs.flatMap((run, i) => [
      `run ${run.client.session.name}: ${ends[i]}${run.error ? ` (${run.error.message})` : ""}`,
      story(on, run, Number.POSITIVE_INFINITY),
    ]),
    ...problems.map((problem) => `BROKEN: ${problem}`),
  ];
  return lines.join("\n");
}
