/** The handover in a process of its own, so that its CPU time and memory are measured alone. Told what to do by its parent, and tells it. */
import type { LogLine } from "../../../rollout/log.ts";
import { keepHeapSmall } from "../../../rollout/thrift.ts";
import { moveNodes, type HandoverOptions } from "../../support/handover.ts";

export type Order = Omit<HandoverOptions, "sink" | "signal">;

export type Told =
  | { line: LogLine }
  | {
      ended: {
        began: number;
        ended: number;
        cpuSeconds: number;
        peakMiB: number;
        failure?: string;
      };
    };

keepHeapSmall(); // as the provider does (components/dynamic/entry.ts)

const tell = (told: Told): void => void process.send?.(told);

const stop = new AbortController();
/** First the order; any message after it ends the run. */
process.once("message", (order: Order) => {
  process.once("message", () => stop.abort(new Error("told to stop")));
  void run(order);
});

async function run(order: Order): Promise<void> {
  const began = Date.now();
  let failure: string | undefined;
  try {
    await moveNodes({ ...order, signal: stop.signal, sink: (line) => tell({ line }) });
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  tell({
    ended: {
      began,
      ended: Date.now(),
      cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
      peakMiB: maxRSS / 1024,
      ...(failure === undefined ? {} : { failure }),
    },
  });
  process.disconnect();
}
