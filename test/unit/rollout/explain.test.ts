/** One line for each kind of trouble on the way to a cluster, told apart. */
import assert from "node:assert/strict";
import { awsError } from "../../../rollout/cloud/aws-errors.ts";
import { ApiError } from "../../../rollout/cluster/cluster.ts";
import { diagnose, type Trouble } from "../../../rollout/cluster/explain.ts";
import { KubeconfigError } from "../../../rollout/cluster/kubeconfig.ts";
import { networkReason } from "../../../rollout/cluster/network.ts";

const AT = "GET /api/v1/nodes at https://k8s.example";
const named = (name: string, message: string): Error => Object.assign(new Error(message), { name });
const socket = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code });
const aws = (error: Error): Error =>
  awsError(
    { action: "eks:DescribeNodegroup", object: "node group a of cluster prod", region: "eu-west-1" },
    error,
  );

const table: { name: string; error: unknown; trouble: Trouble; says: RegExp[] }[] = [
  {
    name: "nothing listens",
    error: new ApiError(0, "ECONNREFUSED", `${AT}: connection refused (ECONNREFUSED)`),
    trouble: "unreachable",
    says: [/cannot be reached/, /ECONNREFUSED/, /k8s\.example/, /VPN/],
  },
  {
    name: "no such host",
    error: new ApiError(0, "ENOTFOUND", `${AT}: no such host (ENOTFOUND)`),
    trouble: "unreachable",
    says: [/no such host/],
  },
  {
    name: "a certificate that the context does not trust",
    error: new ApiError(
      0,
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      `${AT}: unable to verify the first certificate`,
    ),
    trouble: "context",
    says: [/Wrong context/, /certificate/, /kubeconfig/],
  },
  {
    name: "something else answers",
    error: new ApiError(404, "NotKubernetes", `${AT}: 404 page not found`),
    trouble: "context",
    says: [/Wrong context/, /no Kubernetes API server/],
  },
  {
    name: "an expired credential",
    error: new ApiError(401, "Unauthorized", `${AT}: 401 Unauthorized`),
    trouble: "credential",
    says: [/expired or not valid/, /Log in again/],
  },
  {
    name: "a missing permission in the whole cluster",
    error: new ApiError(
      403,
      "Forbidden",
      `${AT}: 403 nodes is forbidden: User "ci" cannot list resource "nodes" in API group "" at the cluster scope`,
    ),
    trouble: "permission",
    says: [/user ci needs list on nodes in the whole cluster/, /ClusterRole/],
  },
  {
    name: "a missing permission in a namespace",
    error: new ApiError(
      403,
      "Forbidden",
      `POST: 403 pods "a" is forbidden: User "system:serviceaccount:ci:bot" cannot create resource "pods/eviction" in API group "policy" in the namespace "shop"`,
    ),
    trouble: "permission",
    says: [
      /user system:serviceaccount:ci:bot needs create on pods\/eviction\.policy in namespace shop/,
      /RoleBinding/,
    ],
  },
  {
    name: "an anonymous user is a credential that did not arrive",
    error: new ApiError(
      403,
      "Forbidden",
      `${AT}: 403 nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API group "" at the cluster scope`,
    ),
    trouble: "permission",
    says: [/anonymous/, /log in again/],
  },
  {
    name: "a missing context",
    error: new KubeconfigError('There is no context "prod" in kubeconfig a; there are dev, test.'),
    trouble: "context",
    says: [/dev, test/],
  },
  {
    name: "no AWS credentials, behind the cluster's own error",
    error: new ApiError(401, "NoCredential", "x", {
      cause: aws(named("CredentialsProviderError", "no providers")),
    }),
    trouble: "cloud",
    says: [/no AWS credentials/, /Log in again/],
  },
  {
    name: "an expired AWS token",
    error: aws(named("ExpiredTokenException", "The security token included in the request is expired")),
    trouble: "cloud",
    says: [
      /eks:DescribeNodegroup of node group a of cluster prod in eu-west-1/,
      /have expired/,
      /Log in again/,
    ],
  },
  {
    name: "a key that AWS does not know",
    error: aws(named("UnrecognizedClientException", "The security token included in the request is invalid")),
    trouble: "cloud",
    says: [/does not accept the credentials/],
  },
  {
    name: "a missing AWS permission, with the action AWS names",
    error: aws(
      named(
        "AccessDeniedException",
        "User: arn:aws:sts::1:assumed-role/ci/x is not authorized to perform: eks:DescribeNodegroup on resource: arn:aws:eks:eu-west-1:1:nodegroup/prod/a",
      ),
    ),
    trouble: "cloud",
    says: [/missing permission eks:DescribeNodegroup on arn:aws:eks/, /docs\/permissions\.md/],
  },
  {
    name: "a missing AWS permission that EC2 does not spell out",
    error: aws(named("UnauthorizedOperation", "You are not authorized to perform this operation.")),
    trouble: "cloud",
    says: [/missing permission eks:DescribeNodegroup/],
  },
  {
    name: "AWS out of reach, one error for each address",
    error: aws(Object.assign(new AggregateError([socket("ECONNREFUSED")], ""), { code: "ECONNREFUSED" })),
    trouble: "cloud",
    says: [/AWS cannot be reached/, /ECONNREFUSED/],
  },
  { name: "anything else keeps its message", error: new Error("a\n  b"), trouble: "other", says: [/^a b$/] },
];

describe("explain", () => {
  for (const { name, error, trouble, says } of table) {
    it(name, () => {
      const found = diagnose(error);
      assert.equal(found.trouble, trouble, found.text);
      assert.ok(!found.text.includes("\n"));
      for (const pattern of says) assert.match(found.text, pattern);
    });
  }

  it("finds the socket's error inside fetch's", () => {
    const inner = new AggregateError([socket("ECONNREFUSED"), socket("ENETUNREACH")], "");
    const outer = new TypeError("fetch failed", { cause: inner });
    assert.deepEqual(networkReason(outer), {
      code: "ECONNREFUSED",
      text: "connection refused (ECONNREFUSED)",
    });
  });
});
