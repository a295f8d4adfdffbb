import { EnvHttpProxyAgent, request } from "undici";
import { beginningOf } from "../../../cluster/beginning.ts";
import { ApiError, type Cluster } from "../../../cluster/cluster.ts";
import { networkReason } from "../../../cluster/network.ts";
import type { ProbeConfig } from "../../../config/health-probes.ts";
import { maskedLine } from "../../../masked.ts";
import { USER_AGENT } from "../../../version.ts";
import { SourceError } from "../../metric.ts";
import type { Probe } from "./probe.ts";

type HttpConfig = NonNullable<ProbeConfig["http"]>;

/** Of an answer that is not well, so much of the body is told. Characters. */
const TOLD = 120;

/** A GET from here, or through the API server's proxy (https://kubernetes.io/docs/tasks/administer-cluster/access-cluster-services/). */
export function httpProbe(config: HttpConfig, cluster: Pick<Cluster, "visit">): Probe {
  return async (signal) => {
    const { url = "", service } = config;
    const { where, status, body } =
      service === undefined ? await here(url, signal) : await behind(config, service, cluster, signal);
    return status === undefined ? `${where} ${body}` : judged(config, where, status, body);
  };
}

/** Status undefined: there was no answer, and the body says why. */
interface Answer {
  where: string;
  status: number | undefined;
  body: string;
}

async function here(url: string, signal: AbortSignal): Promise<Answer> {
  // a connection of its own each time: one that is kept would not tell whether a new one can be had
  const dispatcher = new EnvHttpProxyAgent();
  try {
    const { statusCode, body } = await request(url, {
      dispatcher,
      signal,
      headers: { "user-agent": USER_AGENT, accept: "*/*" },
    });
    return { where: shortened(url), status: statusCode, body: await beginningOf({ body }) };
  } catch (error) {
    if (signal.aborted) throw error;
    const why = `cannot be reached: ${networkReason(error).text}`;
    return { where: shortened(url), status: undefined, body: why };
  } finally {
    void dispatcher.destroy();
  }
}

async function behind(
  { path = "/" }: HttpConfig,
  { namespace, name, port, scheme }: NonNullable<HttpConfig["service"]>,
  cluster: Pick<Cluster, "visit">,
  signal: AbortSignal,
): Promise<Answer> {
  const service = `${scheme === "https" ? "https:" : ""}${name}:${port}`;
  const where = `Service ${namespace}/${name}:${port}`;
  try {
    const proxy = `/api/v1/namespaces/${namespace}/services/${service}/proxy${path}`;
    const { status, body, refusal } = await cluster.visit(proxy, signal);
    if (refusal === undefined) return { where: `${where}${path.split("?")[0]}`, status, body };
    const said = maskedLine(refusal.message);
    // these say that the Service could not be reached: no endpoint, a refused connection, no answer
    if (status === 502 || status === 503 || status === 504)
      return { where, status: undefined, body: `was not reached by the API server: ${said}` };
    const hint = status === 403 ? ". Grant `get` on services/proxy of it" : "";
    throw new SourceError(`${where} cannot be asked through the API server: ${status} ${said}${hint}`, {
      passing: status === 429 || status === 500,
    });
  } catch (error) {
    if (!(error instanceof ApiError) || signal.aborted) throw error;
    throw new SourceError(error.message, { passing: error.status === 0 });
  }
}

function judged(
  { status: good, contains }: HttpConfig,
  where: string,
  status: number,
  body: string,
): string | undefined {
  const well = good === undefined ? status >= 200 && status <= 399 : good.includes(status);
  if (!well) {
    const told = maskedLine(body.slice(0, 4 * TOLD)).slice(0, TOLD);
    return `${where} answered ${status}${told === "" || told.startsWith("<") ? "" : `: ${told}`}`;
  }
  if (contains === undefined || body.includes(contains)) return undefined;
  return `${where} answered ${status} without ${JSON.stringify(contains)} in its body`;
}

/** Without its query, which may be anything. */
const shortened = (url: string): string => url.split(/[?#]/)[0] ?? url;
