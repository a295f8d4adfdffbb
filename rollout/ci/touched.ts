/** Which stacks a change touches. Pure. */

/** What every stack is made from. */
const CODE =
  /^(index\.ts|package(-lock)?\.json|Pulumi\.yaml|\.npmrc|tsconfig\.json|\.github\/stacks\.json|(components|rollout)\/.*)$/;
const STACK_FILE = /^Pulumi\.(.+)\.yaml$/;
/** Stack files that belong to no cluster of yours. */
const EXAMPLE = /^(example-.*|sandbox)$/;

export interface Touched {
  /** In the order of `known`. */
  stacks: string[];
  /** What a reader of the log should know. */
  notes: string[];
}

/**
 * @param files paths that differ, from the repository's root; undefined where nobody can tell, which touches every stack
 * @param known the stacks of .github/stacks.json
 */
export function touched(files: readonly string[] | undefined, known: readonly string[]): Touched {
  if (files === undefined)
    return { stacks: [...known], notes: ["what changed cannot be told, so every stack counts as touched"] };
  const code = files.filter((file) => CODE.test(file));
  const named = new Set(files.flatMap((file) => STACK_FILE.exec(file)?.[1] ?? []));
  const notes: string[] = [];
  if (code.length > 0) notes.push(`code that every stack is made from has changed, such as ${code[0] ?? ""}`);
  for (const stack of named) {
    if (known.includes(stack)) notes.push(`Pulumi.${stack}.yaml has changed`);
    else if (!EXAMPLE.test(stack))
      notes.push(
        `Pulumi.${stack}.yaml has changed, but .github/stacks.json has no stack ${stack}: nothing is run for it`,
      );
  }
  return { stacks: known.filter((stack) => code.length > 0 || named.has(stack)), notes };
}
