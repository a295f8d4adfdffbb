/** What each answer of the Eviction API means. Bodies as kube-apiserver 1.34 sends them. */
import assert from "node:assert/strict";
import type { EvictionResult } from "../../../rollout/cluster/cluster.ts";
import { classifyEviction } from "../../../rollout/cluster/eviction.ts";

const status = (code: number, reason: string, message: string, details: object = {}): string =>
  JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", message, reason, details, code });
const VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget.";
const budgetCause = (message: string): object => ({ causes: [{ reason: "DisruptionBudget", message }] });
const SPENT = "The disruption budget web needs 2 healthy pods and has 2 currently";
const STALE = "The disruption budget web is still being processed by the server.";
const SEVERAL =
  "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
const OTHER_UID =
  'Operation cannot be fulfilled on Pod "web-0": the UID in the precondition (a) does not match the UID in record (b). The object might have been deleted and then recreated';
const TERMINATING =
  'pods "web-0" is forbidden: unable to create new content in namespace shop because it is being terminated';
const NEGATIVE = 'poddisruptionbudget.policy "web" is forbidden: pdb disruptions allowed is negative';
const DENIED =
  'pods "web-0" is forbidden: User "ci" cannot create resource "pods/eviction" in API group "" in the namespace "shop"';
const WEBHOOK =
  'admission webhook "drain.example.org" denied the request: the operator moves this pod itself';

