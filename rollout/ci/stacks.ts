/** .github/stacks.json: the stacks that the workflows act on, and as whom. No package is needed to read it, so that a job can before `npm ci`. */

/** What a job needs to know of one stack; becomes an entry of a matrix. */
export interface StackJob {
  stack: string;
  region: string;
  /** ARN of the role that may only read. */
  previewRole: string;
  /** ARN of the role that `pulumi up` runs as. */
  upRole: string;
  /** When GitHub ends the job of an `up`. */
  timeoutMinutes: number;
  /** How long the credentials of an `up` hold: as long as the job. */
  sessionSeconds: number;
}

/** GitHub ends a job on its own machines after six hours. */
const TIMEOUT_MINUTES = 360;
/** AWS lets a role's session last twelve hours at most. */
const LONGEST_SESSION_SECONDS = 43_200;

const ROLE = /^arn:aws[\w-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/;
const CHECKS: Record<string, { test: (value: unknown) => boolean; says: string }> = {
  region: { test: matching(/^[a-z]{2}(-[a-z]+)+-\d$/), says: "should be a region of AWS, such as us-east-1" },
  previewRole: { test: matching(ROLE), says: "should be the ARN of a role" },
  upRole: { test: matching(ROLE), says: "should be the ARN of a role" },
  timeoutMinutes: {
    test: (value) => value === undefined || (Number.isInteger(value) && Number(value) >= 10),
    says: "should be a whole number of minutes, 10 or more",
  },
};

function matching(pattern: RegExp): (value: unknown) => boolean {
  return (value) => typeof value === "string" && pattern.test(value);
}

/** @throws Error that names every mistake */
export function readStacks(text: string): StackJob[] {
  const file = ".github/stacks.json";
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error(`${file} is not JSON: ${(error as Error).message}`);
  }
  if (!isMap(json)) throw new Error(`${file} should be a map from stack names to their settings`);
  const problems: string[] = [];
  const jobs = Object.entries(json).flatMap(([stack, entry]) => {
    if (!/^[\w.-]{1,100}$/.test(stack)) problems.push(`${stack}: is no name of a stack`);
    if (!isMap(entry)) return (problems.push(`${stack}: should be a map`), []);
    for (const [key, { test, says }] of Object.entries(CHECKS))
      if (!test(entry[key])) problems.push(`${stack}.${key}: ${says}`);
    for (const key of Object.keys(entry))
      if (!(key in CHECKS)) problems.push(`${stack}.${key}: is not known here`);
    const { region, previewRole, upRole, timeoutMinutes = TIMEOUT_MINUTES } = entry as unknown as StackJob;
    const sessionSeconds = Math.min(timeoutMinutes * 60, LONGEST_SESSION_SECONDS);
    return [{ stack, region, previewRole, upRole, timeoutMinutes, sessionSeconds }];
  });
  if (problems.length > 0) throw new Error(`${file}: ${problems.join("; ")}`);
  return jobs;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
