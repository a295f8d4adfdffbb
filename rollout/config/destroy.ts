import { z } from "zod";
import { nonEmpty } from "./fields.ts";

/** `patchguard:destroy`: consent to delete this stack's pools while they run pods. Left out: `destroy` deletes nothing. */
export const destroySchema = z.strictObject({
  /** The name of the cluster, written out, so that the consent of one stack does not slip into another. */
  consent: nonEmpty("the name of the cluster that may be destroyed"),
});

export type DestroyConfig = z.output<typeof destroySchema>;
