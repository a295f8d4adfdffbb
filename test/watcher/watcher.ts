/**
 * The watcher: sees what happens on an API server and says which promises were broken, by whom. It knows nothing of
 * PatchGuard's code, and needs no test framework.
 *
 *     const watcher = await Watcher.start({ kubeconfig, auditLog });
 *     … something happens, with marks such as watcher.killed() …
 *     const violations = await watcher.finish({ outcome: "finished" });
 */
import { KubeApi } from "./api.ts";
import { AuditLog } from "./audit-log.ts";
import { Collector } from "./collector.ts";
import type { Expectation } from "./end.ts";
import { judgeEnd } from "./end.ts";
import { judge } from "./judge.ts";
import { TEST_AGENT } from "./names.ts";
import type { Mark, Observation, Violation } from "./observation.ts";
import { showViolation } from "./observation.ts";
import type { Other } from "./objects.ts";
import { isTerminating } from "./objects.ts";
import { HOLD_MS, Sequencer } from "./sequencer.ts";
import type { WatchState } from "./state.ts";
import { newState } from "./state.ts";
import type { Summary } from "./summary.ts";
import { showSummary, summarize } from "./summary.ts";

export interface WatcherOptions {
  /** Path of a kubeconfig that may read everything. */
  kubeconfig: string;
  /** Path of the API server's audit log. */
  auditLog: string;
  /** Whether evictions by PatchGuard need its Lease. Default true. */
  requireLease?: boolean;
  /** Called at once for each broken promise. */
  onViolation?: (violation: Violation) => void;
}

const PUMP_MS = 100;
const SETTLE_MS = 20_000;

