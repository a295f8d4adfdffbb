/** Progress for people, on stderr: stdout belongs to what a command answers. */

export interface Progress {
  /** One finished fact. */
  note(text: string): void;
  /** Something that takes time; call `done` or `failed` on what it returns. */
  start(what: string): Step;
}

export interface Step {
  /** Shows what the step is at. */
  update(detail: string): void;
  done(detail?: string): void;
  failed(detail?: string): void;
}

export const silent: Progress = {
  note: () => undefined,
  start: () => ({ update: () => undefined, done: () => undefined, failed: () => undefined }),
};

/** Seconds since `start` (ms since the epoch) in words: `4.2 s`, `3 min 10 s`. */
export function elapsed(start: number): string {
  const seconds = (Date.now() - start) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/**
 * Lines on stderr. On a terminal the running steps are redrawn in place with their time; elsewhere (CI logs) a long
 * step says every 20 s that it is still at work.
 */
export function terminalProgress(out: NodeJS.WriteStream = process.stderr): Progress {
  interface Running {
    what: string;
    detail: string;
    began: number;
    said: number;
  }
  const running = new Set<Running>();
  let drawn = 0;
  let timer: NodeJS.Timeout | undefined;
  const live = out.isTTY;

  const clear = (): void => {
    if (live && drawn > 0) out.write(`\u001b[${drawn}A\u001b[J`);
    drawn = 0;
  };
  const draw = (): void => {
    if (!live) return;
    const width = out.columns || 80;
    for (const step of running) {
      const line = `  … ${step.what}${step.detail ? `: ${step.detail}` : ""} (${elapsed(step.began)})`;
      out.write(line.slice(0, width - 1) + "\n");
      drawn++;
    }
  };
  const say = (line: string): void => {
    clear();
    out.write(line + "\n");
    draw();
  };
  const tick = (): void => {
    if (live) {
      clear();
      draw();
      return;
    }
    for (const step of running) {
      if (Date.now() - step.said < 20_000) continue;
      step.said = Date.now();
      say(`  … ${step.what}${step.detail ? `: ${step.detail}` : ""} (${elapsed(step.began)})`);
    }
  };

  return {
    note: (text) => say(`  ${text}`),
    start(what) {
      const step: Running = { what, detail: "", began: Date.now(), said: Date.now() };
      running.add(step);
      timer ??= setInterval(tick, live ? 250 : 1000).unref();
      if (live) {
        clear();
        draw();
      }
      const end = (mark: string, detail?: string): void => {
        if (!running.delete(step)) return;
        say(`  ${mark} ${what}${detail ? `: ${detail}` : ""} (${elapsed(step.began)})`);
        if (running.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
      };
      return {
        update: (detail) => (step.detail = detail),
        done: (detail) => end("✓", detail),
        failed: (detail) => end("✗", detail),
      };
    },
  };
}
