import assert from "node:assert/strict";
import { createAwsCloud } from "../../../../rollout/cloud/aws.ts";
import { systemClock } from "../../../../rollout/clock.ts";
import { RequestCounts, requestOf } from "../../../../rollout/observed/requests.ts";

describe("what is asked of the API server", () => {
  const CASES: [method: string, path: string, verb: string, resource: string][] = [
    ["GET", "/version", "get", "/version"],
    ["GET", "/api/v1/nodes?limit=500&resourceVersion=0", "list", "nodes"],
    ["GET", "/api/v1/pods?watch=true&resourceVersion=7", "watch", "pods"],
    ["GET", "/api/v1/namespaces/shop/pods", "list", "pods"],
    ["GET", "/api/v1/namespaces", "list", "namespaces"],
    ["GET", "/api/v1/namespaces/shop", "get", "namespaces"],
    ["GET", "/api/v1/namespaces/kube-system/configmaps/patchguard-workers", "get", "configmaps"],
    ["GET", "/apis/policy/v1/poddisruptionbudgets?watch=true", "watch", "poddisruptionbudgets"],
    ["PATCH", "/api/v1/nodes/a?fieldManager=patchguard&timeout=30s", "patch", "nodes"],
    ["POST", "/api/v1/namespaces/shop/events?timeout=30s", "create", "events"],
    ["DELETE", "/api/v1/namespaces/kube-system/configmaps/x", "delete", "configmaps"],
    ["POST", "/api/v1/namespaces/shop/pods/web-1/eviction?timeout=30s", "create", "pods/eviction"],
    [
      "POST",
      "/api/v1/namespaces/shop/pods/web-1/eviction?timeout=30s&dryRun=All",
      "dry-run",
      "pods/eviction",
    ],
  ];
  for (const [method, path, verb, resource] of CASES)
    it(`${method} ${path}`, () => assert.deepEqual(requestOf(method, path), { verb, resource }));

  it("is counted by verb and resource, in a stable order", () => {
    const requests = new RequestCounts();
    for (const path of ["/version", "/api/v1/nodes", "/api/v1/nodes?watch=true", "/api/v1/nodes"])
      requests.toKubernetes("GET", path);
    assert.deepEqual(requests.counts().kubernetes, [
      { verb: "get", resource: "/version", count: 1 },
      { verb: "list", resource: "nodes", count: 2 },
      { verb: "watch", resource: "nodes", count: 1 },
    ]);
  });
});

describe("what is asked of the cloud", () => {
  it("each attempt counts, under the names that IAM has for it", async function () {
    this.timeout(60_000);
    const before = { ...process.env };
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: "http://127.0.0.1:1", // nobody listens there
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
    });
    try {
      const requests = new RequestCounts();
      const cloud = createAwsCloud({
        region: "us-east-1",
        clusterName: "prod",
        clock: systemClock,
        cloudTimeoutSeconds: 5,
        onRequest: (service, action) => requests.toCloud(service, action),
      });
      await assert.rejects(cloud.group("eks-managed", "workers"));
      const [only, ...others] = requests.counts().cloud;
      assert.deepEqual(others, []);
      assert.deepEqual([only?.service, only?.action], ["eks", "DescribeNodegroup"]);
      assert.ok((only?.count ?? 0) > 1, "the SDK tried more than once");
    } finally {
      process.env = before;
    }
  });
});
