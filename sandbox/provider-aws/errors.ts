/** Errors as the operator reads them: what was done to which resource, the AWS error's name, and what to do next. */

const ADVICE: Record<string, string> = {
  ResourceInUseException:
    "it exists already or is being changed: import it (resource option `import`), wait, or delete it, then run again",
  EntityAlreadyExists: "it exists already: import it (resource option `import`) or delete it, then run again",
  AlreadyExists: "it exists already: import it (resource option `import`) or delete it, then run again",
  AlreadyExistsFault: "it exists already: import it (resource option `import`) or delete it, then run again",
  "InvalidLaunchTemplateName.AlreadyExistsException":
    "it exists already: import it (resource option `import`) or delete it, then run again",
  ResourceNotFoundException: "create what it names first, or correct the name",
  InvalidParameterException: "correct the inputs",
  ValidationError: "correct the inputs",
  ECONNREFUSED: "start the sandbox (`npm run sandbox -- up`); nothing answers at AWS_ENDPOINT_URL",
};

/** The AWS error's own name; also Node's code for a connection that failed. */
export function errorName(error: unknown): string {
  const e = error as { name?: string; Code?: string; code?: string } | undefined;
  if (e?.code === "ECONNREFUSED") return "ECONNREFUSED";
  return e?.Code ?? (e?.name !== "Error" ? e?.name : undefined) ?? "Error";
}

export function explain(verb: string, token: string, name: string, error: unknown): string {
  const kind = errorName(error);
  const message = error instanceof Error ? error.message : String(error);
  const advice = ADVICE[kind];
  return `${verb} ${token} (${name}): ${kind === "Error" ? "" : `${kind}: `}${message || "no message"}${advice ? `. What to do: ${advice}` : ""}`;
}

const GONE = /NotFound|NoSuchEntity|DoesNotExist/;

/** True for the many ways the AWS APIs say that an object does not exist. */
export const isNotFound = (error: unknown): boolean =>
  GONE.test(errorName(error)) ||
  (errorName(error) === "ValidationError" && /not found/i.test((error as Error).message));

/** The result of `call`, or undefined when what it asks for does not exist. */
export async function ifExists<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