const table: {
  name: string;
  code: number;
  retryAfter?: string;
  body: string;
  expected: EvictionResult;
}[] = [
  {
    name: "201 Success",
    code: 201,
    body: JSON.stringify({ kind: "Status", status: "Success", code: 201 }),
    expected: { outcome: "evicted" },
  },
  { name: "200 without a body", code: 200, body: "", expected: { outcome: "evicted" } },
  {
    name: "404 of the pod",
    code: 404,
    body: status(404, "NotFound", 'pods "web-0" not found', { name: "web-0", kind: "pods" }),
    expected: { outcome: "gone" },
  },
  {
    name: "404 of the namespace",
    code: 404,
    body: status(404, "NotFound", 'namespaces "shop" not found', { name: "shop", kind: "namespaces" }),
    expected: { outcome: "gone" },
  },
  {
    name: "404 of a proxy says nothing of the pod",
    code: 404,
    body: "<html>not found</html>",
    expected: { outcome: "refused", status: 404, message: "<html>not found</html>" },
  },
  {
    name: "404 of the API group says nothing of the pod",
    code: 404,
    body: status(404, "NotFound", "the server could not find the requested resource"),
    expected: {
      outcome: "refused",
      status: 404,
      message: "the server could not find the requested resource",
    },
  },
  {
    name: "404 of the budget, deleted meanwhile",
    code: 404,
    body: status(404, "NotFound", 'poddisruptionbudgets.policy "web" not found', {
      kind: "poddisruptionbudgets",
    }),
    expected: { outcome: "budget-stale", message: 'poddisruptionbudgets.policy "web" not found' },
  },
  {
    name: "409 on the UID precondition",
    code: 409,
    body: status(409, "Conflict", OTHER_UID, { name: "web-0", kind: "Pod" }),
    expected: { outcome: "gone" },
  },
  {
    name: "409 on the UID precondition, in the storage's words",
    code: 409,
    body: status(409, "Conflict", "Precondition failed: UID in precondition: a, UID in object meta: b"),
    expected: { outcome: "gone" },
  },
  {
    name: "409 with a concurrent write of the pod is not gone",
    code: 409,
    body: status(409, "Conflict", "the object has been modified", { kind: "pods" }),
    expected: { outcome: "refused", status: 409, message: "the object has been modified" },
  },
  {
    name: "409 with a concurrent write of the budget",
    code: 409,
    body: status(409, "Conflict", "the object has been modified", {
      kind: "poddisruptionbudgets",
      group: "policy",
    }),
    expected: { outcome: "budget-stale", message: "the object has been modified" },
  },
  {
    name: "429 of a spent budget",
    code: 429,
    body: status(429, "TooManyRequests", VIOLATES, budgetCause(SPENT)),
    expected: { outcome: "budget", budget: "web", message: SPENT },
  },
  {
    name: "429 of a spent budget, with a wait in the header",
    code: 429,
    retryAfter: "7",
    body: status(429, "TooManyRequests", VIOLATES, budgetCause(SPENT)),
    expected: { outcome: "budget", budget: "web", message: SPENT, retryAfterSeconds: 7 },
  },
  {
    name: "429 of a budget that is still being processed",
    code: 429,
    retryAfter: "3",
    body: status(429, "TooManyRequests", VIOLATES, { ...budgetCause(STALE), retryAfterSeconds: 10 }),
    expected: { outcome: "budget-stale", message: STALE, retryAfterSeconds: 10 },
  },
  {
    name: "429 of a busy server",
    code: 429,
    retryAfter: "1",
    body: "Too many requests, please try again later.\n",
    expected: {
      outcome: "throttled",
      message: "Too many requests, please try again later.",
      retryAfterSeconds: 1,
    },
  },
  {
    name: "429 of priority and fairness as a Status",
    code: 429,
    body: status(429, "TooManyRequests", "too many requests", { retryAfterSeconds: 2 }),
    expected: { outcome: "throttled", message: "too many requests", retryAfterSeconds: 2 },
  },
  {
    name: "429 with a cause that is no budget's",
    code: 429,
    body: status(429, "TooManyRequests", "not now", {
      causes: [{ reason: "FieldValueInvalid", message: "x" }],
    }),
    expected: { outcome: "throttled", message: "not now" },
  },
  {
    name: "500 of several budgets",
    code: 500,
    body: status(500, "", SEVERAL),
    expected: { outcome: "several-budgets", message: SEVERAL },
  },
  {
    name: "several budgets inside an answer that HTTP calls a success",
    code: 201,
    body: status(500, "", SEVERAL),
    expected: { outcome: "several-budgets", message: SEVERAL },
  },
  {
    name: "500 of anything else is transient",
    code: 500,
    body: status(500, "InternalError", "etcdserver: leader changed"),
    expected: { outcome: "refused", status: 500, message: "etcdserver: leader changed" },
  },
  {
    name: "403 of a terminating namespace",
    code: 403,
    body: status(403, "Forbidden", TERMINATING, {
      kind: "pods",
      causes: [{ reason: "NamespaceTerminating", message: "namespace shop is being terminated" }],
    }),
    expected: { outcome: "namespace-terminating", message: TERMINATING },
  },
  {
    name: "403 of a budget below zero",
    code: 403,
    body: status(403, "Forbidden", NEGATIVE, { name: "web", group: "policy", kind: "poddisruptionbudget" }),
    expected: { outcome: "budget", budget: "web", message: NEGATIVE },
  },
  {
    name: "403 of a missing permission",
    code: 403,
    body: status(403, "Forbidden", DENIED, { name: "web-0", kind: "pods" }),
    expected: { outcome: "refused", status: 403, message: DENIED },
  },
  {
    name: "a webhook's denial",
    code: 400,
    body: status(400, "BadRequest", WEBHOOK),
    expected: { outcome: "refused", status: 400, message: WEBHOOK },
  },
  {
    name: "504 after conflicts over the budget",
    code: 504,
    body: status(504, "Timeout", 'couldn\'t update PodDisruptionBudget "web" due to conflicts', {
      retryAfterSeconds: 10,
    }),
    expected: {
      outcome: "budget-stale",
      message: 'couldn\'t update PodDisruptionBudget "web" due to conflicts',
      retryAfterSeconds: 10,
    },
  },
  {
    name: "503 of a proxy without a body",
    code: 503,
    body: "",
    expected: { outcome: "refused", status: 503, message: "no reason given" },
  },
];

describe("eviction taxonomy", () => {
  for (const { name, code, retryAfter, body, expected } of table) {
    it(name, () => assert.deepEqual(classifyEviction(code, retryAfter ?? null, body), expected));
  }
});
