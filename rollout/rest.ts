import { announce } from "./alert.ts";
import type { LogEvent } from "./log.ts";
import { type Asked, whoAsked } from "./controls.ts";
import { Breach, Paused } from "./errors.ts";
import { EVENT, type EventReason, runStateName, STATE_NAMESPACE } from "./names.ts";
import { duration } from "./plan/duration.ts";
import { mayAct, type Run } from "./run.ts";
import type { SkippedWindow } from "./run-state.ts";
import { until } from "./wait.ts";

/** What follows when nobody resumes. */
const HOW_ON = "`npm run resume` goes on, `npm run abort` rolls back";

const tell = (run: Run, event: LogEvent, reason: EventReason, message: string, warning: boolean) =>
  announce(run, {
    event,
    reason,
    object: { kind: "ConfigMap", namespace: STATE_NAMESPACE, name: runStateName(run.target.pool) },
    message,
    warning,
    fields: { pool: run.target.pool },
  });

/**
 * A safe point: nothing is on its way. While an operator wants a pause the run rests here, and its deadlines with it; it is told when it
 * begins, every so often, and when it ends.
 * @param where in words: `before the next node`
 * @returns milliseconds at rest
 * @throws Paused after `rollout.pause.timeoutSeconds`; the signal's reason when the run is stopped meanwhile
 */
export async function safePoint(run: Run, where: string): Promise<number> {
  mayAct(run);
  const { controls, clock, target, log } = run;
  const asked = controls.paused();
  if (asked === undefined) return 0;
  const { timeoutSeconds, remindSeconds } = run.config.pause;
  const since = clock.now();
  await tell(
    run,
    "pause",
    EVENT.paused,
    `handover of pool ${target.pool} is paused ${where}, asked for by ${whoAsked(asked)}. Blue stays closed, nothing is evicted: ${HOW_ON}.`,
    true,
  );
  let told = since;
  const limit = timeoutSeconds ?? Number.MAX_SAFE_INTEGER / 1000;
  try {
    await until(
      {
        clock,
        signal: run.signal,
        wakes: controls,
        timeoutSeconds: limit,
        late: () =>
          new Paused(
            `handover of pool ${target.pool} was paused for ${limit} s (rollout.pause.timeoutSeconds), asked for by ${whoAsked(asked)}, and nobody resumed it: run \`pulumi up\` again to go on from there.`,
          ),
      },
      () => {
        mayAct(run);
        const now = clock.now();
        if (now - told >= remindSeconds * 1000) {
          told = now;
          log.warning(
            "pause",
            `handover of pool ${target.pool} has been paused for ${duration((now - since) / 1000)}, asked for by ${whoAsked(asked)}: ${HOW_ON}`,
          );
        }
        return controls.paused() === undefined ? true : undefined;
      },
    );
  } finally {
    controls.restedMilliseconds += clock.now() - since;
  }
  const rested = clock.now() - since;
  const message = `handover of pool ${target.pool} goes on after a pause of ${duration(rested / 1000)}.`;
  await tell(run, "control", EVENT.resumed, message, false);
  return rested;
}

/** An operator's word that a health window is over. */
class Skipped extends Error {
  readonly asked: Asked;
  constructor(asked: Asked) {
    super(`skipped by ${whoAsked(asked)}`);
    this.asked = asked;
  }
}

/**
 * A health window that an operator may end: it counts as passed, and that it was skipped is told and recorded.
 * @param watch the window; it heeds the signal of the run that it is given
 */
export async function skippable(
  run: Run,
  { after, nodes }: { after: string; nodes: readonly string[] },
  watch: (run: Run) => Promise<void>,
): Promise<void> {
  const skip = new AbortController();
  const close = run.controls.openWindow(after, (asked) => skip.abort(new Skipped(asked)));
  try {
    await watch({ ...run, signal: AbortSignal.any([run.signal, skip.signal]) });
  } catch (error) {
    run.signal.throwIfAborted();
    const { reason } = skip.signal as { reason: unknown };
    if (!(reason instanceof Skipped) || error instanceof Breach) throw error;
    const { asked } = reason;
    const skipped: SkippedWindow = {
      after,
      by: asked.by ?? "an operator, by annotation",
      at: new Date(run.clock.now()).toISOString(),
      ...(asked.reason && { reason: asked.reason }),
    };
    mayAct(run);
    await run.state.save({ skipped: [...(run.state.record.skipped ?? []), skipped] });
    await announce(run, {
      event: "health",
      reason: EVENT.windowSkipped,
      object: { kind: "ConfigMap", namespace: STATE_NAMESPACE, name: runStateName(run.target.pool) },
      message: `health window after ${after} was skipped, asked for by ${whoAsked(asked)}: it counts as passed, nobody knows whether it would have`,
      warning: true,
      fields: { nodes, verdict: "skipped", asked },
    });
  } finally {
    close();
  }
}
