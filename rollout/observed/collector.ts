import type { EvictionResult } from "../cluster/cluster.ts";
import type { LogLine } from "../log.ts";
import { BlockedTimes, type Obstacle } from "./blocked.ts";
import type { Judgement } from "../health/verdict.ts";
import {
  type BlockedTime,
  type Cause,
  type Evidence,
  type JudgementEvidence,
  type NodeEvidence,
  type PodEvidence,
  VERDICTS,
} from "./evidence.ts";

/** Lines that the evidence keeps as they are; the terminal has long lost them by then. */
const LOG_LIMIT = 5000;
/** Samples that are kept of windows that passed; those of others are kept in any case. */
const SAMPLE_LIMIT = 100_000;
/** Told pod by pod, with times, in the evidence's own list. */
const ABOUT_PODS = new Set(["evict", "evict-refused", "pod-gone", "pod-moved"]);

/** What is known of one pod. Times are milliseconds of the clock. */
interface PodTrace {
  pod: string;
  node?: string | undefined;
  workload?: { kind: string; namespace: string; name: string } | undefined;
  refusals: Partial<Record<Cause, number>>;
  refusedAt?: number;
  evictedAt?: number;
  goneAt?: number;
  replacedAt?: number;
  volumeSeconds?: number;
}

interface NodeTrace {
  startedAt: number;
  movedAt?: number;
  drainedAt?: number;
  pods: number;
  wave?: number;
}

/** What the collector knows at the end of a run. */
export type Collected = Pick<
  Evidence,
  "evictions" | "rehearsals" | "refusals" | "blocked" | "waves" | "nodes" | "pods" | "health" | "log" | "cut"
> & { resumed: boolean };

/**
 * Watches a run from outside: what it says (its log lines) and what the Eviction API answers it. Decides nothing, and throws nothing: a
 * line that it does not understand it passes over.
 */
export class Collector {
  private readonly pods = new Map<string, PodTrace>();
  private readonly nodes = new Map<string, NodeTrace>();
  private readonly waves: Evidence["waves"] = [];
  private readonly health: Evidence["health"] = [];
  private readonly log: Evidence["log"] = [];
  private readonly blocks = new BlockedTimes();
  private readonly refusals: Partial<Record<Cause, number>> = {};
  private evictions = 0;
  private rehearsals = 0;
  private unlogged = 0;
  private samples = 0;
  private unkept = 0;
  private resumed = false;

  /** A line of the run's log. */
  line(line: LogLine): void {
    const now = Date.parse(line.time);
    this.keep(line);
    this.follow(line, now);
  }

  /** An answer of the Eviction API. @param now milliseconds of the clock */
  asked(pod: { name: string; namespace: string; uid: string }, result: EvictionResult, now: number): void {
    const { outcome } = result;
    const trace = this.pod(pod.uid, `${pod.namespace}/${pod.name}`);
    if (outcome === "evicted" || outcome === "gone") {
      this.blocks.end(pod.uid, now);
      if (outcome === "gone") return;
      this.evictions++;
      trace.evictedAt = now;
      return;
    }
    trace.refusedAt ??= now;
    trace.refusals[outcome] = (trace.refusals[outcome] ?? 0) + 1;
    this.refusals[outcome] = (this.refusals[outcome] ?? 0) + 1;
    this.blocks.begin(pod.uid, obstacleOf(pod.namespace, outcome, result.message), now);
  }

  /** An eviction that only asked. */
  rehearsed(): void {
    this.rehearsals++;
  }

  /** @param now the end of the run: who is still waiting, has waited until then */
  collected(now: number): Collected {
    this.blocks.endAll(now);
    return {
      resumed: this.resumed,
      evictions: this.evictions,
      rehearsals: this.rehearsals,
      refusals: this.refusals,
      blocked: this.blocks.times() satisfies BlockedTime[],
      waves: this.waves,
      nodes: [...this.nodes].map(([name, trace]) => nodeEvidence(name, trace)),
      pods: [...this.pods].map(([uid, trace]) => podEvidence(uid, trace)),
      health: this.health,
      log: this.log,
      ...(this.unlogged + this.unkept > 0 && {
        cut: {
          ...(this.unlogged > 0 && { log: this.unlogged }),
          ...(this.unkept > 0 && { samples: this.unkept }),
        },
      }),
    };
  }

