/** Random small placements and pods that look for a node, for comparing the simulation with the real scheduler. */
import fc from "fast-check";
import type { Manifest } from "./workloads.ts";

/** Of one world: `$` in names and labels stands for its name, so that worlds do not meet although they share a cluster. */
export interface WorldCase {
  nodes: NodeCase[];
  pods: PodCase[];
  candidates: PodCase[];
}

interface NodeCase {
  zone: string | undefined;
  labels: Record<string, string>;
  taints: { key: string; value?: string; effect: string }[];
  cordoned: boolean;
  allocatable: Record<string, string>;
  volumes: number | undefined;
}

export interface PodCase {
  /** Index of the node; not of a candidate. */
  node?: number;
  second: boolean;
  labels: Record<string, string>;
  spec: Record<string, unknown>;
}

export const WORLD = "test.example.com/world";
export const ROLE = "test.example.com/role";
export const DRIVER = "csi.test.example.com";
const ZONE = "topology.kubernetes.io/zone";
const HOST = "kubernetes.io/hostname";
const RACK = "test.example.com/rack";
const ZONES = ["za", "zb", "zc"];

const some = <T>(value: fc.Arbitrary<T>, oneIn: number): fc.Arbitrary<T | undefined> =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: oneIn - 1 }, { arbitrary: value, weight: 1 });
const pick = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
/** Without the fields that are undefined: the API server would take null for a value. */
const compact = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, it]) => it !== undefined)) as T;

const node: fc.Arbitrary<NodeCase> = fc
  .record({
    zone: some(pick(...ZONES), 8).chain((absent) =>
      absent === undefined ? pick<string | undefined>(...ZONES) : fc.constant(undefined),
    ),
    disk: some(pick("ssd", "hdd"), 2),
    cores: some(pick("4", "8", "x"), 3),
    rack: some(pick("r1", "r2"), 2),
    taints: fc.uniqueArray(
      pick(
        { key: "dedicated", value: "a", effect: "NoSchedule" },
        { key: "dedicated", value: "b", effect: "NoExecute" },
        { key: "soft", effect: "PreferNoSchedule" },
        { key: "flag", effect: "NoSchedule" },
      ),
      { maxLength: 1, selector: ({ key, effect }) => key + effect },
    ),
    tainted: fc.nat(2),
    cordoned: fc.nat(7),
    allocatable: fc.record({
      cpu: pick("1", "2", "1500m"),
      memory: pick("2Gi", "4Gi", "3500M"),
      pods: pick("3", "5", "110"),
      gpu: some(pick("1", "2"), 3),
      huge: some(pick("64Mi"), 4),
      "ephemeral-storage": pick("10Gi", "20Gi"),
    }),
    volumes: some(pick(1, 2, 3), 2),
  })
  .map(
    ({
      zone,
      disk,
      cores,
      rack,
      taints,
      tainted,
      cordoned,
      allocatable: { gpu, huge, ...rest },
      volumes,
    }) => ({
      zone,
      labels: compact({ disk, cores, [RACK]: rack }) as Record<string, string>,
      taints: tainted === 0 ? taints : [],
      cordoned: cordoned === 0,
      allocatable: compact({ ...rest, "example.com/gpu": gpu, "hugepages-2Mi": huge }) as Record<
        string,
        string
      >,
      volumes,
    }),
  );

const podLabels = fc
  .record({ app: pick("$a", "$b", "$c"), tier: some(pick("x", "y"), 2), hash: pick("1", "2") })
  .map(compact) as fc.Arbitrary<Record<string, string>>;

const selector = fc.oneof(
  pick("$a", "$b", "$c").map((app) => ({ matchLabels: { app } })),
  fc.tuple(pick("$a", "$b"), pick("x", "y")).map(([app, tier]) => ({ matchLabels: { app, tier } })),
  pick("In", "NotIn").map((operator) => ({
    matchLabels: {},
    matchExpressions: [{ key: "app", operator, values: ["$a", "$b"] }],
  })),
  pick("Exists", "DoesNotExist").map((operator) => ({ matchExpressions: [{ key: "tier", operator }] })),
  fc.constant({}),
);
/** Over all namespaces only what names the world's own pods. */
const ownSelector = pick("$a", "$b", "$c").map((app) => ({ matchLabels: { app } }));

