import type { RequestOptions } from "node:https";
import { HttpMethod, RequestContext, type KubeConfig } from "@kubernetes/client-node";
import { Agent, type Dispatcher } from "undici";

/** Keeps load balancers in between from dropping a quiet connection, in milliseconds. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 30_000 };
/** Connections that were replaced are closed after this long, so that no request is about to be put on one. */
const LINGER_MS = 60_000;

/** What a request carries, and the connections that it goes over. */
export interface Line {
  headers: Record<string, string>;
  dispatcher: Dispatcher;
}

/**
 * The connections to one API server. HTTP/1.1 on purpose: over HTTP/2 the API server answers a 401 by closing the connection,
 * and one stale token would take all watches and writes under way down with it.
 */
export class Dialer {
  private readonly kc: KubeConfig;
  private current: { dispatcher: Dispatcher; material: string } | undefined;

  constructor(kc: KubeConfig) {
    this.kc = kc;
  }

  /** Makes or fetches the credential if need be. @throws what its plugin throws. */
  async dial(url: string): Promise<Line> {
    if (this.kc.getCurrentCluster()?.proxyUrl) return this.dialProxy(url);
    const options: RequestOptions = {};
    await this.kc.applyToHTTPSOptions(options);
    const { ca, cert, key, rejectUnauthorized, servername, auth } = options;
    const tls = Object.entries({ ca, cert, key, rejectUnauthorized, servername });
    const given = tls.filter(([, value]) => value !== undefined);
    // client certificates change too: from a plugin, or as files that are rotated
    const material = JSON.stringify(given);
    const make = (): Dispatcher =>
      new Agent({ allowH2: false, connect: { ...Object.fromEntries(given), ...KEEP_ALIVE } });
    const headers = { ...(options.headers as Record<string, string> | undefined) };
    if (auth) headers["Authorization"] = `Basic ${Buffer.from(auth).toString("base64")}`;
    return { headers, dispatcher: this.keep(material, make) };
  }

  /** client-node knows the kinds of proxies, but makes a dispatcher for each request, hence a new connection: one is kept. */
  private async dialProxy(url: string): Promise<Line> {
    const context = new RequestContext(url, HttpMethod.GET);
    await this.kc.applySecurityAuthentication(context);
    const made = context.getDispatcher();
    const dispatcher = this.keep("proxy", () => made ?? new Agent({ allowH2: false }));
    if (made !== dispatcher) void made?.close();
    return { headers: context.getHeaders(), dispatcher };
  }

  private keep(material: string, make: () => Dispatcher): Dispatcher {
    if (this.current?.material === material) return this.current.dispatcher;
    const old = this.current?.dispatcher;
    if (old !== undefined) setTimeout(() => void old.close(), LINGER_MS).unref();
    this.current = { dispatcher: make(), material };
    return this.current.dispatcher;
  }
}
