// relayd: finds the right server for a request.

import { stateSocket } from "#shared/bus/state-client.ts";
import { type Daemon, type DaemonContext, runDaemon } from "#shared/daemon.ts";
import { RelayLoop } from "./io/loop.ts";
import { declareMetrics } from "./metrics.ts";

export async function start(context: DaemonContext): Promise<Daemon> {
  const { bus, config, metrics } = context;
  const loop = new RelayLoop(context);
  declareMetrics(metrics, loop);
  bus.route = (method, call) => loop.route(method, call);
  loop.start();
  // On a server this is raftd's.
  if (!config.server) await bus.listen({ path: stateSocket(config.runDir) });
  return {
    ready: () => loop.notReady(),
    details: () => ({
      servers: loop.servers.datacenters()
        .map((datacenter) => `${datacenter}=${loop.servers.of(datacenter).length}`).join(","),
      links: String(loop.openLinks),
    }),
    stop: () => loop.stop(),
  };
}

export function main(argv: readonly string[]): Promise<void> {
  return runDaemon({ name: "relayd", start }, argv);
}

if (import.meta.main) await main(process.argv.slice(2));
