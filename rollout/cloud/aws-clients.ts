import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { EC2Client } from "@aws-sdk/client-ec2";
import { EKSClient } from "@aws-sdk/client-eks";
import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { ServiceQuotasClient } from "@aws-sdk/client-service-quotas";
import type { Clock } from "../clock.ts";
import { VERSION } from "../version.ts";
import { awsError, codeOf } from "./aws-errors.ts";
import { CloudError } from "./cloud.ts";

/** What the AWS parts of the cloud share: clients, and where and how long to wait. */
export interface Aws {
  region: string;
  clusterName: string;
  clock: Clock;
  /** Deadline of one write with everything that it waits for, in seconds. */
  timeoutSeconds: number;
  /** Ends the waits of the write at hand, and the reads that have a deadline of their own. */
  signal?: AbortSignal | undefined;
  ec2: EC2Client;
  eks: EKSClient;
  autoScaling: AutoScalingClient;
  loadBalancing: ElasticLoadBalancingV2Client;
  quotas: ServiceQuotasClient;
}

export interface AwsOptions {
  region: string;
  clusterName: string;
  clock: Clock;
  /** Deadline of one write with everything that it waits for, in seconds. */
  cloudTimeoutSeconds: number;
  /** Told of each attempt of each request. */
  onRequest?: ((service: string, action: string) => void) | undefined;
}

/** Attempts of one request: the SDK repeats what was throttled or lost, with backoff. */
const ATTEMPTS = 6;

export function awsClients({ region, clusterName, clock, cloudTimeoutSeconds, onRequest }: AwsOptions): Aws {
  const settings = {
    region,
    maxAttempts: ATTEMPTS,
    customUserAgent: [["patchguard", VERSION]] as [string, string][],
    requestHandler: { connectionTimeout: 5000, requestTimeout: 20_000, throwOnRequestTimeout: true },
  };
  return {
    region,
    clusterName,
    clock,
    timeoutSeconds: cloudTimeoutSeconds,
    ec2: told(new EC2Client(settings), "ec2", onRequest),
    eks: told(new EKSClient(settings), "eks", onRequest),
    autoScaling: told(new AutoScalingClient(settings), "autoscaling", onRequest),
    loadBalancing: told(new ElasticLoadBalancingV2Client(settings), "elasticloadbalancing", onRequest),
    quotas: told(new ServiceQuotasClient(settings), "servicequotas", onRequest),
  };
}

/** The part of the SDK's middleware stack that is needed here; its own types are generic over all commands of a client. */
interface Stack {
  addRelativeTo(
    middleware: (
      next: (args: unknown) => unknown,
      context: { commandName?: string },
    ) => (args: unknown) => unknown,
    options: { relation: "after"; toMiddleware: string; name: string; override: boolean },
  ): void;
}

/** The client, each attempt of whose requests is told of: behind the SDK's own repetitions. @param service as IAM names it */
function told<C extends { middlewareStack: object }>(
  client: C,
  service: string,
  onRequest: AwsOptions["onRequest"],
): C {
  if (onRequest === undefined) return client;
  (client.middlewareStack as Stack).addRelativeTo(
    (next, { commandName = "unknown" }) =>
      (args) => {
        onRequest(service, commandName.replace(/Command$/, ""));
        return next(args);
      },
    { relation: "after", toMiddleware: "retryMiddleware", name: "patchguardRequestCount", override: true },
  );
  return client;
}

/** Runs a call; whatever it throws leaves as a CloudError that names action and object. */
export async function call<T>(aws: Aws, action: string, object: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw awsError({ action, object, region: aws.region }, error);
  }
}

/** All pages of a paginated read. */
export const collect = <P, T>(
  aws: Aws,
  action: string,
  object: string,
  pages: AsyncIterable<P>,
  itemsOf: (page: P) => T[] | undefined,
): Promise<T[]> =>
  call(aws, action, object, async () => {
    const items: T[] = [];
    for await (const page of pages) items.push(...(itemsOf(page) ?? []));
    return items;
  });

/** Another change of the same object is still at work. */
const BUSY = [
  "ResourceInUseException",
  "ResourceInUse",
  "ResourceContention",
  "ScalingActivityInProgress",
  "ResourceContentionFault",
  "ScalingActivityInProgressFault",
  "ResourceInUseFault",
];

export const isBusy = (error: unknown): boolean => BUSY.includes(codeOf(error));

/** Milliseconds between two looks at something that takes seconds to minutes; grows from 1 s to 5 s. */
export const pause = (look: number): number => Math.min(1000 + look * 500, 5000);

/** The pause between two looks. @throws the signal's reason as soon as it aborts. */
export async function rest(aws: Aws, look: number): Promise<void> {
  await aws.clock.sleep(pause(look), aws.signal);
  aws.signal?.throwIfAborted();
}

/** A write that waits, until the deadline, while another change of the object is at work. */
export async function whenFree<T>(
  aws: Aws,
  deadline: number,
  action: string,
  object: string,
  run: () => Promise<T>,
): Promise<T> {
  for (let look = 0; ; look++) {
    aws.signal?.throwIfAborted();
    try {
      return await run();
    } catch (error) {
      if (!isBusy(error) || aws.clock.now() + pause(look) > deadline) {
        throw awsError({ action, object, region: aws.region }, error);
      }
    }
    await rest(aws, look);
  }
}

export const late = (aws: Aws, action: string, object: string, state: string): CloudError =>
  new CloudError(
    "Timeout",
    `${action} of ${object} in ${aws.region} was not finished after ${aws.timeoutSeconds} s (${state}). ` +
      `Look at it in the AWS console, then run again: nothing is done twice.`,
  );

/** Splits into lists of at most `size`. */
export function batches<T>(items: readonly T[], size: number): T[][] {
  const lists: T[][] = [];
  for (let at = 0; at < items.length; at += size) lists.push(items.slice(at, at + size));
  return lists;
}

/** Runs over all items, a few at a time: AWS throttles bursts. */
export async function eachOf<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const batch of batches(items, 5)) results.push(...(await Promise.all(batch.map(run))));
  return results;
}
