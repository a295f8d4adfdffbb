/** What runs on the nodes that are drained: the workload mixes of docs/benchmarks.md. Ten pods a node in each. */
import type { FakeNode } from "../../support/nodes.ts";
import { budget, deployment, statefulSet, type Manifest } from "../../support/workloads.ts";
import type { BoundWorkload, Times } from "../lower-bound.ts";

export const POOL = "bench";
export const OLD = "aaaaaaaa";
export const NEW = "bbbbbbbb";
const PODS_PER_NODE = 10;

/** The same for all: the sandbox's own volume times, and what the pods' annotations say. */
export const TIMES: Times = { start: 2, stop: 5, detach: 1, attach: 1, quiet: 5 };

export interface Workload extends BoundWorkload {
  replicas: number;
  manifest: Manifest;
}

export interface Mix {
  name: string;
  about: string;
  workloads(nodes: number): Workload[];
  node?: (at: number) => Partial<FakeNode>;
  /** Deployments that get more replicas in mid-run, as an autoscaler of pods does it, and how many more each. */
  scaleOut?: { apps: (workloads: Workload[]) => Workload[]; by: number };
  /** Needs the machine room, which plays the CSI driver. */
  volumes: boolean;
  /** kubectl's figures are wanted, too. */
  peers: boolean;
}

const annotated = { start: `${TIMES.start}s`, stop: `${TIMES.stop}s` };
const pad = (at: number): string => String(at).padStart(3, "0");

const app = (at: number, replicas: number, spec: Record<string, unknown> = {}): Workload => {
  const name = `app-${pad(at)}`;
  const manifest = deployment({ name, replicas, ...annotated, spec });
  return { name, replicas, manifest, ordered: false, volumes: false, maxUnavailable: 1 };
};

const set = (at: number, replicas: number): Workload => {
  const name = `db-${pad(at)}`;
  const manifest = statefulSet({ name, replicas, ...annotated, storage: "zonal" });
  return { name, replicas, manifest, ordered: true, volumes: true, maxUnavailable: 1 };
};

const many = (count: number, make: (at: number) => Workload): Workload[] =>
  Array.from({ length: Math.round(count) }, (_, at) => make(at));

/** Anti-affinity to its own kind, affinity to a neighbour's zone, or neither: in turns. */
function affinity(at: number): Record<string, unknown> {
  const near = (name: string, topologyKey: string) => ({
    requiredDuringSchedulingIgnoredDuringExecution: [
      { labelSelector: { matchLabels: { app: name } }, topologyKey },
    ],
  });
  const own = `app-${pad(at)}`;
  if (at % 3 === 0) return { affinity: { podAntiAffinity: near(own, "kubernetes.io/hostname") } };
  if (at % 3 === 1)
    return { affinity: { podAffinity: near(`app-${pad(at - 1)}`, "topology.kubernetes.io/zone") } };
  return {};
}

export const MIXES: Mix[] = [
  {
    name: "stateless",
    about: "Deployments of 5, maxUnavailable 1",
    workloads: (nodes) => many((nodes * PODS_PER_NODE) / 5, (at) => app(at, 5)),
    volumes: false,
    peers: true,
  },
  {
    name: "stateful",
    about:
      "30 % of the pods in StatefulSets of 3 with zonal volumes, the others in Deployments of 5; maxUnavailable 1",
    workloads: (nodes) => [
      ...many((nodes * PODS_PER_NODE * 0.3) / 3, (at) => set(at, 3)),
      ...many((nodes * PODS_PER_NODE * 0.7) / 5, (at) => app(at, 5)),
    ],
    volumes: true,
    peers: true,
  },
  {
    name: "tight",
    about: "Deployments of 25, maxUnavailable 1",
    workloads: (nodes) => many((nodes * PODS_PER_NODE) / 25, (at) => app(at, 25)),
    volumes: false,
    peers: true,
  },
  {
    name: "uneven",
    about:
      "Deployments of 5, two thirds of them with required affinity or anti-affinity, on nodes of 2, 4 and 8 CPUs; a quarter of them grow by 2 in mid-run",
    workloads: (nodes) =>
      many((nodes * PODS_PER_NODE) / 5, (at) =>
        app(at, 5, {
          ...affinity(at),
          containers: [
            {
              name: "main",
              image: "example.com/main:1",
              resources: { requests: { cpu: "250m", memory: "64Mi" } },
            },
          ],
        }),
      ),
    node: (at) => ({ cpu: ["2", "4", "8"][Math.floor(at / 3) % 3] ?? "8" }),
    scaleOut: { apps: (workloads) => workloads.filter((_, at) => at % 4 === 2), by: 2 },
    volumes: false,
    peers: false,
  },
];

export const manifestsOf = ({ name, manifest, maxUnavailable }: Workload): Manifest[] => [
  manifest,
  budget({ name, app: name, maxUnavailable }),
];