  private keep({ event, level, message, time, pod }: LogLine): void {
    if (ABOUT_PODS.has(event) && pod !== undefined) return;
    if (this.log.length < LOG_LIMIT) this.log.push({ at: time, event, level, message });
    else this.unlogged++;
  }

  private follow(line: LogLine, now: number): void {
    const { node, pod, uid } = line;
    const event: string = line.event; // most are of no interest here
    switch (event) {
      case "start":
        this.resumed = line["resumed"] === true;
        return;
      case "blocked": {
        const object = objectOf(line["finding"]);
        const budget = object?.kind === "PodDisruptionBudget" ? object : {};
        const { namespace, name } = budget as { namespace?: string; name?: string };
        this.blocks.begin(preflightOf(line), { cause: "preflight", namespace, name }, now);
        return;
      }
      case "unblocked":
        this.blocks.end(preflightOf(line), now);
        return;
      case "wave":
        if (typeof line["wave"] !== "number" || !isNames(line["nodes"])) return;
        this.waves.push({ wave: line["wave"], startedAt: line.time, nodes: line["nodes"] });
        return;
      case "node-start": {
        if (typeof node !== "string") return;
        const wave = this.waves.findLast(({ nodes }) => nodes.includes(node))?.wave;
        const pods = isNames(line["pods"]) ? line["pods"].length : 0;
        this.nodes.set(node, { startedAt: now, pods, ...(wave !== undefined && { wave }) });
        return;
      }
      case "node-moved": {
        // with names of pods: those of the selector are still there
        const trace = typeof node === "string" ? this.nodes.get(node) : undefined;
        if (trace !== undefined && line["pods"] === undefined) trace.movedAt = now;
        return;
      }
      case "node-drained": {
        const trace = typeof node === "string" ? this.nodes.get(node) : undefined;
        if (trace === undefined) return;
        trace.drainedAt = now;
        if (typeof line["pods"] === "number") trace.pods = line["pods"];
        return;
      }
      case "health":
        this.window(line);
        return;
      case "evict":
        if (typeof pod !== "string" || typeof uid !== "string") return;
        this.pod(uid, pod).node = typeof node === "string" ? node : undefined;
        return;
      case "pod-gone": {
        if (typeof pod !== "string" || typeof uid !== "string") return;
        this.blocks.end(uid, now);
        const trace = this.pod(uid, pod);
        trace.goneAt = now;
        if (typeof node === "string") trace.node = node;
        return;
      }
      case "pod-moved": {
        if (typeof pod !== "string" || typeof uid !== "string") return;
        const trace = this.pod(uid, pod);
        trace.replacedAt = now;
        if (typeof node === "string") trace.node = node;
        if (typeof line["volumeSeconds"] === "number") trace.volumeSeconds = line["volumeSeconds"];
        trace.workload = line["workload"] as PodTrace["workload"];
        return;
      }
      default:
        return;
    }
  }

  private window(line: LogLine): void {
    const nodes = isNames(line["nodes"])
      ? line["nodes"]
      : typeof line["node"] === "string"
        ? [line["node"]]
        : [];
    const { windowSeconds, verdict } = line;
    if (typeof windowSeconds === "number") {
      this.health.push({ nodes, startedAt: line.time, windowSeconds, verdict: "open" });
      return;
    }
    const known = verdict === undefined ? "passed" : VERDICTS.find((it) => it === verdict);
    const open = this.health.findLast((it) => it.nodes.join() === nodes.join() && it.verdict === "open");
    if (open === undefined || known === undefined) return;
    open.verdict = known;
    open.endedAt = line.time;
    const { judgements } = line as { judgements?: readonly Judgement[] };
    if (judgements !== undefined && judgements.length > 0)
      open.judgements = judgements.map((it) => this.judgement(it));
  }

