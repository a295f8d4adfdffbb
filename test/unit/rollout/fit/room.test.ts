import assert from "node:assert/strict";
import type { Container } from "../../../../rollout/cluster/types.ts";
import { nodeAt, on, placementOf, podWith, said } from "./world.ts";
import { fits } from "../../../../rollout/fit/fits.ts";

describe("room on a node", () => {
  it("is what the pods leave of what is allocatable, finished ones apart", () => {
    const lists = {
      Node: [nodeAt("n", { allocatable: { memory: "4Gi" } })],
      Pod: [
        on("n", podWith("a", { requests: { memory: "2Gi" } })),
        { ...on("n", podWith("done", { requests: { memory: "2Gi" } })), status: { phase: "Succeeded" } },
      ],
    };
    assert.deepEqual(said(podWith("p", { requests: { memory: "2Gi" } }), lists), { n: "yes" });
    assert.deepEqual(said(podWith("p", { requests: { memory: "2049Mi" } }), lists), {
      n: "insufficient memory",
    });
    const verdict = fits(podWith("p", { requests: { memory: "3Gi" } }), lists.Node[0]!, placementOf(lists));
    assert.deepEqual(verdict.fits === "no" && verdict.stop.short, {
      resource: "memory",
      needs: 3 * 2 ** 30,
      free: 2 * 2 ** 30,
    });
  });

  it("has places for so many pods", () => {
    const lists = { Node: [nodeAt("n", { allocatable: { pods: "1" } })], Pod: [on("n", podWith("a"))] };
    assert.deepEqual(said(podWith("p"), lists), { n: "too many pods" });
  });

  it("lacks what the node does not offer", () => {
    const pod = podWith("p", { requests: { "nvidia.com/gpu": "1" } });
    assert.deepEqual(
      said(pod, { Node: [nodeAt("n"), nodeAt("g", { allocatable: { "nvidia.com/gpu": "1" } })] }),
      { n: "insufficient nvidia.com/gpu", g: "yes" },
    );
  });

  it("is given back when a pod is taken off", () => {
    const [node, pod] = [nodeAt("n"), on("n", podWith("a", { requests: { cpu: "4" } }))];
    const placement = placementOf({ Node: [node], Pod: [pod] });
    const other = podWith("b", { requests: { cpu: "4" } });
    assert.equal(fits(other, node, placement).fits, "no");
    placement.remove(placement.view(pod));
    assert.equal(fits(other, node, placement).fits, "yes");
  });
});

describe("host ports", () => {
  const port = (hostPort: number, hostIP?: string, protocol?: string): Container => ({
    name: "c",
    ports: [{ containerPort: 80, hostPort, ...(hostIP && { hostIP }), ...(protocol && { protocol }) }],
  });
  const table: [taken: Container, wanted: Container, expected: string][] = [
    [port(80), port(80), "host port 80/TCP in use"],
    [port(80), port(81), "yes"],
    [port(80, undefined, "UDP"), port(80), "yes"],
    [port(80, "10.0.0.1"), port(80, "10.0.0.2"), "yes"],
    [port(80, "10.0.0.1"), port(80), "host port 80/TCP in use"],
    [port(80), port(80, "10.0.0.1"), "host port 10.0.0.1:80/TCP in use"],
    [port(80, "10.0.0.1"), port(80, "10.0.0.1"), "host port 10.0.0.1:80/TCP in use"],
  ];
  for (const [taken, wanted, expected] of table) {
    it(`${JSON.stringify(taken.ports)} and ${JSON.stringify(wanted.ports)}: ${expected}`, () => {
      const lists = { Node: [nodeAt("n")], Pod: [on("n", podWith("a", { containers: [taken] }))] };
      assert.deepEqual(said(podWith("p", { containers: [wanted] }), lists), { n: expected });
    });
  }

  it("in the host's network every container port is one; sidecars hold theirs, init containers do not", () => {
    const hosted = podWith("a", {
      hostNetwork: true,
      containers: [{ name: "c", ports: [{ containerPort: 9100 }] }],
    });
    const lists = { Node: [nodeAt("n")], Pod: [on("n", hosted)] };
    assert.deepEqual(said(podWith("p", { containers: [port(9100)] }), lists), {
      n: "host port 9100/TCP in use",
    });
    const init = (restartPolicy?: string) =>
      podWith("p", { initContainers: [{ ...port(9100), ...(restartPolicy && { restartPolicy }) }] });
    assert.deepEqual(said(init(), lists), { n: "yes" });
    assert.deepEqual(said(init("Always"), lists), { n: "host port 9100/TCP in use" });
  });
});