const affinityTerm = fc.oneof(
  fc.record({ topologyKey: pick(HOST, ZONE, RACK), labelSelector: selector }),
  fc.record({
    topologyKey: pick(HOST, ZONE),
    labelSelector: selector,
    namespaces: pick(["$two"], ["$one", "$two"]),
  }),
  fc.record({
    topologyKey: pick(HOST, ZONE),
    labelSelector: ownSelector,
    namespaceSelector: pick<object>({}, { matchLabels: { [WORLD]: "$", team: "two" } }),
  }),
  fc.record({
    topologyKey: pick(HOST, ZONE),
    labelSelector: ownSelector,
    matchLabelKeys: fc.constant(["hash"]),
  }),
  fc.record({
    topologyKey: pick(HOST, ZONE),
    labelSelector: ownSelector,
    mismatchLabelKeys: fc.constant(["hash"]),
  }),
);

const expression = fc.oneof(
  fc.record({
    key: fc.constant("disk"),
    operator: pick("In", "NotIn"),
    values: pick(["ssd"], ["hdd"], ["ssd", "hdd"]),
  }),
  fc.record({ key: pick("disk", "cores"), operator: pick("Exists", "DoesNotExist") }),
  fc.record({ key: fc.constant("cores"), operator: pick("Gt", "Lt"), values: pick(["5"], ["7"], ["0"]) }),
  fc.record({
    key: fc.constant(ZONE),
    operator: fc.constant("In"),
    values: fc.subarray(ZONES, { minLength: 1 }),
  }),
);
const nodeTerm = fc.oneof(
  {
    arbitrary: fc.record({ matchExpressions: fc.array(expression, { minLength: 1, maxLength: 2 }) }),
    weight: 6,
  },
  {
    arbitrary: fc.record({
      matchFields: fc
        .record({
          key: fc.constant("metadata.name"),
          operator: pick("In", "NotIn"),
          values: pick(["$n0"], ["$n1"]),
        })
        .map((it) => [it]),
    }),
    weight: 1,
  },
);

/** Spread over few of the pods alone leaves every least count at zero. */
const many = pick<object>(
  { matchExpressions: [{ key: "app", operator: "Exists" }] },
  { matchExpressions: [{ key: "tier", operator: "NotIn", values: ["z"] }] },
);

const spread = fc
  .record({
    maxSkew: pick(1, 1, 2),
    topologyKey: pick(HOST, ZONE, ZONE, RACK),
    whenUnsatisfiable: pick("DoNotSchedule", "DoNotSchedule", "ScheduleAnyway"),
    labelSelector: fc.oneof(selector, many),
    minDomains: some(pick(2, 3, 4), 3),
    nodeAffinityPolicy: some(pick("Honor", "Ignore"), 4),
    nodeTaintsPolicy: some(pick("Honor", "Ignore"), 2),
    matchLabelKeys: some(pick(["hash"]), 4),
  })
  .map(({ minDomains, ...rest }) =>
    compact({ ...rest, minDomains: rest.whenUnsatisfiable === "DoNotSchedule" ? minDomains : undefined }),
  );

const toleration = pick(
  { key: "dedicated", operator: "Equal", value: "a", effect: "NoSchedule" },
  { key: "dedicated", operator: "Exists" },
  { key: "dedicated", value: "b" },
  { key: "flag", operator: "Exists", effect: "NoSchedule" },
  { operator: "Exists", effect: "NoSchedule" },
  { operator: "Exists" },
  { key: "node.kubernetes.io/unschedulable", operator: "Exists" },
);

const requests = fc
  .record({
    cpu: some(pick("100m", "500m", "1", "1200m"), 2),
    memory: some(pick("100Mi", "1Gi", "2Gi", "1500M"), 2),
    gpu: some(pick("1", "2"), 12),
    storage: some(pick("1Gi", "11Gi"), 8),
    huge: some(pick("32Mi"), 20),
  })
  .map(
    ({ gpu, storage, huge, cpu, memory }) =>
      compact({
        cpu: huge === undefined ? cpu : (cpu ?? "100m"),
        memory,
        "example.com/gpu": gpu,
        "ephemeral-storage": storage,
        "hugepages-2Mi": huge,
      }) as Record<string, string>,
  );
const resources = requests.map((wanted) => {
  const fixed = Object.fromEntries(
    Object.entries(wanted).filter(([name]) => name.includes("gpu") || name.startsWith("huge")),
  );
  return Object.keys(fixed).length === 0 ? { requests: wanted } : { requests: wanted, limits: fixed };
});

