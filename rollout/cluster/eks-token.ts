import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Clock } from "../clock.ts";
import { credentialsError } from "../cloud/aws-errors.ts";

/** How long a token is used, in milliseconds. EKS takes it for 15 minutes; the rest is for slow clocks and long requests. */
const TOKEN_LIFE = 10 * 60 * 1000;

interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
  expiration?: Date | undefined;
}

export interface EksTokenOptions {
  clusterName: string;
  region: string;
  clock: Clock;
  /** Makes a credential provider, anew after each `invalidate`. By default the AWS default chain. */
  credentials?: () => () => Promise<AwsCredentials>;
}

/** Bearer tokens for an EKS cluster. They live in memory only. */
export interface EksTokens {
  /** @throws CloudError when there are no AWS credentials, or they cannot be refreshed. */
  get(): Promise<string>;
  /** Forgets the token (and the AWS credentials behind it), unless it has been replaced since `token` was handed out. */
  invalidate(token?: string): void;
}

/**
 * Makes the tokens as `aws eks get-token` does: a presigned STS GetCallerIdentity that carries the cluster's name in a signed
 * header (https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster).
 * The host is STS's own, whatever AWS_ENDPOINT_URL says: nobody here calls it, EKS does, and it takes no other.
 */
export function createEksTokens({
  clusterName,
  region,
  clock,
  credentials = chain(region),
}: EksTokenOptions): EksTokens {
  let provider = credentials();
  let made: { token: Promise<string>; text?: string; until: number } | undefined;

  async function make(): Promise<string> {
    let identity: AwsCredentials;
    try {
      identity = await provider();
    } catch (error) {
      throw credentialsError(`the token for EKS cluster ${clusterName}`, error);
    }
    return presign(identity, clusterName, region, new Date(clock.now()));
  }

  return {
    async get() {
      if (made === undefined || clock.now() >= made.until) {
        const current: NonNullable<typeof made> = { token: make(), until: clock.now() + TOKEN_LIFE };
        made = current;
        current.token.then(
          (text) => {
            current.text = text;
          },
          () => {
            if (made === current) made = undefined; // a failure is not kept: the next request asks again
          },
        );
      }
      return made.token;
    },
    invalidate(token) {
      if (token !== undefined && made?.text !== token) return;
      made = undefined;
      provider = credentials();
    },
  };
}

const chain = (region: string) => () => defaultProvider({ clientConfig: { region } });

/** Host of STS in a region. Tokens must name the regional one: some accounts have the global one switched off. */
export function stsHost(region: string): string {
  if (region.startsWith("cn-")) return `sts.${region}.amazonaws.com.cn`;
  if (region.startsWith("us-iso-")) return `sts.${region}.c2s.ic.gov`;
  if (region.startsWith("us-isob-")) return `sts.${region}.sc2s.sgov.gov`;
  return `sts.${region}.amazonaws.com`;
}

/** The token of one moment. Exported for the test against a vector of known keys. */
export async function presign(
  credentials: AwsCredentials,
  clusterName: string,
  region: string,
  at: Date,
): Promise<string> {
  const host = stsHost(region);
  const signer = new SignatureV4({ credentials, region, service: "sts", sha256: Sha256 });
  const request = await signer.presign(
    {
      method: "GET",
      protocol: "https:",
      hostname: host,
      path: "/",
      query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
      headers: { host, "x-k8s-aws-id": clusterName },
    },
    { expiresIn: 60, signingDate: at },
  );
  const query = Object.entries(request.query ?? {})
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`)
    .join("&");
  return `k8s-aws-v1.${Buffer.from(`https://${host}/?${query}`).toString("base64url")}`;
}

/** node:crypto in the shape that the signer asks for. */
class Sha256 {
  private readonly secret: string | ArrayBuffer | ArrayBufferView | undefined;
  private hash: Hash | Hmac;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.secret = secret;
    this.hash = this.start();
  }
  private start(): Hash | Hmac {
    if (this.secret === undefined) return createHash("sha256");
    return createHmac("sha256", typeof this.secret === "string" ? this.secret : bytes(this.secret));
  }
  update(data: Uint8Array): void {
    this.hash.update(data);
  }
  async digest(): Promise<Uint8Array> {
    return this.hash.digest();
  }
  reset(): void {
    this.hash = this.start();
  }
}

const bytes = (data: ArrayBuffer | ArrayBufferView): Uint8Array =>
  ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
