import type { Container, Node, Pod, Resources } from "../cluster/types.ts";
import { type Billionths, parseQuantity, thousandths, wholeUnits } from "./quantities.ts";

/** Amounts by resource: CPU in thousandths, all else in whole units (bytes, pieces). Zeros are left out. */
export type Amounts = ReadonlyMap<string, number>;

type Sum = Map<string, Billionths>;

/** What the scheduler takes for one pod from a node's `allocatable.pods` is not among the amounts: every pod counts as one. */
export function podRequests(pod: Pod): Amounts {
  const { containers = [], initContainers = [], overhead, resources } = pod.spec ?? {};
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  const resized = statuses.some((it) => "resources" in it || "allocatedResources" in it);
  const plain = initContainers.length === 0 && overhead === undefined && resources === undefined && !resized;
  const remembered = plain ? byContainers.get(containers) : undefined;
  if (remembered !== undefined) return remembered;

  const inUse = new Map(statuses.map((it) => [it.name, it as ResizedStatus]));
  const sum: Sum = new Map();
  for (const container of containers) add(sum, containerRequests(container, inUse.get(container.name)));
  // KEP-753: init container i runs beside the sidecars before it; sidecars then run beside the containers
  const sidecars: Sum = new Map();
  const starting: Sum = new Map();
  for (const container of initContainers) {
    const sidecar = container.restartPolicy === "Always";
    const own = containerRequests(container, sidecar ? inUse.get(container.name) : undefined);
    if (sidecar) {
      add(sum, own);
      add(sidecars, own);
      raise(starting, sidecars);
    } else {
      const beside: Sum = new Map(sidecars);
      add(beside, own);
      raise(starting, beside);
    }
  }
  raise(sum, starting);
  // KEP-2837: what the pod asks for as a whole replaces the sum of its containers
  for (const [name, amount] of quantities(resources?.requests)) if (ofPod(name)) sum.set(name, amount);
  add(sum, quantities(overhead));
  const amounts = rounded(sum);
  if (plain) byContainers.set(containers, amounts);
  return amounts;
}

/** Containers of pods of one workload are one object after reading (cluster/slim.ts). */
const byContainers = new WeakMap<readonly Container[], Amounts>();

export function allocatableOf(node: Node): Amounts {
  return rounded(new Map(quantities(node.status?.allocatable)));
}

interface ResizedStatus {
  resources?: Resources;
  allocatedResources?: Record<string, string>;
}

/** While a pod is resized in place (KEP-1287), the larger of what it wants and what it has counts. */
function containerRequests({ resources }: Container, status: ResizedStatus | undefined): Sum {
  const sum: Sum = new Map(quantities(resources?.requests));
  raise(sum, new Map(quantities(status?.resources?.requests)));
  raise(sum, new Map(quantities(status?.allocatedResources)));
  return sum;
}

const ofPod = (name: string): boolean => name === "cpu" || name === "memory" || name.startsWith("hugepages-");

const quantities = (list: Record<string, string> | undefined): [string, Billionths][] =>
  Object.entries(list ?? {}).map(([name, text]) => [name, parseQuantity(text)]);

function add(sum: Sum, more: Iterable<[string, Billionths]>): void {
  for (const [name, amount] of more) sum.set(name, (sum.get(name) ?? 0n) + amount);
}

function raise(sum: Sum, to: Sum): void {
  for (const [name, amount] of to) if (amount > (sum.get(name) ?? 0n)) sum.set(name, amount);
}

function rounded(sum: Sum): Amounts {
  const amounts = new Map<string, number>();
  for (const [name, amount] of sum) {
    const value = name === "cpu" ? thousandths(amount) : wholeUnits(amount);
    if (value !== 0) amounts.set(name, value);
  }
  return amounts;
}
