/** Free loopback ports. A sandbox chooses them once and keeps them in its state. */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

// Below the range from which systems hand out ports for outgoing connections (Linux from 32768, macOS from 49152), so
// that no connection takes a port between our choice and the child's bind.
const FIRST = 20_000;
const LAST = 32_000;

export const portNames = [
  "etcd",
  "etcdPeer",
  "api",
  "controllerManager",
  "scheduler",
  "kwok",
  "moto",
  "machineRoom",
] as const;
export type PortName = (typeof portNames)[number];
export type Ports = Record<PortName, number>;

/** True when nothing listens on the port and we may bind it on loopback and on all interfaces. */
export async function isFree(port: number): Promise<boolean> {
  for (const host of ["127.0.0.1", "0.0.0.0"]) {
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
    });
    if (!free) return false;
  }
  return true;
}

/** Chooses one free port per name. Another process can still be faster: the supervisor then chooses again. */
export async function choosePorts(): Promise<Ports> {
  const chosen = new Set<number>();
  const ports: Partial<Ports> = {};
  for (const name of portNames) {
    for (let tries = 0; ports[name] === undefined; tries++) {
      if (tries > 500)
        throw new Error(
          `No free port between ${FIRST} and ${LAST} on 127.0.0.1: close some programs and try again.`,
        );
      const port = randomInt(FIRST, LAST);
      if (chosen.has(port) || !(await isFree(port))) continue;
      chosen.add(port);
      ports[name] = port;
    }
  }
  return ports as Ports;
}