const port = fc
  .record({
    hostPort: pick(80, 81),
    protocol: pick("TCP", "TCP", "UDP"),
    hostIP: some(pick("127.0.0.1", "10.0.0.1"), 3),
  })
  .map((it) => compact({ ...it, containerPort: it.hostPort }));

const VOLUMES = [
  "zone-za",
  "zone-zb",
  "label-zb",
  "label-many",
  "beta-za",
  "v1",
  "v2",
  "v3",
  "once",
  "unbound",
  "absent",
  "term-zc",
];

const spec = fc
  .record({
    resources,
    more: some(resources, 4),
    init: some(resources, 5),
    sidecar: some(resources, 5),
    pod: some(pick({ cpu: "2" }, { memory: "5Gi" }), 25),
    ports: some(fc.array(port, { minLength: 1, maxLength: 1 }), 6),
    hostNetwork: some(fc.constant(true), 25),
    nodeSelector: some(pick<Record<string, string>>({ disk: "ssd" }, { [ZONE]: "za" }, { [RACK]: "r1" }), 8),
    tolerations: fc.array(toleration, { maxLength: 2 }),
    nodeTerms: some(fc.array(nodeTerm, { minLength: 1, maxLength: 2 }), 5),
    affinity: some(fc.array(affinityTerm, { minLength: 1, maxLength: 2 }), 5),
    antiAffinity: some(fc.array(affinityTerm, { minLength: 1, maxLength: 2 }), 4),
    spread: some(
      fc.uniqueArray(spread, {
        minLength: 1,
        maxLength: 2,
        selector: (it) => `${it.topologyKey} ${it.whenUnsatisfiable}`,
      }),
      3,
    ),
    claims: some(fc.uniqueArray(pick(...VOLUMES), { minLength: 1, maxLength: 2 }), 5),
    gated: some(fc.constant(true), 100),
  })
  .map((it): Record<string, unknown> => {
    const required = <T>(terms: T): { requiredDuringSchedulingIgnoredDuringExecution: T } => ({
      requiredDuringSchedulingIgnoredDuringExecution: terms,
    });
    const container = (name: string, of: object, rest: object = {}): object => ({
      name,
      image: "example.com/a:1",
      resources: of,
      ...rest,
    });
    return compact({
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      containers: [
        container("main", it.resources, it.ports === undefined ? {} : { ports: it.ports }),
        ...(it.more === undefined ? [] : [container("more", it.more)]),
      ],
      initContainers: [
        ...(it.sidecar === undefined ? [] : [container("sidecar", it.sidecar, { restartPolicy: "Always" })]),
        ...(it.init === undefined ? [] : [container("init", it.init)]),
      ],
      // it has to cover what the containers ask for: only where they ask for little
      resources:
        it.pod !== undefined &&
        Object.keys(it.resources.requests).length === 0 &&
        it.more === undefined &&
        it.init === undefined &&
        it.sidecar === undefined
          ? { requests: it.pod }
          : undefined,
      hostNetwork: it.hostNetwork,
      nodeSelector: { [WORLD]: "$", ...it.nodeSelector },
      tolerations: it.tolerations,
      affinity: compact({
        nodeAffinity: it.nodeTerms && required({ nodeSelectorTerms: it.nodeTerms }),
        podAffinity: it.affinity && required(it.affinity),
        podAntiAffinity: it.antiAffinity && required(it.antiAffinity),
      }),
      topologySpreadConstraints: it.spread,
      volumes: (it.claims ?? []).map((claim) => ({
        name: claim,
        persistentVolumeClaim: { claimName: claim },
      })),
      schedulingGates: it.gated && [{ name: "test.example.com/wait" }],
    });
  });

const candidate: fc.Arbitrary<PodCase> = fc.record({
  second: fc.nat(3).map((n) => n === 0),
  labels: podLabels,
  spec,
});

/** A pod that stands on a node: small, so that most nodes have room left. */
const placed: fc.Arbitrary<PodCase> = fc
  .record({ node: fc.nat(), pod: candidate, small: pick("50m", "100m", "500m") })
  .map(({ node, pod, small }) => {
    const {
      containers,
      schedulingGates: _,
      volumes,
      ...rest
    } = pod.spec as {
      containers: { resources: object }[];
      schedulingGates?: unknown;
      volumes: { name: string }[];
    };
    const [main] = containers;
    return {
      ...pod,
      node,
      spec: {
        ...rest,
        initContainers: [],
        resources: undefined,
        // or the taint manager would take it away in mid-test
        tolerations: [
          ...((rest as { tolerations?: object[] }).tolerations ?? []),
          { key: "dedicated", operator: "Exists", effect: "NoExecute" },
        ],
        containers: [{ ...main, resources: { requests: { cpu: small, memory: "200Mi" } } }],
        volumes: volumes.filter(({ name }) => name !== "absent" && name !== "unbound"),
      },
    };
  });

