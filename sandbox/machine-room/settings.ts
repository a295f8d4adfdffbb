/** The machine room's environment, read once. Times are in milliseconds. */

import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Settings {
  stateDir: string;
  port: number;
  motoUrl: string;
  kubeApiUrl: string;
  /** PEM of the certificate authority of the API server. */
  certificateAuthority: string;
  /** From an instance's launch until its Node appears. */
  bootMs: number;
  /** How long an EKS group is CREATING at least. */
  createMs: number;
  /** After this long without its nodes a group that is CREATING fails (25 to 35 minutes in the real service). */
  createFailedMs: number;
  /** How long an EKS group's nodes are drained, before a deletion or a forced update kills what still runs (15 minutes in the real service). */
  drainMs: number;
  /** How long a token to the cluster is valid (15 minutes in the real service). */
  tokenMs: number;
  attachMs: number;
  detachMs: number;
}

const seconds = (name: string, byDefault: number): number => {
  const text = process.env[name];
  if (text === undefined || text === "") return byDefault * 1000;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0)
    throw new Error(`${name}=${text}: give a number of seconds, 0 or more`);
  return value * 1000;
};

const need = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: the machine room is started by \`npm run sandbox -- up\``);
  return value;
};

export function readSettings(): Settings {
  const stateDir = need("SANDBOX_DIR");
  return {
    stateDir,
    port: Number(need("MACHINE_ROOM_PORT")),
    motoUrl: need("MOTO_URL").replace(/\/$/, ""),
    kubeApiUrl: need("KUBE_API_URL"),
    certificateAuthority: readFileSync(join(stateDir, "certs", "ca.crt"), "utf8"),
    bootMs: seconds("SANDBOX_BOOT_SECONDS", 3),
    createMs: seconds("SANDBOX_CREATE_SECONDS", 3),
    createFailedMs: seconds("SANDBOX_CREATE_FAILED_SECONDS", 20),
    drainMs: seconds("SANDBOX_EKS_DRAIN_SECONDS", 10),
    tokenMs: seconds("SANDBOX_TOKEN_SECONDS", 900),
    attachMs: seconds("SANDBOX_ATTACH_SECONDS", 1),
    detachMs: seconds("SANDBOX_DETACH_SECONDS", 1),
  };
}
