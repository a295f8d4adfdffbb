/** One thing that is wrong in a stack's config. */
export interface Problem {
  /** Where: `patchguard:pools[1].image.ami`. */
  path: string;
  /** What is wrong there, and what to write instead. */
  reason: string;
}

/** Everything that is wrong in a stack's config, in one error: nobody should have to fix ten mistakes in ten runs. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], source = "the stack config") {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    const lines = problems.map(({ path, reason }) => `  ${path}: ${reason}`);
    super([`${source} has ${count}:`, ...lines].join("\n"));
    this.problems = problems;
  }
}
