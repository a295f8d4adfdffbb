import { randomUUID } from "node:crypto";
import type { Announcement } from "../alert.ts";
import type { Clock } from "../clock.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { Aborted, messageOf } from "../errors.ts";
import type { Judgement } from "../health/verdict.ts";
import type { LogLine, RunLog } from "../log.ts";
import { runStateName, STATE_NAMESPACE } from "../names.ts";
import { resultOf } from "../observed/observed.ts";
import type { Alert, Cause, Kind } from "./alert.ts";
import { causeOf, type Facts, factsOf, keyOf, meaningOf, objectOf, type Owner } from "./cause.ts";
import { Ledger } from "./ledger.ts";
import type { OpenAlert } from "./open.ts";
import type { Outbox } from "./outbox.ts";

/** Ways in which a run ends without success: at most one run's stand open. */
const ENDS: readonly Kind[] = ["breach", "rollback", "hold", "interrupted", "failed", "pause"];

/** What a health window's metrics may be the reason of. */
const JUDGED: readonly Kind[] = ["breach", "inconclusive", "hold"];
/** Verdicts of a window that did not pass and had something to judge. */
const UNPASSED: readonly unknown[] = ["failed", "inconclusive"];

export interface DeskWorld extends Owner {
  cluster: Cluster;
  clock: Clock;
  log: RunLog;
  /** Name of the Kubernetes cluster. */
  clusterName?: string | undefined;
  runId: string;
}

/**
 * Turns what a run announces into alerts: each cause fires once, and is resolved when it clears, if need be by a later run. Hears what
 * everybody hears and holds nobody up: nothing in here is awaited by the run, and nothing throws.
 */
export class Desk {
  private readonly world: DeskWorld;
  private readonly outboxes: readonly Outbox[];
  private readonly open: Ledger;
  /** Of the last health window that did not pass: what its error says in words alone. */
  private breached: Facts | undefined;
  /** Rules by which an object blocks, by the alert's key: one alert stands for all of them. */
  private readonly rules = new Map<string, Set<string>>();

  /** @param open what earlier runs left open */
  constructor(world: DeskWorld, outboxes: readonly Outbox[], open: Map<string, OpenAlert>) {
    this.world = world;
    this.outboxes = outboxes;
    this.open = new Ledger(world, open);
  }

  /** An announcement; see rollout/alert.ts. */
  hear(news: Announcement): void {
    this.quietly(() => {
      const meaning = meaningOf(news);
      if (meaning === undefined) return;
      const { kind } = meaning;
      if (kind === "breach" && this.breached === undefined) return; // an operator's abort: told when it is done
      const facts = { ...(JUDGED.includes(kind) && this.breached), ...factsOf(news) };
      const cause = this.cause(kind, objectOf(news), news.message, facts);
      if (kind === "success") this.succeeded(cause);
      else if (kind === "inconclusive") {
        this.send("firing", cause);
        this.breached = undefined; // the run goes on: what ends it later has a reason of its own
      } else if (meaning.clears) this.cleared(cause, news.message);
      else {
        if (cause.rule !== undefined)
          this.rules.set(cause.key, (this.rules.get(cause.key) ?? new Set()).add(cause.rule));
        this.fire(cause);
      }
    });
  }

  /** A line of the run's log. */
  line(line: LogLine): void {
    this.quietly(() => {
      const verdict = line.event === "health" ? line["verdict"] : undefined;
      if (verdict !== undefined) this.breached = UNPASSED.includes(verdict) ? breachOf(line) : undefined;
      // an earlier run rested, or stopped at a limit: this one goes on
      if (line.event === "node-start")
        this.clearKinds(
          ["pause"],
          `the handover goes on: ${line.message}`,
          ({ run }) => run !== this.world.runId,
        );
      // what blocked an earlier run, and was put right between the two
      if (line.event === "preflight" && typeof line["warnings"] === "number")
        this.clearKinds(["blocked"], line.message);
    });
  }

  /** The run's own end. @param error undefined when it succeeded */
  end(error: unknown): void {
    this.quietly(() => {
      const result = error === undefined ? "succeeded" : resultOf(error);
      const object = { kind: "ConfigMap", namespace: STATE_NAMESPACE, name: runStateName(this.world.pool) };
      const { pool, runId } = this.world;
      const held = this.open.get(keyOf(this.world, "hold"))?.run === runId;
      const cause = (kind: Kind, text: string): Cause =>
        this.cause(kind, object, `${text}: ${messageOf(error)}`);
      if (result === "rolled-back") {
        const done = cause("rollback", `pool ${pool} was rolled back`);
        this.fire(error instanceof Aborted ? { ...done, severity: "warning" } : done);
      } else if (result === "failed" || result === "refused" || (result === "held" && !held))
        // one that was refused has changed nothing: what another run came to, or is at, still stands
        this.fire(cause("failed", `the run for pool ${pool} failed`), { inPlace: result !== "refused" });
      // another run may be at work: what is open is its business, and nothing is written down
      else if (result === "abandoned")
        this.send("firing", cause("failed", `the run for pool ${pool} stopped`));
    });
  }

