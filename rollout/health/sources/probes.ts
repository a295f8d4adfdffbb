import { networkReason } from "../../cluster/network.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { RolloutConfig } from "../../config/index.ts";
import { PROBE_TIMEOUT_SECONDS, type ProbeConfig } from "../../config/health-probes.ts";
import type { RunLog } from "../../log.ts";
import type { Measured } from "../measured.ts";
import { type Metric, type Question, type Reading, type Source, SourceError } from "../metric.ts";
import { commandProbe } from "./probe/command.ts";
import { grpcProbe } from "./probe/grpc.ts";
import { httpProbe } from "./probe/http.ts";
import type { Probe } from "./probe/probe.ts";
import { tcpProbe } from "./probe/tcp.ts";

/** The health checks of the user's own: each is a source, whose one metric says of each sample whether it went well. */
export function probeSources(
  { probes, sampleSeconds, windowSeconds }: RolloutConfig["health"],
  cluster: Pick<Cluster, "visit">,
  log: RunLog,
): Measured {
  const interval = Math.min(sampleSeconds, windowSeconds);
  const parts = probes.map((config) => {
    const seconds = config.timeoutSeconds ?? Math.min(PROBE_TIMEOUT_SECONDS, interval / 2);
    return probed(config, seconds, probeOf(config, cluster), log);
  });
  return {
    sources: parts.flatMap(({ sources }) => sources),
    metrics: parts.flatMap(({ metrics }) => metrics),
  };
}

/** A probe as source and metric. */
export function probed(
  config: Pick<ProbeConfig, "name" | "workload" | "failureLimit" | "consecutiveSuccesses">,
  timeoutSeconds: number,
  probe: Probe,
  log: RunLog,
): Measured {
  const name = `probe ${config.name}`;
  const metric: Metric = {
    name,
    source: name,
    measure: "probe",
    unit: "%",
    worse: "higher",
    limit: 0, // of a single probe: it failed or not
    critical: false,
    failureLimit: config.failureLimit,
    consecutiveSuccesses: config.consecutiveSuccesses,
    minimumRequests: 0,
    absent: "none",
    about: config.workload ?? name,
  };
  return { sources: [new ProbeSource(name, timeoutSeconds, probe, log)], metrics: [metric] };
}

function probeOf(config: ProbeConfig, cluster: Pick<Cluster, "visit">): Probe {
  const { name, http, tcp, grpc, command } = config;
  if (http !== undefined) return httpProbe(http, cluster);
  if (tcp !== undefined) return tcpProbe(tcp);
  if (grpc !== undefined) return grpcProbe(grpc);
  if (command !== undefined) return commandProbe(command);
  throw new Error(`probe ${name} has nothing to ask`);
}

/** More than the probe's own deadline, so that it is the probe that says what it waited for. Seconds. */
const MARGIN = 1;

class ProbeSource implements Source {
  readonly name: string;
  readonly lagSeconds = 0;
  readonly floor = { seconds: 1, why: "it is asked once for each sample" };
  readonly answerSeconds: number;
  private readonly timeoutSeconds: number;
  private readonly probe: Probe;
  private readonly log: RunLog;
  private ill = false;

  constructor(name: string, timeoutSeconds: number, probe: Probe, log: RunLog) {
    this.name = name;
    this.timeoutSeconds = timeoutSeconds;
    this.answerSeconds = timeoutSeconds + MARGIN;
    this.probe = probe;
    this.log = log;
  }

  async read({ to }: Question, signal: AbortSignal): Promise<Reading[]> {
    const failed = await this.once(signal);
    const { name, log } = this;
    if (failed !== undefined && !this.ill)
      log.warning("sources", `${name} failed: ${failed}`, { source: name });
    if (failed === undefined && this.ill) log.info("sources", `${name} is well again`, { source: name });
    this.ill = failed !== undefined;
    return [{ subject: { of: "all" }, at: to, value: { failed } }];
  }

  /** @returns why it failed */
  private async once(signal: AbortSignal): Promise<string | undefined> {
    signal.throwIfAborted();
    const end = new AbortController();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      end.abort();
    }, this.timeoutSeconds * 1000);
    const stop = (): void => end.abort();
    signal.addEventListener("abort", stop, { once: true });
    let why: string | undefined = "";
    try {
      why = await this.probe(end.signal);
    } catch (error) {
      if (!end.signal.aborted && error instanceof SourceError) throw error;
      if (!end.signal.aborted) why = networkReason(error).text;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
    signal.throwIfAborted(); // what is told of a probe that was given up is no answer
    if (why === undefined || !late) return why;
    return `no answer within ${this.timeoutSeconds} s${why === "" ? "" : `, at last: ${why}`}`;
  }
}