  private judgement({ samples, ...rest }: Judgement): JudgementEvidence {
    const { workload, metric, outcome, reason, value, baseline, limit, blue, requests } = rest;
    const judged: JudgementEvidence = { workload, metric, outcome, reason };
    for (const [name, number] of Object.entries({ value, baseline, limit, blue, requests }))
      if (number !== undefined && Number.isFinite(number)) judged[name as "value"] = number;
    if (this.samples + samples.length > SAMPLE_LIMIT && outcome === "pass") {
      this.unkept += samples.length;
      return judged;
    }
    this.samples += samples.length;
    judged.samples = samples.map((sample) => ({
      at: iso(sample.at),
      ...(sample.value !== undefined && { value: sample.value }),
      ...(sample.total !== undefined && { total: sample.total }),
      ...(sample.bad !== undefined && { bad: sample.bad }),
      ...(sample.why !== undefined && { why: sample.why }),
    }));
    return judged;
  }

  private pod(uid: string, pod: string): PodTrace {
    const trace = this.pods.get(uid) ?? { pod, refusals: {} };
    this.pods.set(uid, trace);
    return trace;
  }
}

const isNames = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((name) => typeof name === "string");

const objectOf = (finding: unknown): { kind: string; namespace?: string; name: string } | undefined =>
  (finding as { object?: { kind: string; namespace?: string; name: string } } | undefined)?.object;

/** Of pre-flight's pauses the log names the object, at both ends. */
const preflightOf = (line: LogLine): string => `preflight ${String(line["object"])}`;

function obstacleOf(namespace: string, cause: Cause, message: string): Obstacle {
  switch (cause) {
    case "budget":
    case "budget-stale":
      return { cause, namespace, name: /The disruption budget (\S+) /.exec(message)?.[1] };
    case "namespace-terminating":
    case "several-budgets":
      return { cause, namespace };
    case "throttled":
    case "refused":
    case "preflight":
      return { cause };
  }
}

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();
/** Never below zero: two events may be seen in another order than they happened. */
const between = (from: number, to: number): number => Math.max(0, to - from) / 1000;

function nodeEvidence(name: string, { startedAt, movedAt, drainedAt, pods, wave }: NodeTrace): NodeEvidence {
  return {
    node: name,
    ...(wave !== undefined && { wave }),
    startedAt: iso(startedAt),
    ...(movedAt !== undefined && { movedAt: iso(movedAt) }),
    ...(drainedAt !== undefined && {
      drainedAt: iso(drainedAt),
      drainSeconds: between(startedAt, drainedAt),
    }),
    pods,
  };
}

function podEvidence(uid: string, trace: PodTrace): PodEvidence {
  const { pod, node, workload, refusals, refusedAt, evictedAt, goneAt, replacedAt, volumeSeconds } = trace;
  // a StatefulSet's pod has the name of its successor, which waits for it; others are replaced while they stop
  const startsAt = workload?.kind === "StatefulSet" ? goneAt : (evictedAt ?? goneAt);
  return {
    pod,
    uid,
    ...(node !== undefined && { node }),
    ...(workload !== undefined && { workload: `${workload.kind} ${workload.namespace}/${workload.name}` }),
    ...(refusedAt !== undefined && { refusedAt: iso(refusedAt) }),
    refusals,
    ...(evictedAt !== undefined && { evictedAt: iso(evictedAt) }),
    ...(goneAt !== undefined && { goneAt: iso(goneAt) }),
    ...(replacedAt !== undefined && { replacedAt: iso(replacedAt) }),
    ...(refusedAt !== undefined &&
      evictedAt !== undefined && { refusedSeconds: between(refusedAt, evictedAt) }),
    ...(evictedAt !== undefined && goneAt !== undefined && { stopSeconds: between(evictedAt, goneAt) }),
    ...(startsAt !== undefined &&
      replacedAt !== undefined && {
        startSeconds: Math.max(0, between(startsAt, replacedAt) - (volumeSeconds ?? 0)),
      }),
    ...(volumeSeconds !== undefined && { volumeSeconds: Math.max(0, volumeSeconds) }),
  };
}