export const worldCase = (candidates: number): fc.Arbitrary<WorldCase> =>
  fc.record({
    nodes: fc.array(node, { minLength: 4, maxLength: 8 }),
    pods: fc.array(placed, { minLength: 6, maxLength: 24 }),
    candidates: fc.array(candidate, { minLength: candidates, maxLength: candidates }),
  });

/** Puts the world's name in. */
export const named = <T>(value: T, world: string): T =>
  JSON.parse(JSON.stringify(value).replaceAll("$", world)) as T;

export const spaceOf = (world: string, { second }: PodCase): string => `${world}${second ? "two" : "one"}`;

export function podManifest(world: string, name: string, pod: PodCase, nodeName?: string): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: spaceOf(world, pod),
      labels: { ...named(pod.labels, world), [ROLE]: nodeName === undefined ? "candidate" : "placed" },
    },
    spec: { ...named(pod.spec, world), ...(nodeName === undefined ? {} : { nodeName }) },
  };
}

/** Nodes, their CSI registrations, namespaces, volumes and claims of a world. */
export function worldObjects(
  world: string,
  { nodes }: WorldCase,
): { spaces: Manifest[]; objects: Manifest[] } {
  const spaces = ["one", "two"].map((team): Manifest => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: `${world}${team}`, labels: { [WORLD]: world, team } },
  }));
  const objects: Manifest[] = [];
  nodes.forEach((node, i) => {
    const name = `${world}n${i}`;
    const labels = {
      [HOST]: name,
      [WORLD]: world,
      ...node.labels,
      ...(node.zone === undefined ? {} : { [ZONE]: node.zone }),
    };
    const taints = [
      ...node.taints,
      ...(node.cordoned ? [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }] : []),
    ];
    objects.push({
      apiVersion: "v1",
      kind: "Node",
      metadata: { name, labels, annotations: { "kwok.x-k8s.io/node": "fake" } },
      spec: { taints, ...(node.cordoned ? { unschedulable: true } : {}) },
      status: { allocatable: node.allocatable, capacity: node.allocatable },
    });
    if (node.volumes === undefined) return;
    objects.push({
      apiVersion: "storage.k8s.io/v1",
      kind: "CSINode",
      metadata: { name },
      spec: {
        drivers: [{ name: DRIVER, nodeID: name, topologyKeys: [ZONE], allocatable: { count: node.volumes } }],
      },
    });
  });
  // only in the first: in the second every claim is one that does not exist
  for (const volume of VOLUMES) objects.push(...claimWithVolume(world, `${world}one`, volume));
  return { spaces, objects };
}

function claimWithVolume(world: string, namespace: string, name: string): Manifest[] {
  if (name === "absent") return [];
  const accessModes = [name === "once" ? "ReadWriteOncePod" : "ReadWriteMany"];
  const storage = { storage: "1Gi" };
  const claim = (rest: object, annotations = {}): Manifest => ({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name, namespace, annotations },
    spec: { accessModes, resources: { requests: storage }, storageClassName: "by-hand", ...rest },
  });
  if (name === "unbound") return [claim({ selector: { matchLabels: { never: "there" } } })];
  const volumeName = `${namespace}-${name}`;
  const [kind, place = ""] = name.split("-");
  const labels: Record<string, string> =
    kind === "label"
      ? { [ZONE]: place === "many" ? "za__zc" : place }
      : kind === "beta"
        ? { "failure-domain.beta.kubernetes.io/zone": place }
        : {};
  const affinity =
    kind === "zone" || kind === "term"
      ? {
          nodeAffinity: {
            required: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: ZONE, operator: "In", values: [place] }] }],
            },
          },
        }
      : {};
  const volume: Manifest = {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: {
      name: volumeName,
      labels: { ...labels, [WORLD]: world },
      annotations: { "pv.kubernetes.io/bound-by-controller": "yes" },
    },
    spec: {
      accessModes,
      capacity: storage,
      storageClassName: "by-hand",
      persistentVolumeReclaimPolicy: "Retain",
      csi: { driver: DRIVER, volumeHandle: volumeName },
      claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name },
      ...affinity,
    },
  };
  return [volume, claim({ volumeName })];
}
