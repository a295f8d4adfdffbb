import { CloudError } from "../cloud/cloud.ts";
import { ApiError } from "./cluster.ts";
import { KubeconfigError } from "./kubeconfig.ts";
import { isCertificateCode } from "./network.ts";

/** What kind of trouble stands between PatchGuard and the cluster. */
export type Trouble = "unreachable" | "credential" | "permission" | "context" | "cloud" | "other";

/**
 * One line for people: what is wrong, and the next step. Tells an unreachable cluster, a credential that is expired or unknown,
 * a missing permission and a wrong context apart. Any other error keeps its message.
 */
export const explain = (error: unknown): string => diagnose(error).text;

export function diagnose(error: unknown): { trouble: Trouble; text: string } {
  const known = firstKnown(error);
  if (known instanceof KubeconfigError) return { trouble: "context", text: oneLine(known.message) };
  if (known instanceof CloudError) return { trouble: "cloud", text: oneLine(known.message) };
  if (known instanceof ApiError) return ofApi(known);
  return { trouble: "other", text: oneLine(error instanceof Error ? error.message : String(error)) };
}

function ofApi(error: ApiError): { trouble: Trouble; text: string } {
  const said = oneLine(error.message).replace(/\.$/, "");
  if (error.status === 0 && isCertificateCode(error.reason)) {
    return {
      trouble: "context",
      text: `Wrong context, or a certificate that was renewed: the certificate of the API server is not the one that the kubeconfig trusts (${said}). Write the kubeconfig anew (for example \`aws eks update-kubeconfig\`), or choose another context.`,
    };
  }
  if (error.status === 0) {
    return {
      trouble: "unreachable",
      text: `The cluster cannot be reached: ${said}. Check that it runs and that this machine may reach its endpoint (network, VPN, allowed addresses), then run again.`,
    };
  }
  if (error.reason === "NotKubernetes") {
    return {
      trouble: "context",
      text: `Wrong context: what answers is no Kubernetes API server (${said}). Check the server of the context and proxies in between.`,
    };
  }
  if (error.status === 401) {
    return {
      trouble: "credential",
      text: `The credential is expired or not valid for this cluster: ${said}. Log in again (for example \`aws sso login\`), check that the cluster knows this identity (EKS access entry), then run again.`,
    };
  }
  if (error.status === 403) return { trouble: "permission", text: ofForbidden(said) };
  return { trouble: "other", text: `${said}.` };
}

/** Kubernetes says it in one fixed form: User "x" cannot list resource "pods" in API group "" in the namespace "y". */
const FORBIDDEN =
  /User "([^"]*)" cannot (\S+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)"| at the cluster scope)?/;

function ofForbidden(said: string): string {
  const match = FORBIDDEN.exec(said);
  if (match === null)
    return `The API server forbids it: ${said}. Ask who runs the cluster to allow it, then run again.`;
  const [, user, verb, resource, group, namespace] = match;
  const what = `${verb} on ${resource}${group ? `.${group}` : ""} ${namespace ? `in namespace ${namespace}` : "in the whole cluster"}`;
  if (user === "system:anonymous") {
    return `The credential did not reach the API server (it sees an anonymous user asking for ${what}). Check the user of the context, log in again, then run again.`;
  }
  return `Missing permission: user ${user} needs ${what}. Grant it with a ${namespace ? "Role and RoleBinding" : "ClusterRole and ClusterRoleBinding"} (docs/permissions.md), then run again.`;
}

const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim();

/** The error itself or the first of its causes that this module has words for. */
function firstKnown(error: unknown): unknown {
  for (let at = error, depth = 0; at instanceof Error && depth < 6; at = at.cause, depth++) {
    if (at instanceof KubeconfigError || at instanceof CloudError) return at;
    if (at instanceof ApiError) return at.cause instanceof CloudError ? at.cause : at;
  }
  return error;
}
