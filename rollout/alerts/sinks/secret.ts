/** The environment in which `pulumi up` runs. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment lacks, or has in a form that cannot be used. Names the variable, never its value. */
export class BadSecret extends Error {
  override readonly name = "BadSecret";
}

/** @throws BadSecret */
export function secretFrom(env: Environment, variable: string): string {
  const value = env[variable]?.trim() ?? "";
  if (value === "")
    throw new BadSecret(
      `${variable} is not in the environment: set it where \`pulumi up\` runs (as a secret of the CI job)`,
    );
  // such a value would be quoted by the HTTP library when it refuses a header
  if (!/^[\x21-\x7e]+$/.test(value))
    throw new BadSecret(`what ${variable} holds has blanks or other characters that no key has`);
  return value;
}

/** An address that may hold a secret: encrypted on its way, but on this machine. @throws BadSecret */
export function urlFrom(env: Environment, variable: string, allowHttp = false): string {
  const value = secretFrom(env, variable);
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const local = url?.hostname === "127.0.0.1" || url?.hostname === "localhost" || url?.hostname === "[::1]";
  if (url?.protocol !== "https:" && !(url?.protocol === "http:" && (allowHttp || local)))
    throw new BadSecret(`what ${variable} holds is no address that begins with https://`);
  if (url.username !== "" || url.password !== "")
    throw new BadSecret(`the address in ${variable} must not hold a user name or a password`);
  return value;
}
