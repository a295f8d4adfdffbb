/** The machine room: makes moto's instances Nodes of the real control plane, plays EKS, the CSI driver and STS. */

import { join } from "node:path";
import { IMAGES, WORLD } from "../images.ts";
import { Cloud } from "./cloud.ts";
import { EksApi } from "./eks-api.ts";
import { groupView } from "./eks-views.ts";
import { startFront } from "./front.ts";
import { Kube, tolerate } from "./kube.ts";
import { log } from "./log.ts";
import { repeat } from "./loop.ts";
import { NodeGroups } from "./nodegroups.ts";
import type { Cluster } from "./node-shape.ts";
import { Nodes } from "./nodes.ts";
import { readSettings } from "./settings.ts";
import { Store } from "./store.ts";
import { Volumes } from "./volumes.ts";
import type { World } from "./world.ts";

const settings = readSettings();
const cluster: Cluster = {
  name: WORLD.cluster,
  endpoint: settings.kubeApiUrl,
  certificateAuthority: Buffer.from(settings.certificateAuthority).toString("base64"),
};
const store = new Store(join(settings.stateDir, "machine-room.json"));
const cloud = new Cloud(settings.motoUrl);
const kube = new Kube();
const world: World = { cloud, kube, store, settings, cluster };
const nodes = new Nodes(cloud, kube, store, settings, cluster);
const groups = new NodeGroups(world);
let ready = false;

const wakeVolumes = (): void => volumesLoop?.poke();
const volumes = new Volumes(kube, settings, wakeVolumes);
let volumesLoop: ReturnType<typeof repeat> | undefined;
let groupsLoop: ReturnType<typeof repeat> | undefined;

const server = await startFront({
  port: settings.port,
  motoUrl: settings.motoUrl,
  tokenMs: settings.tokenMs,
  eks: new EksApi(world, () => groupsLoop?.poke()),
  ready: () => ready,
  status: () => ({
    ready,
    cluster: { name: cluster.name, endpoint: cluster.endpoint, version: WORLD.kubernetesVersion },
    images: IMAGES,
    instances: nodes.status(),
    groups: Object.values(store.data.groups).map(groupView),
  }),
});
log(`front on ${settings.port}, moto at ${settings.motoUrl}, API server at ${settings.kubeApiUrl}`);

const seeding = repeat("seed", 1000, async () => {
  await cloud.seed();
  await volumes.seed();
  await seedReadonlyGroup();
  seeding.stop();
  ready = true;
  log("seeded");
  repeat("nodes", 300, () => nodes.reconcile());
  groupsLoop = repeat("node groups", 500, () => groups.reconcile());
  volumesLoop = repeat("volumes", 5000, () => volumes.reconcile());
  kube.onChange(wakeVolumes);
});

/** The group of the access key `readonly` may look at everything and change nothing. */
async function seedReadonlyGroup(): Promise<void> {
  const name = "patchguard-readonly";
  const rules = [{ apiGroups: ["*"], resources: ["*"], verbs: ["get", "list", "watch"] }];
  await tolerate([409], () => kube.rbac.createClusterRole({ body: { metadata: { name }, rules } }));
  await tolerate([409], () =>
    kube.rbac.createClusterRoleBinding({
      body: {
        metadata: { name },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
        subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name }],
      },
    }),
  );
}

const stop = (): void => {
  server.close();
  store.save();
  process.exit(0);
};
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
