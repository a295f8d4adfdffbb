/** What EKS's own work reaches for. */

import type { Cloud } from "./cloud.ts";
import type { Kube } from "./kube.ts";
import type { Cluster } from "./node-shape.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";

export interface World {
  cloud: Cloud;
  kube: Kube;
  store: Store;
  settings: Settings;
  cluster: Cluster;
}
