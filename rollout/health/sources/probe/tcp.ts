import { connect } from "node:net";
import type { ProbeConfig } from "../../../config/health-probes.ts";
import { networkReason } from "../../../cluster/network.ts";
import type { Probe } from "./probe.ts";

/** A connection that is made is all that is asked for. */
export function tcpProbe({ host, port }: NonNullable<ProbeConfig["tcp"]>): Probe {
  return (signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve("");
      const socket = connect({ host, port });
      const end = (why: string | undefined): void => {
        signal.removeEventListener("abort", giveUp);
        socket.destroy();
        resolve(why);
      };
      const giveUp = (): void => end("");
      signal.addEventListener("abort", giveUp, { once: true });
      socket.once("connect", () => end(undefined));
      socket.on("error", (error) => end(`${host}:${port}: ${networkReason(error).text}`));
    });
}
