import type { Pod } from "./cluster/types.ts";
import type { Inventory } from "./inventory.ts";
import { type Mover, placeOf } from "./mover.ts";
import { podName } from "./pods.ts";
import { judgeRefusal, type Refusal } from "./refusals.ts";
import { mayAct, type Run } from "./run.ts";

/** Evictions that are under way at once: a wave of many nodes must not look like an attack to the API server. */
const AT_ONCE = 24;

/** Asks the Eviction API, and keeps what it answered on the movers. */
export class Evictor {
  /** UIDs of pods that were evicted: the watch may not show it yet. */
  readonly evicted = new Set<string>();
  private readonly run: Run;
  private readonly movers: () => Iterable<Mover>;
  private restUntil = 0;

  /** @param movers all that are on their way, for the budgets that they share */
  constructor(run: Run, movers: () => Iterable<Mover>) {
    this.run = run;
    this.movers = movers;
  }

  /** The API server has asked for patience: whoever asks, it is the same server. */
  isResting(): boolean {
    return this.run.clock.now() < this.restUntil;
  }

  /** All answers are in before the first failure is thrown: no eviction is under way while things are put back. */
  async askAll(movers: readonly Mover[]): Promise<void> {
    let failed = false; // what is under way is waited for; nothing more is begun
    const queue = movers.values();
    const work = async (): Promise<void> => {
      for (const mover of queue) {
        if (this.isResting()) return;
        if (failed) return;
        await this.ask(mover).catch((error: unknown) => {
          failed = true;
          throw error;
        });
      }
    };
    const answers = await Promise.allSettled(
      Array.from({ length: Math.min(AT_ONCE, movers.length) }, () => work()),
    );
    for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
  }

  private async ask(mover: Mover): Promise<void> {
    const { run } = this;
    const { name, namespace = "default", uid } = mover.pod.metadata;
    mayAct(run);
    mover.askedAt = run.clock.now();
    const result = await run.cluster.evict({ name, namespace, uid });
    const now = run.clock.now();
    if (result.outcome === "evicted" || result.outcome === "gone") {
      mover.evictedAt = now;
      mover.byUs ||= result.outcome === "evicted";
      mover.refusal = undefined;
      mover.refusedBy = undefined;
      this.evicted.add(uid);
      this.nextInTurn(mover.pod, now);
      run.log.info("evict", `evicted ${podName(mover.pod)} from ${mover.pod.spec?.nodeName}`, {
        pod: podName(mover.pod),
        uid,
        node: mover.pod.spec?.nodeName,
        outcome: result.outcome,
      });
      return;
    }
    this.refused(mover, result, now);
  }

  /**
   * The budget has let this pod go, so it moves on: whoever waits behind it begins to wait anew. `budgetTimeoutSeconds` is for a budget
   * that stands still, not for many pods of one budget.
   */
  private nextInTurn(pod: Pod, now: number): void {
    const { inventory } = this.run;
    const budgets = inventory.budgetsOf(pod);
    if (budgets.length === 0) return;
    for (const mover of this.movers()) {
      if (mover.evictedAt !== undefined || mover.pod.metadata.namespace !== pod.metadata.namespace) continue;
      if (inventory.budgetsOf(mover.pod).some((budget) => budgets.includes(budget))) mover.waitingSince = now;
    }
  }

  private refused(mover: Mover, result: Refusal, now: number): void {
    const first = mover.refusal === undefined;
    const { text, retrySeconds } = judgeRefusal(this.run.inventory, mover.pod, result);
    const waitMilliseconds = retrySeconds * 1000 * (1 + Math.random() / 10); // jitter: many pods, one budget
    mover.refusal = text;
    mover.byUs ||= isUnanswered(result);
    mover.refusedByBudget = result.outcome === "budget";
    mover.refusedBy = budgetOf(this.run.inventory, mover.pod, result);
    mover.nextAt = now + waitMilliseconds;
    if (result.outcome === "throttled" && !ofWebhook(result.message)) this.restUntil = mover.nextAt;
    if (!first) return;
    const { uid, namespace } = mover.pod.metadata;
    const budget =
      "budget" in result && result.budget !== undefined ? `${namespace}/${result.budget}` : undefined;
    const fields = {
      pod: podName(mover.pod),
      uid,
      node: mover.pod.spec?.nodeName,
      outcome: result.outcome,
      message: result.message,
      ...(budget === undefined ? {} : { budget }),
    };
    this.run.log.warning("evict-refused", `${placeOf(mover.pod)} has to wait: ${text}`, fields);
  }
}

/** Which budget it was: as the API server says, or the only one that the pod has. */
function budgetOf(inventory: Inventory, pod: Pod, result: Refusal): string | undefined {
  if (result.outcome !== "budget" && result.outcome !== "budget-stale") return undefined;
  const [only, ...others] = inventory.budgetsOf(pod).map(({ metadata }) => metadata.name);
  return ("budget" in result ? result.budget : undefined) ?? (others.length === 0 ? only : undefined);
}

/** No answer, or one of a server in trouble: the pod may be evicted all the same, though the watch does not show it yet. */
const isUnanswered = (result: Refusal): boolean =>
  result.outcome === "refused" && (result.status === 0 || result.status >= 500);

/** A webhook may refuse with any code, 429 among them: that is about its own pods, not about the server's load. */
const ofWebhook = (message: string): boolean => message.includes("admission webhook");
