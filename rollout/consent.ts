import { ApiError, type Cluster } from "./cluster/cluster.ts";
import { CONSENT_NAME, STATE_NAMESPACE } from "./names.ts";

/**
 * `destroy` meets the consent resource first (it depends on everything). With consent in the config its deletion is recorded
 * in the cluster, and the groups' guards let the deletion of a stack pass; `up` takes the record away, so that consent left in
 * a config never weakens an `up`.
 */
export async function recordConsent(cluster: Cluster): Promise<void> {
  try {
    await cluster.create("ConfigMap", {
      metadata: { name: CONSENT_NAME, namespace: STATE_NAMESPACE },
      data: {},
    });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
  }
}

export const consentRecorded = async (cluster: Cluster): Promise<boolean> =>
  (await cluster.get("ConfigMap", CONSENT_NAME, STATE_NAMESPACE)) !== undefined;

export const clearConsent = (cluster: Cluster): Promise<void> =>
  cluster.remove("ConfigMap", CONSENT_NAME, STATE_NAMESPACE);
