import { messageOf, Refused } from "../errors.ts";
import { count } from "../finding.ts";
import type { Inventory } from "../inventory.ts";
import type { Job } from "../run.ts";
import { workloadOf } from "../whole.ts";
import type { Measured } from "./measured.ts";
import { type Metric, type Reading, type Source, SourceError } from "./metric.ts";
import { ANSWER_SECONDS } from "./sampler.ts";
import { isSpoilt, labelOf, type Scene, topOf, watchedOf, workloadsOn, workloadsOnBlue } from "./scope.ts";
import { sampleSecondsOf } from "./window.ts";

/** A source that stumbles is asked again this often before it counts as offline. */
const ATTEMPTS = 3;
/** The pause before it is asked again. Seconds. */
const PAUSE_SECONDS = 5;

/**
 * Asks every source for every metric once, before anything is created: whoever pays for a second fleet wants to know first that its
 * health windows can be judged.
 * @param failed generations to which a handover has failed: what is ill there is to be moved away
 * @throws Refused naming the source that does not answer, the metric about which it says nothing, or the probe that fails already
 */
export async function checkSources(
  job: Job,
  inventory: Inventory,
  { sources, metrics }: Measured,
  failed: readonly string[] = [],
): Promise<void> {
  const { config, target, clock, log } = job;
  const workloads = watchedOf({ inventory, target }, workloadsOnBlue({ inventory, target }));
  if (metrics.length === 0 || workloads.length === 0) return;
  const spoilt = workloadsOn({ inventory, target }, failed);
  await Promise.all(
    metrics.map(async (metric) => {
      const source = sources.find(({ name }) => name === metric.source);
      if (source === undefined) return;
      if (isStray(metric, { inventory, target })) throw stray(metric);
      const to = clock.now() - source.lagSeconds * 1000;
      const question = { metric, workloads, from: to - sampleSecondsOf(config.health) * 1000, to };
      const readings = await asked(
        job,
        source,
        () => source.read(question, deadline(job, source)),
        isSpoilt(metric, spoilt),
      );
      if (readings.length === 0 && metric.onlyWarns !== true) throw silent(metric, workloads.length);
    }),
  );
  log.info(
    "sources",
    `${count(sources.length, "source")} of metrics answered: ${sources.map(({ name }) => name).join(", ")}`,
    {
      metrics: metrics.map(({ name }) => name),
    },
  );
}

function deadline({ clock, signal }: Job, { answerSeconds = ANSWER_SECONDS }: Source): AbortSignal {
  const late = new AbortController();
  void clock
    .sleep(answerSeconds * 1000)
    .then(() => late.abort(new Error(`no answer within ${answerSeconds} s`)));
  return AbortSignal.any([signal, late.signal]);
}

async function asked(
  job: Job,
  source: Source,
  ask: () => Promise<Reading[]>,
  mayBeIll: boolean,
): Promise<Reading[]> {
  for (let attempt = 1; ; attempt++) {
    job.signal.throwIfAborted();
    try {
      const readings = await ask();
      const ill = readings.flatMap(({ value }) => ("failed" in value ? (value.failed ?? []) : [])).at(0);
      if (ill === undefined || mayBeIll) return readings;
      if (attempt >= ATTEMPTS) throw failing(source, ill);
      await job.clock.sleep(PAUSE_SECONDS * 1000, job.signal);
    } catch (error) {
      if (error instanceof Refused) throw error;
      const lasting = error instanceof SourceError && !error.passing;
      if (lasting || attempt >= ATTEMPTS) {
        throw new Refused(
          `source ${source.name} does not answer (${messageOf(error)}), and without it no health window could be judged. Nothing was created. ` +
            `To go on: bring ${source.name} back, then run \`pulumi up\` again.`,
        );
      }
      await job.clock.sleep(PAUSE_SECONDS * 1000, job.signal);
    }
  }
}

const failing = ({ name }: Source, why: string): Refused =>
  new Refused(
    `${name} failed ${ATTEMPTS} times before anything was moved (at last: ${why}). Nothing was created. ` +
      `To go on: mend what it asks, or the probe in rollout.health.probes, then run \`pulumi up\` again.`,
  );

/** It is about a workload of which there is no pod: a slip of the pen would never be judged. */
function isStray({ name, about }: Metric, scene: Scene): boolean {
  if (about === undefined || about === name) return false;
  const workloads = scene.inventory.all("Pod").flatMap((pod) => workloadOf(pod) ?? []);
  return !workloads.some((workload) => labelOf(topOf(scene, workload)) === about);
}

const stray = ({ name, about }: Metric): Refused =>
  new Refused(
    `${name} speaks of ${about}, and no pod of this cluster is of that. Nothing was created. ` +
      `To go on: correct its workload in rollout.health.probes, then run \`pulumi up\` again.`,
  );

const silent = ({ name, source }: Metric, workloads: number): Refused =>
  new Refused(
    `metric ${name}: source ${source} returned nothing about any of the ${count(workloads, "workload")} that would move. Nothing was created. ` +
      `To go on: mend its query, or take it out of rollout.health, then run \`pulumi up\` again.`,
  );
