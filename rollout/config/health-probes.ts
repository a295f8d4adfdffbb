import { z } from "zod";
import { dnsLabel, flag, nonEmpty, seconds, wholeNumber } from "./fields.ts";

/** `health.probes`: health checks of the user's own, made once for each sample. No credential stands here. */

/** A probe is given up after this long unless it says otherwise, or after half of the sample interval if that is shorter. Seconds. */
export const PROBE_TIMEOUT_SECONDS = 5;

const port = () => wholeNumber(1, 65535, "a port");

/** Unlike addresses elsewhere it may have a query: health pages know `?full=1`. */
const address = nonEmpty("an address such as https://shop.example.com/healthz").superRefine(
  (value, context) => {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    const wrong = (message: string): void => context.addIssue({ code: "custom", message });
    if (url === undefined || !/^https?:$/.test(url.protocol))
      wrong("is no address such as https://shop.example.com/healthz");
    else if (url.username !== "" || url.password !== "")
      wrong("must not hold a user name or a password: credentials never stand in the config");
  },
);

const http = z
  .strictObject({
    /** Asked from where `pulumi up` runs. */
    url: address.optional(),
    /** In place of `url`: a Service of the cluster, asked through the API server. */
    service: z
      .strictObject({
        namespace: dnsLabel(63),
        name: dnsLabel(63),
        port: port(),
        /** Default: http. */
        scheme: z.enum(["http", "https"], { error: () => "must be http or https" }).default("http"),
      })
      .optional(),
    /** Of a Service: the path that is asked for. Default: /. */
    path: nonEmpty("a path such as /healthz")
      .startsWith("/", { error: () => "must begin with /" })
      .optional(),
    /** Answers that are well. Default: 200 to 399. */
    status: z
      .array(wholeNumber(100, 599, "an HTTP status"))
      .min(1, { error: () => "must name at least one status such as 200" })
      .optional(),
    /** Text that the answer's body must contain. Default: none. */
    contains: nonEmpty("a text such as ready").optional(),
  })
  .superRefine(({ url, service, path }, context) => {
    const wrong = (field: string, message: string): void =>
      context.addIssue({ code: "custom", message, path: [field] });
    if ((url === undefined) === (service === undefined))
      wrong("url", "is needed, or service in its place: one of the two");
    if (url !== undefined && path !== undefined)
      wrong("path", "belongs to service; of a url it is a part of the address");
  });

const tcp = z.strictObject({ host: nonEmpty("a host name or an address"), port: port() });

const grpc = z.strictObject({
  /** `host:port`. */
  address: nonEmpty("an address such as pay.example.com:443").regex(/^\S+:\d{1,5}$/, {
    error: (issue) => `${JSON.stringify(issue.input)} is no address such as pay.example.com:443`,
  }),
  /** As grpc.health.v1.Health is asked for it. Default: none, the server as a whole. */
  service: nonEmpty("the name of a service such as shop.Payments").optional(),
  /** Default: false. */
  tls: flag().default(false),
});

const KINDS = ["http", "tcp", "grpc", "command"] as const;

const probe = z
  .strictObject({
    /** Unique among the probes; appears in messages, alerts and evidence. */
    name: dnsLabel(63),
    /** An HTTP GET. */
    http: http.optional(),
    /** A connection is made, and closed. */
    tcp: tcp.optional(),
    /** The standard health check of gRPC. */
    grpc: grpc.optional(),
    /** A program and its arguments, started without a shell; exit code 0 is well. */
    command: z
      .array(nonEmpty("a part of a command"))
      .min(1, { error: () => "must name a program" })
      .optional(),
    /** Whose health it tells: `Deployment shop/web`. Judged when that has moved. Default: its own, judged in every window. */
    workload: nonEmpty("a workload such as Deployment shop/web")
      .regex(/^[A-Z][A-Za-z]* [-a-z0-9]+\/[-a-z0-9.]+$/, {
        error: (issue) => `${JSON.stringify(issue.input)} is no workload such as Deployment shop/web`,
      })
      .optional(),
    /** It failed if there is no answer by then. Seconds; default 5, at most half of the sample interval. */
    timeoutSeconds: seconds(1, 60).optional(),
    /** Failed probes that a window bears. Default: a quarter, and one at least. */
    failureLimit: wholeNumber(0, 1000, "a number of probes").optional(),
    /** Good probes that a window must end with. Default: 3. */
    consecutiveSuccesses: wholeNumber(0, 1000, "a number of probes").default(3),
  })
  .superRefine((value, context) => {
    const given = KINDS.filter((kind) => value[kind] !== undefined);
    if (given.length !== 1)
      context.addIssue({
        code: "custom",
        path: [given[1] ?? "http"],
        message:
          given.length === 0
            ? `is missing: a probe has one of ${KINDS.join(", ")}`
            : `is one too many beside ${given[0]}: a probe has one of ${KINDS.join(", ")}`,
      });
  });

export const probes = z.array(probe).default([]);

export type ProbeConfig = z.output<typeof probe>;
