/** The sandbox's stand-in for the aws provider plugin: started by the engine, reports its port on standard output. */
import { Provider } from "./provider.ts";
import { serve } from "./server.ts";

const provider = new Provider();
const server = await serve(provider);
process.stdout.write(`${server.port}\n`);

// The engine ends its plugins itself. One that was killed cannot: then end too, after the calls to the cloud that are
// under way, as the real provider does, so that no orphan stays.
const engine = process.ppid;
const ORPHAN_SECONDS = 10;
let orphanedFor = 0;
setInterval(() => {
  if (process.ppid === engine) return;
  provider.cancel();
  if (server.inFlight() === 0 || ++orphanedFor > ORPHAN_SECONDS) process.exit(1);
}, 1000).unref();
