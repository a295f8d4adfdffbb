import assert from "node:assert/strict";
import type { Container, PodSpec } from "../../../../rollout/cluster/types.ts";
import { podRequests } from "../../../../rollout/fit/requests.ts";
import { podWith } from "./world.ts";

const container = (name: string, requests: Record<string, string>, restartPolicy?: string): Container => ({
  name,
  resources: { requests },
  ...(restartPolicy === undefined ? {} : { restartPolicy }),
});

describe("what a pod asks for", () => {
  const table: [what: string, spec: PodSpec, expected: Record<string, number>][] = [
    ["nothing", { containers: [{ name: "a" }] }, {}],
    [
      "the sum of its containers",
      {
        containers: [
          container("a", { cpu: "100m", memory: "1Ki" }),
          container("b", { cpu: "1", memory: "1" }),
        ],
      },
      { cpu: 1100, memory: 1025 },
    ],
    [
      "the largest init container where that is more",
      {
        containers: [container("a", { cpu: "1", memory: "10" })],
        initContainers: [container("i", { cpu: "3" }), container("j", { cpu: "2", memory: "5" })],
      },
      { cpu: 3000, memory: 10 },
    ],
    [
      "sidecars run beside the containers",
      {
        containers: [container("a", { cpu: "1" })],
        initContainers: [container("s", { cpu: "500m" }, "Always")],
      },
      { cpu: 1500 },
    ],
    [
      "an init container runs beside the sidecars before it only",
      {
        containers: [container("a", { cpu: "100m" })],
        initContainers: [
          container("s", { cpu: "1" }, "Always"),
          container("i", { cpu: "2" }),
          container("t", { cpu: "1" }, "Always"),
        ],
      },
      { cpu: 3000 },
    ],
    [
      "overhead of its runtime",
      { containers: [container("a", { cpu: "1" })], overhead: { cpu: "250m", memory: "1Mi" } },
      { cpu: 1250, memory: 1_048_576 },
    ],
    [
      "pod-level requests instead of the sum, and overhead on top",
      {
        containers: [container("a", { cpu: "1", "ephemeral-storage": "1" })],
        resources: { requests: { cpu: "200m", "ephemeral-storage": "9" } },
        overhead: { cpu: "50m" },
      },
      { cpu: 250, "ephemeral-storage": 1 },
    ],
    [
      "extended resources, hugepages and ephemeral storage",
      {
        containers: [
          container("a", { "nvidia.com/gpu": "1", "hugepages-2Mi": "4Mi", "ephemeral-storage": "1Gi" }),
        ],
      },
      { "nvidia.com/gpu": 1, "hugepages-2Mi": 4_194_304, "ephemeral-storage": 1_073_741_824 },
    ],
    [
      "fractions are summed before they are rounded up",
      { containers: [container("a", { memory: "0.5" }), container("b", { memory: "0.5" })] },
      { memory: 1 },
    ],
    ["zeros do not count", { containers: [container("a", { cpu: "0", "example.com/x": "0" })] }, {}],
  ];
  for (const [what, spec, expected] of table) {
    it(what, () => {
      assert.deepEqual(Object.fromEntries(podRequests(podWith("p", spec))), expected);
    });
  }

  it("while it is resized in place, the larger of what it wants and what it has", () => {
    const pod = podWith("p", { containers: [container("main", { cpu: "1" })] });
    const status = { name: "main", allocatedResources: { cpu: "2", memory: "1" } };
    pod.status = { containerStatuses: [status] };
    assert.deepEqual(Object.fromEntries(podRequests(pod)), { cpu: 2000, memory: 1 });
  });
});
