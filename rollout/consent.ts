import { ApiError, type Cluster } from "./cluster/cluster.ts";
import { CONSENT_NAME, STATE_NAMESPACE } from "./names.ts";

/**
 * `destroy` meets the consent resource first (it depends on everything). With consent in the config its deletion is recorded
 * in the cluster, and the groups' guards let the deletion of a stack pass; `up` takes the record away, so that consent left in
 * a config never weakens an `up`.
 */
export async function recordConsent(cluster: Cluster, stack: string): Promise<void> {
  const data = { stack };
  try {
    await cluster.create("ConfigMap", { metadata: { name: CONSENT_NAME, namespace: STATE_NAMESPACE }, data });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
    await cluster.patch("ConfigMap", CONSENT_NAME, STATE_NAMESPACE, { data });
  }
}

/** Did this stack's destroy record consent? Another stack's on the same cluster does not count. */
export const consentRecorded = async (cluster: Cluster, stack: string): Promise<boolean> =>
  (await cluster.get("ConfigMap", CONSENT_NAME, STATE_NAMESPACE))?.data?.["stack"] === stack;

export const clearConsent = (cluster: Cluster): Promise<void> =>
  cluster.remove("ConfigMap", CONSENT_NAME, STATE_NAMESPACE);
