/** A terminal region that is drawn over itself; where standard output is no terminal, only the lasting lines are printed. */
export class Screen {
  private readonly out: NodeJS.WriteStream;
  private drawn = 0;

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.out = out;
  }

  get live(): boolean {
    return this.out.isTTY === true;
  }

  /** A line that stays. */
  say(text = ""): void {
    this.clear();
    this.out.write(`${text}\n`);
  }

  /** Replaces what was drawn before. */
  draw(lines: readonly string[]): void {
    if (!this.live) return;
    this.clear();
    const width = this.out.columns ?? 100;
    this.out.write(lines.map((line) => `${cut(line, width - 1)}\n`).join(""));
    this.drawn = lines.length;
  }

  clear(): void {
    if (this.drawn > 0) this.out.write(`\u001b[${this.drawn}A\u001b[J`);
    this.drawn = 0;
  }
}

/** Cuts to a width, not counting colour codes. */
export function cut(line: string, width: number): string {
  let seen = 0;
  let result = "";
  for (const part of line.split(/(\u001b\[\d+m)/)) {
    if (part.startsWith("\u001b")) result += part;
    else {
      result += part.slice(0, Math.max(0, width - seen));
      seen += part.length;
    }
  }
  return result;
}
