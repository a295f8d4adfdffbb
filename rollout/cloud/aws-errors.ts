import { CloudError } from "./cloud.ts";

/** What was asked of AWS, for the error's sake. */
export interface AwsCall {
  /** As IAM spells it: `eks:DescribeNodegroup`. */
  action: string;
  /** The object, in words: `node group workers-a of cluster prod`. */
  object: string;
  region: string;
}

/** Names under which the SDK and the services report an error that is none of the request's own. */
const EXPIRED = ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];
const INVALID = [
  "InvalidClientTokenId",
  "UnrecognizedClientException",
  "AuthFailure",
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
  "MissingAuthenticationToken",
  "IncompleteSignature",
];
const DENIED = [
  "AccessDenied",
  "AccessDeniedException",
  "UnauthorizedOperation",
  "Client.UnauthorizedOperation",
];
const NO_CREDENTIALS = ["CredentialsProviderError", "TokenProviderError"];
const NETWORK =
  /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|TimeoutError|AbortError)$/;
const TLS = /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|ERR_TLS/;

const LOG_IN = "Log in again (for example `aws sso login`, or fresh keys in the environment)";

/** The error's own code: of the service, of the SDK, or of the socket. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "Unknown";
  const { code, Code, errors } = error as { code?: unknown; Code?: unknown; errors?: unknown };
  const socket = typeof code === "string" ? code : undefined;
  if (socket !== undefined && (NETWORK.test(socket) || TLS.test(socket))) return socket;
  // Node's "happy eyeballs": one error for each address that was tried
  if (Array.isArray(errors) && errors.length > 0) return codeOf(errors[0]);
  if (typeof Code === "string") return Code;
  return error.name === "Error" ? (socket ?? "Error") : error.name;
}

const textOf = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, " ").trim().replace(/\.$/, "") || codeOf(error);
};

/** Any failure of a call as a CloudError: the call, the object, the reason, what to do. */
export function awsError({ action, object, region }: AwsCall, error: unknown): CloudError {
  if (error instanceof CloudError) return error;
  const code = codeOf(error);
  const failed = (reason: string, todo: string): CloudError =>
    new CloudError(code, `${action} of ${object} in ${region} failed: ${reason}. ${todo}.`, { cause: error });
  if (NO_CREDENTIALS.includes(code))
    return failed(`no AWS credentials (${textOf(error)})`, `${LOG_IN}, then run again`);
  if (EXPIRED.includes(code))
    return failed(`the AWS credentials have expired (${code})`, `${LOG_IN}, then run again`);
  if (INVALID.includes(code)) {
    return failed(
      `AWS does not accept the credentials (${code}: ${textOf(error)})`,
      `Check the profile and keys, then run again`,
    );
  }
  if (DENIED.includes(code)) {
    const said = /is not authorized to perform: ([\w-]+:\w+)(?: on resource: (\S+))?/.exec(textOf(error));
    const missing = said?.[1] ?? action;
    const on = said?.[2] === undefined ? "" : ` on ${said[2]}`;
    return failed(
      `missing permission ${missing}${on} (${textOf(error)})`,
      `Allow ${missing} in the policy of the role that runs PatchGuard (docs/permissions.md), then run again`,
    );
  }
  if (NETWORK.test(code)) {
    const endpoint = process.env["AWS_ENDPOINT_URL"];
    return failed(
      `AWS cannot be reached${endpoint === undefined ? "" : ` at ${endpoint} (AWS_ENDPOINT_URL)`} (${code}: ${textOf(error)})`,
      `Check the network, proxy and region, then run again`,
    );
  }
  if (TLS.test(code)) {
    return failed(
      `the certificate of the AWS endpoint is not trusted (${code})`,
      `Check proxies in between and NODE_EXTRA_CA_CERTS, then run again`,
    );
  }
  return failed(`${code}: ${textOf(error)}`, `Mend what it names, then run again`);
}

/** A failure in a few words, for what goes on without: `ec2:DescribeSubnets is not allowed`. No full stop. */
export function failureOf(error: unknown): string {
  if (!(error instanceof CloudError)) return textOf(error);
  const action = error.message.split(" ")[0] ?? "";
  if (DENIED.includes(error.code)) return `${action} is not allowed`;
  return `${action} failed (${error.code}: ${textOf(error.cause ?? error)})`;
}

/** The credential chain found nothing, or could not refresh what it found. */
export const credentialsError = (object: string, error: unknown): CloudError =>
  new CloudError(
    codeOf(error),
    `${object} cannot be made: no AWS credentials (${textOf(error)}). ${LOG_IN}, then run again.`,
    {
      cause: error,
    },
  );
