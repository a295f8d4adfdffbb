import type { z } from "zod";
import type { Problem } from "./error.ts";

/** Settings that people look for in places where they do not exist, and why. */
const HINTS: Record<string, string> = {
  secure: "the value is encrypted; PatchGuard's settings are no secrets, set it without --secret",
  targetGroupArns:
    "EKS managed groups carry no target groups; let the AWS Load Balancer Controller register the nodes, or make the pool self-managed",
  launchTemplate: "PatchGuard makes the launch templates, one for each generation",
  desired: "is part of size: { min, max, desired }",
  timeout: "times are whole seconds: timeoutSeconds",
  maxDuration: "times are whole seconds: maxDurationSeconds",
  ami: "is part of image: { ami: … }",
  subnetIds: "is given by zone: zones: { <zone>: <subnet id> }",
  updateConfig: "PatchGuard never lets EKS roll a group in place, so nothing would read it",
};

/** `["patchguard:pools", 0, "labels", "a.b/c"]` → `patchguard:pools[0].labels["a.b/c"]` */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      const key = String(part);
      if (index === 0) return key;
      return /^[A-Za-z_][-\w]*$/.test(key) ? `.${key}` : `["${key}"]`;
    })
    .join("");
}

/** zod's issues as problems: one for each unknown key, and the reason, not the name, of a wrong key. */
export function problemsOf(error: z.ZodError, root: string): Problem[] {
  return error.issues.flatMap((issue) => {
    const path = pathText([root, ...issue.path]);
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => ({
        path: pathText([root, ...issue.path, key]),
        reason: HINTS[key] ?? "is not a setting (docs/configuration.md lists them all)",
      }));
    if (issue.code === "invalid_key") return issue.issues.map(({ message }) => ({ path, reason: message }));
    const missing =
      issue.input === undefined &&
      (issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union");
    const message = inWords(issue);
    return [{ path, reason: missing ? `is missing: ${message}` : message }];
  });
}

const TYPES: Record<string, string> = {
  object: "a map",
  record: "a map",
  array: "a list",
  string: "text",
  number: "a number",
  boolean: "true or false",
};

/** The library's own messages in the words of the docs; fields with a message of their own keep it. */
function inWords(issue: z.core.$ZodIssue): string {
  if (!issue.message.startsWith("Invalid")) return issue.message;
  if (issue.code === "invalid_type") return `must be ${TYPES[issue.expected] ?? issue.expected}`;
  if (issue.code === "invalid_value") return `must be one of ${issue.values.map(String).join(", ")}`;
  return issue.message;
}
