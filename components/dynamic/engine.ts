import { createRequire } from "node:module";
import { connect } from "node:http2";
import { Abandoned, Interrupted } from "../../rollout/errors.ts";
import type { LogEvent, LogSink } from "../../rollout/log.ts";

/**
 * What a dynamic provider's process knows of the engine that started it: its address is the last argument of the process. The
 * engine does not take its plugins with it when it is killed, and passes no logging on; both are done here.
 */
const engineAddress = (): string | undefined => {
  const last = process.argv.at(-1);
  return last !== undefined && /^[^\s:]+:\d+$/.test(last) ? last : undefined;
};

/** How long an orphan has to give the Lease back, before its process ends. */
const ORPHAN_MS = 3000;

let engineGone: AbortSignal | undefined;

/**
 * Aborted with Abandoned as soon as the engine is gone: its connection closes when it dies, however it dies. The process ends soon
 * after, at work or not. A whole HTTP/2 connection, since gRPC's server ends one that does not introduce itself after two minutes,
 * and a bare socket that nobody reads never tells of its end once the server has sent anything.
 */
export function watchEngine(): AbortSignal {
  if (engineGone !== undefined) return engineGone;
  const controller = new AbortController();
  engineGone = controller.signal;
  const address = engineAddress();
  if (address === undefined) return engineGone;
  const gone = (): void => {
    if (controller.signal.aborted) return;
    controller.abort(
      new Abandoned(
        "Pulumi's engine ended in mid-handover: PatchGuard stopped at once. Run `pulumi up` again; it resumes.",
      ),
    );
    setTimeout(() => process.exit(1), ORPHAN_MS);
  };
  const session = connect(`http://${address}`);
  session.on("error", gone);
  session.on("close", gone);
  session.unref();
  return engineGone;
}

/**
 * A signal for one job: aborts with Abandoned when the engine is gone, and with Interrupted on the second Ctrl-C (SIGINT or
 * SIGTERM: 5 s to live).
 */
export function engineSignal(): { signal: AbortSignal; dispose: () => void } {
  const interrupts = new AbortController();
  const interrupted = (): void =>
    interrupts.abort(
      new Interrupted("interrupted by the operator. Run `pulumi up` to go on; what was closed is reopened."),
    );
  process.on("SIGINT", interrupted);
  process.on("SIGTERM", interrupted);
  return {
    signal: AbortSignal.any([interrupts.signal, watchEngine()]),
    dispose() {
      process.off("SIGINT", interrupted);
      process.off("SIGTERM", interrupted);
    },
  };
}

/** Lines that stay on the terminal; all others are live progress, replaced by the next one. */
const LASTING = new Set<LogEvent>([
  "start",
  "preflight",
  "blocked",
  "unblocked",
  "green",
  "sources",
  "close",
  "relax",
  "order",
  "wave",
  "node-drained",
  "foreign",
  "reopen",
  "hold",
  "rollback",
  "pause",
  "interrupt",
  "finish",
  "lease",
  "event-lost",
  "alert-lost",
  "error",
]);

interface LogClient {
  log(request: unknown, callback: () => void): void;
}

/**
 * Progress in `pulumi up`, on the resource's own line. Uses the engine's internal log service; where that cannot be had, the lines
 * go to standard output, which the engine shows as well.
 */
export function engineLog(urn: string): LogSink {
  const address = engineAddress();
  let client: LogClient | undefined;
  let LogRequest: (new () => Record<string, (value: unknown) => void>) | undefined;
  try {
    if (address !== undefined) {
      const require = createRequire(import.meta.url);
      const grpc = require("@grpc/grpc-js") as { credentials: { createInsecure(): unknown } };
      const { EngineClient } = require("@pulumi/pulumi/proto/engine_grpc_pb.js") as {
        EngineClient: new (address: string, credentials: unknown) => LogClient;
      };
      ({ LogRequest } = require("@pulumi/pulumi/proto/engine_pb.js") as { LogRequest: typeof LogRequest });
      client = new EngineClient(address, grpc.credentials.createInsecure());
    }
  } catch {
    client = undefined; // an internal API: it may go; standard output remains
  }
  const severity = { info: 1, warning: 2, error: 3 }; // LogSeverity of pulumi.engine.proto
  return ({ level, message, event }) => {
    if (client === undefined || LogRequest === undefined) {
      process.stdout.write(`${message}\n`);
      return;
    }
    const request = new LogRequest();
    // errors are warnings here: an error line would end the update before the provider's own answer
    request["setSeverity"]?.(level === "info" ? severity.info : severity.warning);
    request["setMessage"]?.(message);
    request["setUrn"]?.(urn);
    request["setEphemeral"]?.(level === "info" && !LASTING.has(event));
    client.log(request, () => undefined);
  };
}