  /**
   * Waits until every alert is delivered, `seconds` at most; what is left then is lost, by name. Writing down what is open has the
   * same time.
   */
  async flush(seconds: number): Promise<void> {
    const done = new AbortController();
    const idle = Promise.all([
      this.open.saved().then(() => Promise.all(this.outboxes.map((outbox) => outbox.idle()))),
      ...this.outboxes.map((outbox) => outbox.idle()),
    ]);
    await Promise.race([idle, this.world.clock.sleep(seconds * 1000, done.signal)]);
    done.abort();
    this.open.close();
    for (const outbox of this.outboxes) outbox.close();
  }

  private cause(kind: Kind, object: Cause["object"], text: string, facts: Facts = {}): Cause {
    return causeOf(this.world, kind, object, text, this.world.clock.now(), facts);
  }

  /** @param options.inPlace whether it takes the place of other ends */
  private fire(cause: Cause, { inPlace = true }: { inPlace?: boolean } = {}): void {
    const { runId } = this.world;
    if (inPlace && ENDS.includes(cause.kind))
      this.clearKinds(
        ENDS,
        "another end has come in its place",
        ({ run, cause: { kind } }) => run !== runId || kind === "pause",
        cause.key,
      );
    const earlier = this.open.get(cause.key);
    // once per cause; another run's end of the same kind may have another reason, and a rest that nobody ended is an end
    const again =
      ENDS.includes(cause.kind) &&
      (earlier?.run !== runId || (cause.kind === "pause" && cause.summary !== earlier.cause.summary));
    if (earlier !== undefined && !again) return;
    const fired = earlier === undefined ? cause : { ...cause, since: earlier.cause.since };
    this.open.set(cause.key, { cause: fired, run: runId });
    this.send("firing", fired);
  }

  private cleared({ key, rule }: Cause, why: string): void {
    const rules = this.rules.get(key);
    if (rule !== undefined) rules?.delete(rule);
    if (rules === undefined || rules.size === 0) this.clear(key, why);
  }

  /** @param why what is said of it now */
  private clear(key: string, why: string): void {
    const earlier = this.open.get(key);
    if (earlier === undefined) return;
    this.open.delete(key);
    this.send("resolved", { ...earlier.cause, summary: why });
  }

  private clearKinds(
    kinds: readonly Kind[],
    why: string,
    which: (open: OpenAlert) => boolean = () => true,
    except?: string,
  ): void {
    for (const [key, open] of this.open.all())
      if (kinds.includes(open.cause.kind) && which(open) && key !== except) this.clear(key, why);
  }

  private succeeded(cause: Cause): void {
    for (const [key] of this.open.all()) this.clear(key, cause.summary);
    this.open.end((left) => this.send("resolved", { ...left, summary: cause.summary }));
    this.send("resolved", cause);
  }

  private send(status: Alert["status"], cause: Cause): void {
    const { stack, clusterName, pool, runId, clock } = this.world;
    const alert: Alert = {
      version: 1,
      id: randomUUID(),
      status,
      stack,
      ...(clusterName !== undefined && { cluster: clusterName }),
      pool,
      run: runId,
      time: new Date(clock.now()).toISOString(),
      ...cause,
    };
    for (const outbox of this.outboxes) outbox.post(alert);
  }

  private quietly(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.world.log.warning("alert-lost", `an alert could not be made: ${messageOf(error)}`);
    }
  }
}

/** Metric, workload and nodes of the first breach in a window, or of what decided nothing. */
function breachOf(line: LogLine): Facts {
  const { nodes, judgements } = line as { nodes?: readonly string[]; judgements?: readonly Judgement[] };
  const first =
    judgements?.find(({ outcome }) => outcome === "fail") ??
    judgements?.find(({ outcome }) => outcome !== "pass");
  return {
    ...(nodes !== undefined && nodes.length > 0 && { nodes: [...nodes] }),
    ...(first !== undefined && {
      metric: first.metric,
      workload: first.workload,
      namespace: /^\S+ ([^/]+)\//.exec(first.workload)?.[1] ?? "",
      ...(first.limit !== undefined && { needs: first.limit }),
      ...(first.value !== undefined && { has: first.value }),
    }),
  };
}
