import { ApiError } from "./cluster.ts";

/** The Status object with which the API server refuses (k8s.io/apimachinery meta/v1). */
export interface Status {
  kind: "Status";
  status?: "Success" | "Failure";
  message?: string;
  reason?: string;
  code?: number;
  details?: {
    name?: string;
    group?: string;
    kind?: string;
    causes?: { reason?: string; message?: string; field?: string }[];
    retryAfterSeconds?: number;
  };
}

/** An answer's body as a Status; undefined when a proxy or something that is no API server answered. */
export function parseStatus(body: string): Status | undefined {
  try {
    const parsed = JSON.parse(body) as Partial<Status> | null;
    return parsed?.kind === "Status" ? (parsed as Status) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // not JSON: the caller falls back on the text
    throw error;
  }
}

/** Seconds to wait before asking again, from the Status or the header (which may also be a date: not used by Kubernetes). */
export function retryAfterOf(status: Status | undefined, header: string | null): number | undefined {
  if (status?.details?.retryAfterSeconds) return status.details.retryAfterSeconds;
  const seconds = Number(header ?? "");
  return seconds > 0 ? seconds : undefined;
}

/** A refusal as an error. `request` says what was asked of which server. */
export function refusal(request: string, code: number, retryAfter: string | null, body: string): ApiError {
  const status = parseStatus(body);
  const text = status?.message ?? (body.replace(/\s+/g, " ").trim().slice(0, 200) || "no reason given");
  const retryAfterSeconds = retryAfterOf(status, retryAfter);
  return new ApiError(
    code,
    status?.reason || (status ? "Unknown" : "NotKubernetes"),
    `${request}: ${code} ${text}`,
    {
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      cause: status,
    },
  );
}
