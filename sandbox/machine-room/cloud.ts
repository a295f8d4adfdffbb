/** What the machine room asks of moto: the seed, the running instances, and the AWS clients EKS's own work needs. */

import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { EC2Client } from "@aws-sdk/client-ec2";
import { IMAGES, WORLD } from "../images.ts";
import type { Instance } from "./node-shape.ts";

export class Cloud {
  readonly ec2: EC2Client;
  readonly autoScaling: AutoScalingClient;
  private readonly url: string;
  private running: Instance[] = [];

  constructor(url: string) {
    this.url = url;
    const client = {
      endpoint: url,
      region: WORLD.region,
      credentials: { accessKeyId: "sandbox", secretAccessKey: "sandbox" },
    };
    this.ec2 = new EC2Client(client);
    this.autoScaling = new AutoScalingClient(client);
  }

  /** Creates what is missing of the fixed network, images and role. */
  async seed(): Promise<void> {
    const images = IMAGES.map((i) => ({
      id: i.id,
      name: `${i.name}-${i.releaseVersion}`,
      description: i.osImage,
    }));
    const answer = await fetch(`${this.url}/sandbox/seed`, {
      method: "POST",
      body: JSON.stringify({ ...WORLD, images }),
      signal: AbortSignal.timeout(20_000),
    });
    if (!answer.ok)
      throw new Error(`moto refused the seed (${answer.status}): ${(await answer.text()).slice(0, 500)}`);
  }

  /** Asks moto for the running instances; `instances` returns them until the next call. */
  async refresh(): Promise<Instance[]> {
    const answer = await fetch(`${this.url}/sandbox/instances`, { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`moto: ${answer.status} for the list of instances`);
    this.running = (await answer.json()) as Instance[];
    return this.running;
  }
  instances(): Instance[] {
    return this.running;
  }
}
