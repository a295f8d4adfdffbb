import { readFileSync } from "node:fs";

const read = (): string => {
  const file = new URL("../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
};

/** PatchGuard's own version, from package.json. */
export const VERSION = read();
/** What the servers' logs and audit trails see. */
export const USER_AGENT = `patchguard/${VERSION}`;
