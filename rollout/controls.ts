import { z } from "zod";
import { messageOf } from "./errors.ts";
import type { RunLog } from "./log.ts";
import { ANNOTATION_CONTROL, ANNOTATION_CONTROL_SEEN } from "./names.ts";
import type { Wakes } from "./wait.ts";

/** What an operator may ask of a handover while it runs. */
export const ACTIONS = ["pause", "resume", "abort", "skip-window"] as const;
export type Action = (typeof ACTIONS)[number];

/** Free text of others ends up in logs, Events and evidence: short, and on one line. */
const words = (most: number) =>
  z.string().transform((text) =>
    text
      .replace(/\p{Cc}+/gu, " ")
      .trim()
      .slice(0, most),
  );

const askedSchema = z.object({
  action: z.enum(ACTIONS),
  /** Tells one wish from the next; chosen by whoever asks. */
  id: words(64).default(""),
  /** The holder of the Lease that is meant: a wish never reaches a later run. */
  run: words(256).optional(),
  by: words(128).optional(),
  reason: words(300).optional(),
  at: words(40).optional(),
});

/** A wish of an operator, as it stands in the Lease's annotation. */
export type Asked = z.output<typeof askedSchema>;

/** The answer to it, in the other annotation. */
export interface Answer {
  id: string;
  action: string;
  /** The holder of the Lease that answers. */
  run: string;
  obeyed: boolean;
  /** What follows, or why nothing does. */
  answer: string;
}

/** `ann@laptop: the database team asked` */
export const whoAsked = ({ by, reason }: Asked): string =>
  `${by ?? "an operator, by annotation"}${reason ? `: ${reason}` : ""}`;

/** A health window that runs. */
interface OpenWindow {
  after: string;
  skip: (asked: Asked) => void;
}

/**
 * What the operators want of the handover under way. Fed from the Lease, whose renewal reads it every few seconds; asked by the
 * handover at its safe points.
 */
export class Controls implements Wakes {
  /** How long the run has been at rest so far: no deadline counts it. Milliseconds. */
  restedMilliseconds = 0;
  private readonly log: RunLog;
  private readonly me: string;
  private readonly onAbort: (asked: Asked) => void;
  private readonly listeners = new Set<() => void>();
  private wish: Asked | undefined;
  private window: OpenWindow | undefined;
  private ending: string | undefined;
  private unanswered: { text: string; answer: Answer } | undefined;

  /**
   * @param me the holder of the Lease
   * @param onAbort called once, as soon as an operator wants an end
   */
  constructor(log: RunLog, me: string, onAbort: (asked: Asked) => void) {
    this.log = log;
    this.me = me;
    this.onAbort = onAbort;
  }

  /** Who wants the handover to rest; undefined: nobody. */
  paused(): Asked | undefined {
    return this.wish;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** A health window begins. @param skip called when an operator wants its end. @returns the function that ends it here */
  openWindow(after: string, skip: (asked: Asked) => void): () => void {
    const window = { after, skip };
    this.window = window;
    return () => {
      if (this.window === window) this.window = undefined;
    };
  }

  /** From now on every wish comes too late. @param how in words: `is rolling back` */
  end(how: string): void {
    this.ending ??= how;
  }

  /**
   * Reads the Lease's annotations; obeys a wish that is new. @returns what is to be written into them: the answer, and no wish any more
   */
  read(annotations: Readonly<Record<string, string>>): Record<string, string | null> | undefined {
    const text = annotations[ANNOTATION_CONTROL];
    if (text === undefined) {
      this.unanswered = undefined;
      return undefined;
    }
    // the answer may not have been written, or its arrival not been heard of: a wish is obeyed once all the same
    if (this.unanswered?.text !== text) this.unanswered = { text, answer: this.obey(text) };
    return {
      [ANNOTATION_CONTROL]: null,
      [ANNOTATION_CONTROL_SEEN]: JSON.stringify(this.unanswered.answer),
    };
  }

  /** The answer stands in the Lease. */
  answered(): void {
    this.unanswered = undefined;
  }

  private obey(text: string): Answer {
    let asked: Asked;
    try {
      asked = parseAsked(text);
    } catch (error) {
      const answer = `the annotation ${ANNOTATION_CONTROL} on the Lease ${messageOf(error)}`;
      this.log.warning("control", answer);
      return { id: "", action: "", run: this.me, obeyed: false, answer };
    }
    const { obeyed, answer } = this.decide(asked);
    const line = `${asked.action} was asked for by ${whoAsked(asked)}: ${answer}`;
    if (obeyed) this.log.info("control", line, { asked });
    else this.log.warning("control", line, { asked });
    for (const listener of [...this.listeners]) listener();
    return { id: asked.id, action: asked.action, run: this.me, obeyed, answer };
  }

  private decide(asked: Asked): { obeyed: boolean; answer: string } {
    const no = (answer: string) => ({ obeyed: false, answer });
    const yes = (answer: string) => ({ obeyed: true, answer });
    if (asked.run !== undefined && asked.run !== this.me)
      return no(`it was meant for ${asked.run}, and this is ${this.me}`);
    if (this.ending !== undefined) return no(`it comes too late: the handover ${this.ending}`);
    switch (asked.action) {
      case "pause":
        this.wish = asked;
        return yes("no further node is begun; what is in hand is finished first, its health window included");
      case "resume":
        if (this.wish === undefined) return no("the handover is not paused");
        this.wish = undefined;
        return yes("the handover goes on");
      case "abort":
        this.end("is being aborted already");
        this.onAbort(asked);
        return yes("nothing more is evicted, and what was closed is put back");
      case "skip-window": {
        if (this.window === undefined) return no("no health window is open");
        const { after, skip } = this.window;
        this.window = undefined;
        skip(asked);
        return yes(`the health window after ${after} ends as passed`);
      }
    }
  }
}

/** A wish as JSON, or by hand: `pause`, or `pause: because of the release`. @throws Error saying what it is not */
function parseAsked(text: string): Asked {
  const [, word = "", reason] = /^\s*([a-z-]+)\s*(?::\s*(.*))?$/s.exec(text) ?? [];
  let given: unknown = { action: word, reason };
  if (text.trimStart().startsWith("{")) {
    try {
      given = JSON.parse(text);
    } catch {
      given = undefined; // the one error below is for all
    }
  }
  const { success, data } = askedSchema.safeParse(given);
  if (!success) throw new Error(`holds none of ${ACTIONS.join(", ")}`);
  return data;
}
