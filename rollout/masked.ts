/** Of what somebody else wrote, so much is passed on. Characters. */
const LONGEST = 300;

/** Names of environment variables whose values no message may hold. */
const SECRET = /TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|AUTH|PRIVATE|(^|_)KEYS?(_|$)/i;
/** Shorter values are no secrets (`true`, `1`), and would be found everywhere. Characters. */
const SHORTEST = 6;

type Environment = Readonly<Record<string, string | undefined>>;

/** Of an address: who logs in, and the password. */
const LOGIN = /(\w:\/\/)[^\s/@]+@/g;

/** What somebody else wrote, without the values of secrets in the environment, nor logins in addresses. */
export function masked(text: string, env: Environment = process.env): string {
  let clean = text;
  const secrets = Object.entries(env).flatMap(([name, value]) =>
    value !== undefined && value.length >= SHORTEST && SECRET.test(name) ? [value] : [],
  );
  // the longest first: one may hold another
  for (const secret of secrets.toSorted((a, b) => b.length - a.length))
    clean = clean.replaceAll(secret, "***");
  return clean.replace(LOGIN, "$1***@");
}

/** The same, fit for a message: in one line, without control characters, cut where it is long. */
export function maskedLine(text: string, env: Environment = process.env): string {
  const line = masked(text, env)
    .replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "")
    .replace(/[\s\u0000-\u001f\u007f]+/g, " ")
    .trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}