const delay = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Watcher {
  private readonly state: WatchState;
  private readonly sequencer = new Sequencer();
  private readonly collector: Collector;
  private readonly audit: AuditLog;
  private readonly onViolation: (violation: Violation) => void;
  private readonly record: Observation[] = [];
  private timer: NodeJS.Timeout | undefined;
  private started = false;

  private constructor(options: WatcherOptions) {
    this.state = newState(options.requireLease === undefined ? {} : { requireLease: options.requireLease });
    this.onViolation = options.onViolation ?? (() => undefined);
    this.audit = new AuditLog(options.auditLog);
    const api = new KubeApi(options.kubeconfig, TEST_AGENT);
    this.collector = new Collector(api, (observation) => {
      if (this.started) this.sequencer.push(observation);
      // the first lists belong together: they are the start snapshot
      else if (observation.type === "object" && observation.change === "INITIAL") this.take(observation);
      else this.sequencer.push(observation);
    });
  }

  /** Takes the start snapshot and begins to watch. */
  static async start(options: WatcherOptions): Promise<Watcher> {
    const watcher = new Watcher(options);
    await watcher.collector.start();
    watcher.started = true;
    watcher.timer = setInterval(() => watcher.pump(), PUMP_MS);
    return watcher;
  }

  private take(observation: Observation): void {
    this.record.push(observation);
    if (observation.type === "object" && observation.change === "INITIAL") {
      const { object } = observation;
      if (object.kind === "Pod" && isTerminating(object)) this.sequencer.skipCause(object.metadata.uid);
    }
    for (const violation of judge(this.state, observation)) this.onViolation(violation);
  }

  private pump(): void {
    const now = Date.now();
    for (const request of this.audit.read(now)) this.sequencer.push(request);
    for (const observation of this.sequencer.release(now)) this.take(observation);
  }

  private mark(mark: Mark): void {
    this.sequencer.push({ type: "mark", at: Date.now(), mark });
  }

  /** PatchGuard must touch nothing from now on: until `preflightPassed()`, or until the budget (`namespace/name`) allows a disruption or is gone. */
  preflightBlocked(budget?: string): void {
    this.mark({ mark: "preflight", state: "blocked", ...(budget === undefined ? {} : { budget }) });
  }

  /** Call this before the last obstacle is taken away. */
  preflightPassed(): void {
    this.mark({ mark: "preflight", state: "passed" });
  }

  /** PatchGuard was killed: after 5 s no eviction by it may come, until `resumed()`. */
  killed(): void {
    this.mark({ mark: "killed" });
  }

  resumed(): void {
    this.mark({ mark: "resumed" });
  }

  /** A run ended without finishing (hold, failure, abort) and has put things back; the next may close them again. */
  held(): void {
    this.mark({ mark: "held" });
  }

  /** The direction changes (the next image, a revert, a rollback): each pod may move once more. */
  leg(name: string): void {
    this.mark({ mark: "leg", name });
  }

  /** Somebody else takes these nodes away, pods and all. */
  declareLoss(nodes: string[], why: string): void {
    this.mark({ mark: "loss", nodes, why });
  }

  /** From now on pods may move twice, because green has no room. */
  allowSecondMoves(why: string): void {
    this.mark({ mark: "second-moves", why });
  }

  /** This budget (`namespace/name`) is at zero by design and blocks nothing. */
  exemptBudget(budget: string): void {
    this.mark({ mark: "exempt", budget });
  }

  /** What has been found so far; call `settle()` first to be up to date. */
  get violations(): readonly Violation[] {
    return this.state.violations;
  }

  /** Waits until everything that has happened up to now was seen and judged. */
  async settle(): Promise<void> {
    const began = Date.now();
    let missing: string[] = [];
    for (;;) {
      missing = await this.collector.missing();
      if (missing.length === 0) break;
      if (Date.now() - began > SETTLE_MS) {
        this.take({ type: "blind", at: Date.now(), what: `never shown by a watch: ${missing.join(", ")}` });
        break;
      }
      await delay(PUMP_MS);
    }
    const seen = Date.now();
    do {
      await delay(PUMP_MS);
      this.pump();
    } while (Date.now() < seen + HOLD_MS || this.sequencer.holdsBack(seen));
  }

  /** Events of Kubernetes that were seen, oldest first. */
  kubernetesEvents(reason?: string): Other[] {
    return this.record.flatMap((each) =>
      each.type === "object" &&
      each.object.kind === "Event" &&
      each.change !== "DELETED" &&
      (reason === undefined || each.object.reason === reason)
        ? [each.object]
        : [],
    );
  }

  /** The stream as it was judged: can be kept and judged again. */
  get recording(): readonly Observation[] {
    return this.record;
  }

  /** Compares with the start, now, without stopping. */
  async expect(expectation: Expectation): Promise<Violation[]> {
    await this.settle();
    const found = judgeEnd(this.state, expectation, Date.now());
    for (const violation of found) this.onViolation(violation);
    return found;
  }

  /** After a failure, hold, rollback or abort: everything is as the others left it. */
  async expectReopened(stayClosed: Expectation["stayClosed"] = {}): Promise<Violation[]> {
    return this.expect({ outcome: "reopened", stayClosed });
  }

  /** After a success: every node that PatchGuard closed is gone, and nothing is left over. */
  async expectFinished(stayClosed: Expectation["stayClosed"] = {}): Promise<Violation[]> {
    return this.expect({ outcome: "finished", stayClosed });
  }

  /** Stops. Returns everything that was found, that of the comparison at the end included. */
  async finish(expectation?: Expectation): Promise<Violation[]> {
    try {
      if (expectation === undefined) await this.settle();
      else await this.expect(expectation);
      return [...this.state.violations];
    } finally {
      this.stop();
    }
  }

  /** Like `finish`, and throws an error that lists every violation. */
  async finishClean(expectation?: Expectation): Promise<Summary> {
    const violations = await this.finish(expectation);
    if (violations.length > 0) throw new Error(describeViolations(violations));
    return this.summary();
  }

  /** Stops without judging any further. */
  stop(): void {
    if (this.timer === undefined) return;
    clearInterval(this.timer);
    this.timer = undefined;
    this.collector.stop();
    this.audit.close();
  }

  summary(): Summary {
    return summarize(this.state);
  }

  /** The summary as lines for a terminal. */
  showSummary(): string[] {
    return showSummary(this.summary());
  }
}

export const describeViolations = (violations: readonly Violation[]): string =>
  [
    `the watcher saw ${violations.length} broken promises:`,
    ...violations.map((v) => `  ${showViolation(v)}`),
  ].join("\n");
