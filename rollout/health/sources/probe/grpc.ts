import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import type { ProbeConfig } from "../../../config/health-probes.ts";
import { maskedLine } from "../../../masked.ts";
import { USER_AGENT } from "../../../version.ts";
import type { Probe } from "./probe.ts";

/** grpc.health.v1 (https://github.com/grpc/grpc/blob/master/doc/health-checking.md): two messages of one field each, written by hand. */

const METHOD = "/grpc.health.v1.Health/Check";
const STATES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** A channel of its own each time: one that is kept would not tell whether a new connection can be had. */
const CHANNEL = { "grpc.use_local_subchannel_pool": 1, "grpc.primary_user_agent": USER_AGENT };

export function grpcProbe({ address, service = "", tls }: NonNullable<ProbeConfig["grpc"]>): Probe {
  const what = `${address}${service === "" ? "" : ` (${service})`}`;
  return (signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve("");
      const client = new Client(
        address,
        tls ? credentials.createSsl() : credentials.createInsecure(),
        CHANNEL,
      );
      const end = (why: string | undefined): void => {
        signal.removeEventListener("abort", giveUp);
        client.close();
        resolve(why);
      };
      const answered = (error: ServiceError | null, state?: number): void => {
        if (error === null) return end(state === 1 ? undefined : `${what} is ${STATES[state ?? 0] ?? state}`);
        end(`${what}: ${status[error.code] ?? error.code}: ${maskedLine(error.details)}`);
      };
      const call = client.makeUnaryRequest(METHOD, asked, told, service, new Metadata(), answered);
      const giveUp = (): void => {
        call.cancel();
        end("");
      };
      signal.addEventListener("abort", giveUp, { once: true });
    });
}

/** HealthCheckRequest: `string service = 1`. */
export function asked(service: string): Buffer {
  const name = Buffer.from(service);
  return name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]);
}

/** HealthCheckResponse: `ServingStatus status = 1`, left out where it is 0 (UNKNOWN). @throws Error where it is no such message */
export function told(message: Buffer): number {
  if (message.length === 0) return 0;
  if (message.length !== 2 || message[0] !== 0x08)
    throw new Error("it is no answer of grpc.health.v1.Health");
  return message[1] ?? 0;
}

/** Seven bits a byte, the lowest first. */
function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
