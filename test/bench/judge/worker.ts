import { parentPort, workerData } from "node:worker_threads";
import { handover, type Options, type Window } from "./simulate.ts";

/** Simulates some handovers and says what became of each window. */
export type Work = Options[];
export type Done = Window[];

parentPort?.postMessage((workerData as Work).flatMap((options) => [...handover(options)]) satisfies Done);
