/** Codes of a connection that was never made: the request cannot have arrived. */
const BEFORE_SENDING = [
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
];

/** Codes with which TLS refuses the server's certificate. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|ERR_TLS|ERR_SSL|EPROTO/;

const WORDS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "host name cannot be resolved",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "no answer in time",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
  UND_ERR_SOCKET: "connection closed",
};

/** The innermost error with a code: undici wraps the socket's in "fetch failed", Node one for each address in an AggregateError. */
function rootOf(error: unknown): { code: string; message: string } {
  for (let at = error, depth = 0; at instanceof Error && depth < 6; depth++) {
    const { code, errors, cause } = at as Error & { code?: unknown; errors?: unknown };
    const inner: unknown = Array.isArray(errors) && errors.length > 0 ? errors[0] : cause;
    if (typeof code === "string" && !(inner instanceof Error)) return { code, message: at.message };
    if (!(inner instanceof Error)) return { code: at.name, message: at.message };
    at = inner;
  }
  return { code: "Unknown", message: String(error) };
}

/** Why no answer came, in a code and in words. */
export function networkReason(error: unknown): { code: string; text: string } {
  const { code, message } = rootOf(error);
  const words = WORDS[code];
  return { code, text: words === undefined ? message : `${words} (${code})` };
}

export const refusedBeforeSending = (error: unknown): boolean => BEFORE_SENDING.includes(rootOf(error).code);

export const isCertificateCode = (code: string): boolean => CERTIFICATE.test(code);
