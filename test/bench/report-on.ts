import { rolloutSchema } from "../../rollout/config/rollout.ts";
import type { Picture } from "../../rollout/picture.ts";
import { reportOf } from "../../rollout/report/report.ts";
import type { Report } from "../../rollout/report/schema.ts";
import { POOL } from "./synthetic.ts";

/** The report on a synthetic cluster: its blue nodes to a green like them. */
export const reportOn = (picture: Picture): Report =>
  reportOf({
    stack: "bench",
    cluster: "bench",
    config: rolloutSchema.parse({}),
    picture,
    now: Date.now(),
    notAsked: [],
    pools: [
      {
        target: { pool: POOL, generation: "bbbbbbbb", image: { ami: "ami-00000000000000002" }, groups: [] },
        green: {
          kind: "eks-managed",
          instanceTypes: ["m7i.4xlarge"],
          capacityType: "ON_DEMAND",
          labels: { "patchguard.dev/pool": POOL, "patchguard.dev/generation": "bbbbbbbb" },
          taints: [],
          zones: ["us-east-1a", "us-east-1b", "us-east-1c"].map((zone) => ({
            zone,
            subnet: `subnet-${zone}`,
            min: 1,
            max: 1000,
          })),
        },
      },
    ],
  });
