import { createRequire } from "node:module";
import { connect } from "node:net";
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

/**
 * A signal that aborts with Abandoned as soon as the engine is gone (its socket closes when it dies, however it dies), and with
 * Interrupted on the second Ctrl-C (SIGINT or SIGTERM: 5 s to live).
 */
export function engineSignal(): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController();
  const address = engineAddress();
  const interrupted = (): void =>
    controller.abort(
      new Interrupted("interrupted by the operator. Run `pulumi up` to go on; what was closed is reopened."),
    );
  process.on("SIGINT", interrupted);
  process.on("SIGTERM", interrupted);
  const [host, port] = address?.split(":") ?? [];
  const socket = host !== undefined ? connect(Number(port), host) : undefined;
  let disposed = false;
  const gone = (): void => {
    if (disposed || controller.signal.aborted) return;
    controller.abort(
      new Abandoned(
        "Pulumi's engine ended in mid-handover: PatchGuard stopped at once. Run `pulumi up` again; it resumes.",
      ),
    );
    // an orphan must not live on: give the Lease a moment to be released, then end
    setTimeout(() => process.exit(1), 3000);
  };
  socket?.on("error", gone);
  socket?.on("close", gone);
  return {
    signal: controller.signal,
    dispose() {
      disposed = true;
      process.off("SIGINT", interrupted);
      process.off("SIGTERM", interrupted);
      socket?.destroy();
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
  "close",
  "relax",
  "order",
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
